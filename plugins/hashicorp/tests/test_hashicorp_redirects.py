"""Redirects: followed to a configured leader with every request, and to no other address."""

from __future__ import annotations

import http.server
import shlex
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import certificates
from vault_core.api import StorageUnavailable
from vault_plugin_hashicorp import client
from vault_plugin_hashicorp.server import server

Open = Callable[..., Any]
TOKEN = "canary-token"
ELSEWHERE = "http://vault.example.com:8200"


class Recorder:
    """A server or proxy that records requests and their tokens.

    :param location: where it sends everybody on; without it, there is nothing.
    :param certificate: of its TLS.
    :param index: what it says that it has seen.
    """

    def __init__(self, location: str, certificate: Path | None, index: str) -> None:
        self.seen: list[tuple[str, str | None]] = []
        self.indexes: list[str | None] = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recorder.indexes.append(self.headers["X-Vault-Index"])
                if self.path == "/v1/sys/health":
                    self.send_response(429)  # a standby
                else:
                    recorder.seen.append((self.path, self.headers["X-Vault-Token"]))
                    self.send_response(307 if location else 404)
                    self.send_header("Location", location.replace("PATH", self.path))
                self.send_header("X-Vault-Index", index)
                self.end_headers()
                self.wfile.write(b'{"errors": []}')

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return certificates.of_loopback(tmp_path / "loopback.pem")


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Recorder]]:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.2)
    made: list[Recorder] = []

    def start(location: str = "", certificate: Path | None = None, index: str = "") -> Recorder:
        made.append(Recorder(location, certificate, index))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def where(error: StorageUnavailable) -> str:
    """The message and the hint."""
    return f"{error.message} {error.hint}"


@pytest.mark.parametrize("tls", [True, False], ids=["from TLS", "from loopback"])
@pytest.mark.parametrize(
    "location",
    [
        f"{ELSEWHERE}PATH",
        "HTTP://vault.example.comPATH",
        "https://vault.example.com:8200PATH",
        "//vault.example.comPATH",
        "http://127.0.0.1@vault.example.comPATH",
        "http://vault.example.com\\@127.0.0.1PATH",
        "http://127.0.0.1.example.comPATH",
        "http://0.0.0.0:8200PATH",
        "http://localhost:9PATH",
        "https://127.0.0.1:9PATH",
    ],
)
def test_token_is_not_sent_to_redirect_target(
    tls: bool, location: str, record: Callable[..., Recorder], certificate: Path, open_store: Open
) -> None:
    """The proxy gets what would be sent to the network."""
    network = record()
    here = record(location, certificate if tls else None)
    environ = {"VAULT_ADDR": here.url, "VAULT_TOKEN": TOKEN, "VAULT_CACERT": str(certificate)}
    environ |= {"http_proxy": network.url, "https_proxy": network.url}
    with pytest.raises(
        StorageUnavailable, match=r"redirects to https?://.*, which is not one of the configured addresses"
    ) as told:
        open_store(environ)
    assert network.seen == []
    assert here.seen == [("/v1/auth/token/lookup-self", TOKEN)]
    assert TOKEN not in where(told.value)


@pytest.mark.parametrize("tls", [True, False], ids=["to TLS", "to loopback"])
def test_token_is_not_sent_to_other_local_port(
    tls: bool, record: Callable[..., Recorder], certificate: Path, open_store: Open
) -> None:
    """Another user of the machine may listen on that port."""
    there = record(certificate=certificate if tls else None)
    here = record(f"{there.url}PATH", certificate)
    with pytest.raises(StorageUnavailable, match="which is not one of the configured addresses"):
        open_store({"VAULT_ADDR": here.url, "VAULT_TOKEN": TOKEN, "VAULT_CACERT": str(certificate)})
    assert there.seen == []


@pytest.mark.parametrize(
    "location", ["ftp://127.0.0.1/PATH", "https://a:canary@127.0.0.1/PATH", "http://[", "https:PATH", "http://x:y/"]
)
def test_redirect_to_invalid_address_is_refused(
    location: str, record: Callable[..., Recorder], open_store: Open
) -> None:
    with pytest.raises(StorageUnavailable, match="redirects to ") as refused:
        open_store({"VAULT_ADDR": record(location).url, "VAULT_TOKEN": TOKEN})
    assert "canary" not in where(refused.value)


@pytest.mark.parametrize("host", ["$(id)", "`id`", "a;id", "a&id", "a'b"])
def test_hint_to_paste_is_quoted(host: str, record: Callable[..., Recorder], open_store: Open) -> None:
    here = record(f"https://{host}/")
    with pytest.raises(StorageUnavailable, match="redirects to ") as refused:
        open_store({"VAULT_ADDR": here.url, "VAULT_TOKEN": TOKEN})
    line = str(refused.value.hint).rpartition("set ")[2]
    assert shlex.split(line) == [f"AWS_VAULT_HASHICORP_ADDRESS={here.url},https://{host}"]


def test_redirect_with_password_is_refused(record: Callable[..., Recorder], open_store: Open) -> None:
    there = record()
    here = record(there.url.replace("//", "//a:canary@") + "PATH")
    with pytest.raises(StorageUnavailable, match="redirects to ") as refused:
        open_store({"VAULT_TOKEN": TOKEN}, address=f"{here.url},{there.url}")
    assert there.seen == []
    assert "canary" not in where(refused.value)


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "loopback"])
def test_redirect_to_configured_leader_is_followed(
    tls: bool, record: Callable[..., Recorder], certificate: Path, open_store: Open
) -> None:
    network, leader = record(), record(certificate=certificate if tls else None)
    standby = record(f"{leader.url.upper().replace('V1', 'v1')}PATH", certificate if tls else None)
    environ = {"VAULT_TOKEN": TOKEN, "VAULT_CACERT": str(certificate), "http_proxy": network.url}
    with pytest.raises(StorageUnavailable, match=r"cannot look up the token \(HTTP status 404\)"):
        open_store(environ, address=f"{standby.url}, {leader.url}/")
    assert leader.seen == standby.seen == [("/v1/auth/token/lookup-self", TOKEN)]
    assert network.seen == []


def test_hint_with_address_of_leader_works(record: Callable[..., Recorder], open_store: Open) -> None:
    leader = record()
    standby = record(f"{leader.url}PATH")
    with pytest.raises(StorageUnavailable) as refused:
        open_store({"VAULT_ADDR": standby.url, "VAULT_TOKEN": TOKEN})
    named = str(refused.value.hint).partition("AWS_VAULT_HASHICORP_ADDRESS=")[2]
    with pytest.raises(StorageUnavailable, match="cannot look up the token"):
        open_store({"VAULT_ADDR": standby.url, "VAULT_TOKEN": TOKEN}, address=named)
    assert leader.seen


def test_redirect_loop_is_an_error(
    record: Callable[..., Recorder], open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.0)
    here = record("PATH")
    with pytest.raises(StorageUnavailable, match="redirects to a leader that does not answer"):
        open_store({"VAULT_ADDR": here.url, "VAULT_TOKEN": TOKEN})
    assert len(here.seen) == 3  # the request, and two that it was sent on to


def test_certificate_of_leader_is_verified(
    record: Callable[..., Recorder], certificate: Path, tmp_path: Path, open_store: Open
) -> None:
    leader = record(certificate=certificates.of_loopback(tmp_path / "other.pem"))
    standby = record(f"{leader.url}PATH", certificate)
    with pytest.raises(StorageUnavailable, match="not from a trusted authority"):
        open_store({"VAULT_TOKEN": TOKEN, "VAULT_CACERT": str(certificate)}, address=f"{standby.url},{leader.url}")
    assert leader.seen == []


def test_later_requests_send_index(record: Callable[..., Recorder], context: Callable[..., Any]) -> None:
    """A member that answers reads itself may lag behind: X-Vault-Index names the state that it must have."""
    here = record(index="canary-index")
    host = context({"VAULT_ADDR": here.url})
    made = client.VaultClient(host, server(host))
    for _ in range(2):
        made.send(lambda client: client.auth.token.lookup_self())
    made._health(here.url)
    made.close()
    assert here.indexes == [None, "canary-index", None]
