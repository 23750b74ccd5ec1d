"""Which way a request takes, what never leaves without TLS, and the limit on the length of a response."""

from __future__ import annotations

import io
import ssl
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)

from support import certificates, proxies
from support.endless import endless
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import Fault, RecordingProxy, running, server_error
from vault_botocore import transport
from vault_core.api import ConfigError

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
CORP = "http://sts.corp.invalid:80"
OPTED_IN = {"AWS_VAULT_PLAIN_HTTP": "sts.corp.invalid"}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1, with its key, that no machine trusts."""
    return certificates.of_loopback(tmp_path / "certificate.pem")


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """A server's TLS with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


# -- proxies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", proxies.VARIABLES)
def test_request_uses_proxy_of_given_environment(identify: Any, front: RecordingProxy, name: str) -> None:
    """No machine has the host, so a request that reaches it went through the proxy."""
    environ = {name: front.url} | OPTED_IN
    if name.lower().startswith("https"):
        with pytest.raises(EndpointConnectionError):
            identify(environ, CORP)
    else:
        assert identify(environ, CORP) == ALICE


@pytest.mark.parametrize("exempt", ["sts.corp.invalid", "CORP.invalid", "x, .invalid", "*", "sts.corp.invalid:80"])
def test_no_proxy_exempts_named_hosts(identify: Any, front: RecordingProxy, exempt: str) -> None:
    with pytest.raises(EndpointConnectionError):
        identify({"http_proxy": front.url, "NO_PROXY": exempt} | OPTED_IN, CORP)
    assert front.calls == []


@pytest.mark.parametrize("exempt", ["", "orp.invalid", "127.0.0.1", ",", "other.invalid"])
def test_no_proxy_does_not_exempt_other_hosts(identify: Any, front: RecordingProxy, exempt: str) -> None:
    assert identify({"http_proxy": front.url, "no_proxy": exempt} | OPTED_IN, CORP) == ALICE


def test_unreachable_proxy_is_an_error(identify: Any) -> None:
    with pytest.raises(ProxyConnectionError):
        identify({"https_proxy": "http://127.0.0.1:9"}, "https://sts.corp.invalid")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::ffff:127.0.0.1]"])
def test_request_to_this_machine_uses_no_proxy(
    identify: Any, front: RecordingProxy, moto: MotoServer, host: str
) -> None:
    with running(moto.url) as proxy:
        environ = proxies.everywhere(proxy.url)
        assert identify(environ, front.url.replace("127.0.0.1", host)) == ALICE
        assert (front.actions, proxy.calls) == (["GetCallerIdentity"], [])


def test_tls_request_to_this_machine_uses_no_proxy(
    identify: Any, moto: MotoServer, certificate: Path, tls: ssl.SSLContext
) -> None:
    with running(moto.url) as proxy, running(moto.url, tls=tls) as front:
        assert identify(proxies.everywhere(proxy.url), front.url, ca_bundle=str(certificate)) == ALICE
        assert (front.actions, proxy.calls) == (["GetCallerIdentity"], [])


def test_proxy_of_cgi_request_is_not_used(identify: Any, front: RecordingProxy, moto: MotoServer) -> None:
    """In a CGI program HTTP_PROXY is the header ``Proxy`` of the request ("httpoxy")."""
    with running(moto.url) as evil:
        environ = {"REQUEST_METHOD": "GET", "HTTP_PROXY": evil.url} | OPTED_IN
        assert identify({**environ, "http_proxy": front.url}, CORP) == ALICE
        with pytest.raises(EndpointConnectionError):
            identify(environ, CORP)
        assert (front.actions, evil.calls) == (["GetCallerIdentity"], [])


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://sts.example",
        "http://10.1.2.3:4566",
        "http://127.0.0.1.example",
        "http://127.1",
        "http://[2001:db8::1]",
        "http://evil.example\\@localhost",
    ],
)
def test_request_without_tls_is_refused(identify: Any, front: RecordingProxy, endpoint: str) -> None:
    for environ, where in (({}, endpoint), ({"AWS_ENDPOINT_URL": endpoint}, None)):
        with pytest.raises(ConfigError, match=r"would carry secrets in the clear|does not name a server"):
            identify({**environ, "http_proxy": front.url}, where)
    assert front.calls == []


def test_request_without_tls_is_sent_to_hosts_that_the_user_names(identify: Any, front: RecordingProxy) -> None:
    environ = {"http_proxy": front.url, "AWS_VAULT_PLAIN_HTTP": "localstack"}
    assert identify(environ, "http://localstack:4566") == ALICE
    with pytest.raises(ConfigError, match="in the clear"):
        identify(environ, "http://localstack.example:4566")


@pytest.mark.parametrize("named", ["ca_bundle", "profile", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", ""])
def test_certificate_is_trusted_only_by_given_bundle(
    identify: Any,
    moto: MotoServer,
    certificate: Path,
    tls: ssl.SSLContext,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(certificate))  # of the process: no effect
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    more: dict[str, Any] = {}
    if named == "ca_bundle":
        more = {"ca_bundle": str(certificate)}
    elif named == "profile":
        (tmp_path / "config").write_text(f"[profile p]\nca_bundle = {certificate}\n")
        more = {"profile": "p"}
    elif named:
        environ[named] = str(certificate)
    with running(moto.url, tls=tls) as front:
        if named:
            assert identify(environ, front.url, **more) == ALICE
            return
        with pytest.raises(SSLError):
            identify(environ, front.url)
        assert front.calls == []


# -- responses ---------------------------------------------------------------------------------------------------------


def test_failed_request_is_sent_once(identify: Any, front: RecordingProxy) -> None:
    front.on("GetCallerIdentity", server_error())
    with pytest.raises(ClientError):
        identify()
    assert front.actions == ["GetCallerIdentity"]


def test_redirection_is_not_followed(identify: Any, front: RecordingProxy, moto: MotoServer) -> None:
    with running(moto.url) as elsewhere:
        front.on("GetCallerIdentity", Fault(307, b"", {"Location": elsewhere.url}))
        with pytest.raises(Exception):  # noqa: B017 - what botocore makes of the response is not the point
            identify()
        assert elsewhere.calls == []


@pytest.mark.parametrize("chunked", [False, True], ids=["until the end", "in chunks"])
@pytest.mark.parametrize("status", [200, 307, 403, 500])
def test_endless_response_is_cut(identify: Any, status: int, chunked: bool) -> None:
    headers = "Location: http://127.0.0.1:9/\r\n" if status == 307 else ""
    with endless(status, chunked=chunked, headers=headers) as server:
        with pytest.raises(transport.TooLong):
            identify(endpoint=server.url)
        assert server.sent < 32 * 2**20


@pytest.mark.parametrize("length", ["-1", "-ffff"])
def test_chunk_of_negative_length_is_cut(identify: Any, length: str) -> None:
    """http.client reads such a chunk to the end of the connection, all at once."""
    with endless(length=length) as server:
        with pytest.raises(transport.TooLong):
            identify(endpoint=server.url)
        assert server.sent < 32 * 2**20


def test_endless_length_of_a_chunk_is_cut(identify: Any) -> None:
    with endless(line=True) as server:
        with pytest.raises(ConnectionClosedError):
            identify(endpoint=server.url)
        assert server.sent < 32 * 2**20


def test_response_that_is_too_long_is_refused_without_password_of_url() -> None:
    raw = io.BytesIO(b" " * (transport.MAX_BYTES + 1))
    with pytest.raises(transport.TooLong) as refused:
        transport._limited(raw, "https://me:hunter2@sts.example:1/?x=hunter2")
    assert str(refused.value) == "the response of sts.example:1 is longer than 1 MiB"


def test_response_of_maximal_length_is_complete() -> None:
    body = b"x" * transport.MAX_BYTES
    assert transport._limited(io.BytesIO(body), "https://sts.example") == body
