"""The HTTP transport: proxies, never plain HTTP, and limits for responses."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st

from support import proxies
from support.endless import endless
from support.lossy_proxy import LossyProxy
from support.openbao import Server
from vault_core.api import Cancelled, ConfigError, Secret, StorageUnavailable, is_loopback, refuse_plain_http
from vault_plugin_hashicorp import client
from vault_plugin_hashicorp.server import server
from vault_plugin_hashicorp.transport import Transport
from vault_testkit import FakeContext

Open = Callable[..., Any]


@pytest.mark.parametrize(
    ("environ", "is_used"),
    [
        ({"http_proxy": "PROXY"}, True),
        ({"ALL_PROXY": "PROXY"}, True),
        ({"VAULT_PROXY_ADDR": "PROXY", "NO_PROXY": "*"}, True),
        ({"http_proxy": "PROXY", "NO_PROXY": "192.0.2.0/24"}, False),
        ({"http_proxy": "PROXY", "no_proxy": "example.com,192.0.2.7"}, False),
        ({"http_proxy": "PROXY", "no_proxy": "*"}, False),
        ({"http_proxy": "PROXY", "no_proxy": "example.com"}, True),
        ({"HTTP_PROXY": "PROXY"}, True),
        ({"HTTP_PROXY": "PROXY", "REQUEST_METHOD": "GET"}, False),
    ],
)
def test_proxies_follow_settings(
    environ: dict[str, str], is_used: bool, openbao: Server, front: LossyProxy, context: Callable[..., FakeContext]
) -> None:
    """For a reserved address (RFC 5737): a request to it can only arrive through the proxy."""
    told = {name: text.replace("PROXY", front.url) for name, text in environ.items()}
    host = context(told | {"AWS_VAULT_PLAIN_HTTP": "192.0.2.7"}, address="http://192.0.2.7:8200")
    assert bool(server(host).proxies_for("http://192.0.2.7:8200/v1/x")) == is_used
    if is_used:
        made = client.VaultClient(host, server(host))
        assert made.send(lambda client: client.auth.token.lookup_self()).status_code == 403
        assert [seen.path for seen in front.seen] == ["http://192.0.2.7:8200/v1/auth/token/lookup-self"]
        made.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_loopback_never_uses_proxy(
    scheme: str, name: str, openbao: Server, front: LossyProxy, context: Callable[..., FakeContext], open_store: Open
) -> None:
    """It would be sent to the network unencrypted; Vault's own programs do not use a proxy here, either."""
    environ = proxies.everywhere(front.url) | {"VAULT_TOKEN": openbao.token, "VAULT_PROXY_ADDR": front.url}
    if (scheme, name) == ("http", "127.0.0.1"):
        open_store(openbao.environ() | environ)
    address = f"{scheme}://{name}:8200"
    assert server(context(environ, address=address)).proxies_for(f"{address}/v1/x") == {}
    assert front.seen == []


@pytest.mark.parametrize(
    "address", ["http://vault.example.com:8200", "http://127.1:8200", "http://vault\\.localhost", "https://a,http://b"]
)
def test_plain_http_is_refused(address: str, front: LossyProxy, open_store: Open) -> None:
    with pytest.raises(ConfigError, match=r"would carry secrets in the clear|does not name a server") as refused:
        open_store({"VAULT_TOKEN": "canary", "http_proxy": front.url}, address=address)
    assert refused.value.exit_code == 2
    assert front.seen == []


def test_plain_http_is_allowed_by_setting(openbao: Server, front: LossyProxy, open_store: Open) -> None:
    environ = {"VAULT_TOKEN": openbao.token, "http_proxy": front.url, "AWS_VAULT_PLAIN_HTTP": "vault"}
    store, host = open_store(environ, address="http://vault:8200")
    store.put("test/key", Secret("value"))
    assert host.notes == []


PIECES = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "api.localhost",
    "127.1",
    "evil.example",
    ":80",
    "user",
]
PIECES += ["@", "\\", "/", "#", "?", "%2f", "%40", "%5b", ";", " ", "\t", "\n", ".", "//", "[", "]", "\u3002", "\uff0e"]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join))
@example("evil.example\\@localhost")
def test_loopback_check_matches_url_library(rest: str) -> None:
    """URL parsers differ; the token is sent by the one that the check does not use."""
    url = f"http://{rest}"
    try:
        refuse_plain_http(url, {})
        prepared = requests.Request("GET", url).prepare().url
        hosts = [urllib3.util.parse_url(text).host for text in (url, prepared)]  # type: ignore[arg-type]  # requests prepares each URL or raises
    except (ConfigError, requests.exceptions.RequestException, urllib3.exceptions.LocationParseError):
        return
    assert all(is_loopback(str(host).strip("[]")) for host in hosts)


# -- answers without an end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True], ids=["until the end", "in chunks"])
@pytest.mark.parametrize("status", [200, 307, 403, 503])
def test_endless_response_is_limited(
    status: int, chunked: bool, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.0)
    with endless(status, chunked=chunked, headers="Location: /v1/x\r\n") as running:
        with pytest.raises(StorageUnavailable, match="is larger than 4 MiB"):
            open_store({"VAULT_ADDR": running.url, "VAULT_TOKEN": "x"})
        assert running.sent < 32 * 2**20


@pytest.mark.parametrize("length", ["-1", "-ffff"])
def test_negative_chunk_length_is_limited(length: str, open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """http.client reads such a chunk to the end of the connection at once."""
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.0)
    with endless(length=length) as running:
        with pytest.raises(StorageUnavailable, match="is larger than 4 MiB"):
            open_store({"VAULT_ADDR": running.url, "VAULT_TOKEN": "x"})
        assert running.sent < 32 * 2**20


def test_endless_chunk_length_is_limited(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.0)
    with endless(line=True) as running:
        with pytest.raises(StorageUnavailable, match="closed the connection"):
            open_store({"VAULT_ADDR": running.url, "VAULT_TOKEN": "x"})
        assert running.sent < 32 * 2**20


def test_endless_health_response_is_ignored(context: Callable[..., FakeContext]) -> None:
    with endless() as running:
        host = context({"VAULT_ADDR": running.url})
        made = client.VaultClient(host, server(host))
        assert made._health(running.url) is None
        made.close()


@pytest.mark.parametrize("body", [b"[" * 100_000, gzip.compress(b" " * 64 * 2**20)], ids=["deep", "bomb"])
def test_compressed_response_is_refused(body: bytes, open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            if body[:1] != b"[":
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        with pytest.raises(StorageUnavailable, match="is not from Vault or OpenBao"):
            open_store({"VAULT_ADDR": f"http://127.0.0.1:{running.server_address[1]}", "VAULT_TOKEN": "x"})
        running.shutdown()


def prepared(made: Transport) -> Any:
    return made.prepare_request(requests.Request("GET", "http://127.0.0.1:1/v1/secret")).headers


def test_requests_ask_for_no_compression(context: Callable[..., FakeContext]) -> None:
    with Transport(server(context({"VAULT_ADDR": "http://127.0.0.1:1"}))) as made:
        assert prepared(made)["Accept-Encoding"] == "identity"


def test_index_is_kept_if_response_has_none(context: Callable[..., FakeContext]) -> None:
    with Transport(server(context({"VAULT_ADDR": "http://127.0.0.1:1"}))) as made:
        for headers in ({"X-Vault-Index": "7"}, {}):
            made._remember_index(SimpleNamespace(headers=headers))
        assert prepared(made)["X-Vault-Index"] == "7"


@pytest.mark.parametrize("cancelled", [True, False])
def test_call_that_does_not_return_is_abandoned(
    cancelled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        if cancelled:
            raise Cancelled("over")

    monkeypatch.setattr(client, "ANSWER_SECONDS", 60.0 if cancelled else 0.1)
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.0)
    made, never = client.VaultClient.__new__(client.VaultClient), threading.Event()
    made._context = FakeContext(tmp_path)
    monkeypatch.setattr(made._context, "check", check)
    threading.Timer(5, never.set).start()
    with pytest.raises(Cancelled if cancelled else requests.exceptions.ReadTimeout):
        made._wait(never.wait)
