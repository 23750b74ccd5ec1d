"""A server that sends us on: to its leader with everything, to no place that could not have been set as its address."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import certificates
from vault_core.api import StorageUnavailable
from vault_plugin_hashicorp import calls

Open = Callable[..., Any]
TOKEN = "canary-token"
ELSEWHERE = "http://vault.example.com:8200"


class Recorder:
    """A server, or a proxy, that notes what it is asked for, with which token.

    :param location: where it sends everybody on; without it, there is nothing.
    :param certificate: of its TLS.
    """

    def __init__(self, location: str, certificate: Path | None) -> None:
        self.seen: list[tuple[str, str | None]] = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recorder.seen.append((self.path, self.headers["X-Vault-Token"]))
                self.send_response(307 if location else 404)
                self.send_header("Location", location.replace("PATH", self.path))
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
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return certificates.of_loopback(tmp_path / "loopback.pem")


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Recorder]]:
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.2)
    made: list[Recorder] = []

    def start(location: str = "", certificate: Path | None = None) -> Recorder:
        made.append(Recorder(location, certificate))
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.mark.parametrize("tls", [True, False], ids=["from TLS", "from loopback"])
@pytest.mark.parametrize(
    "location",
    [
        f"{ELSEWHERE}PATH",
        "HTTP://vault.example.comPATH",
        "http://127.0.0.1@vault.example.comPATH",
        "http://vault.example.com\\@127.0.0.1PATH",
        "http://127.0.0.1.example.comPATH",
        "http://0.0.0.0:8200PATH",
    ],
)
def test_no_token_in_the_clear_to_whom_the_server_names(
    tls: bool, location: str, record: Callable[..., Recorder], certificate: Path, open_store: Open
) -> None:
    """The proxy sees what would go out to the network."""
    network = record()
    here = record(location, certificate if tls else None)
    environ = {"VAULT_ADDR": here.url, "VAULT_TOKEN": TOKEN, "VAULT_CACERT": str(certificate)}
    environ |= {
        "http_proxy": network.url,
    }
    with pytest.raises(
        StorageUnavailable, match=r"sends us on to http://.*, w(here keys would travel in the clear|hich is no address)"
    ) as refused:
        open_store(environ)
    assert network.seen == []
    assert here.seen == [("/v1/auth/token/lookup-self", TOKEN)]
    assert TOKEN not in f"{refused.value.message} {refused.value.hint}"


def test_never_out_of_tls(record: Callable[..., Recorder], certificate: Path, open_store: Open) -> None:
    """Another user of this machine can listen there."""
    loopback = record()
    here = record(f"{loopback.url}PATH", certificate)
    with pytest.raises(StorageUnavailable, match="sends us on to http://127"):
        open_store({"VAULT_ADDR": here.url, "VAULT_TOKEN": TOKEN, "VAULT_CACERT": str(certificate)})
    assert loopback.seen == []


@pytest.mark.parametrize(
    "location", ["ftp://127.0.0.1/PATH", "https://a:canary@127.0.0.1/PATH", "http://[", "https:PATH"]
)
def test_what_could_be_no_address_is_not_followed(
    location: str, record: Callable[..., Recorder], open_store: Open
) -> None:
    with pytest.raises(StorageUnavailable, match="sends us on to ") as refused:
        open_store({"VAULT_ADDR": record(location).url, "VAULT_TOKEN": TOKEN})
    assert "canary" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("tls", [True, False], ids=["from TLS", "from loopback"])
def test_the_leader_is_followed_to_another_address_with_tls(
    tls: bool, record: Callable[..., Recorder], certificate: Path, open_store: Open
) -> None:
    leader = record(certificate=certificate)
    standby = record(f"{leader.url}PATH", certificate if tls else None)
    with pytest.raises(StorageUnavailable, match=r"does not say whom a token belongs to \(HTTP status 404\)"):
        open_store({"VAULT_ADDR": standby.url, "VAULT_TOKEN": TOKEN, "VAULT_CACERT": str(certificate)})
    assert leader.seen == standby.seen == [("/v1/auth/token/lookup-self", TOKEN)]


def test_a_hop_on_this_machine_does_not_leave_it(record: Callable[..., Recorder], open_store: Open) -> None:
    network, there = record(), record()
    here = record(f"{there.url.replace('127.0.0.1', 'localhost')}PATH")
    with pytest.raises(StorageUnavailable, match="does not say whom a token belongs to"):
        open_store({"VAULT_ADDR": here.url, "VAULT_TOKEN": TOKEN, "http_proxy": network.url})
    assert (len(there.seen), network.seen) == (1, [])


def test_a_leader_is_only_trusted_with_a_certificate(
    record: Callable[..., Recorder], certificate: Path, tmp_path: Path, open_store: Open
) -> None:
    leader = record(certificate=certificates.of_loopback(tmp_path / "other.pem"))
    standby = record(f"{leader.url}PATH", certificate)
    with pytest.raises(StorageUnavailable, match="not from an authority that we trust"):
        open_store({"VAULT_ADDR": standby.url, "VAULT_TOKEN": TOKEN, "VAULT_CACERT": str(certificate)})
    assert leader.seen == []
