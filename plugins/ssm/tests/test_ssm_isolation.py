"""Nothing of the process decides, nothing travels in the clear, and nothing heavy loads before it is needed."""

from __future__ import annotations

import logging
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import certificates, proxies
from support.endless import endless
from support.moto import REGION, MotoServer
from support.recording_proxy import Fault, RecordingProxy, running
from vault_core.api import ConfigError, PassphraseError, SourceUnavailable
from vault_plugin_ssm import isolated
from vault_plugin_ssm.choices import identity

PASSPHRASE = "correct horse battery staple, canary"


def test_a_hostile_process_environment_changes_nothing(
    ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The context's environment is a copy from the start: what a library sets later does not count."""
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "config").write_text("[[[ not a config\n")
    (hostile / "hostile.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(hostile)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAHOSTILE",
        "AWS_SECRET_ACCESS_KEY": "hostile",
        "AWS_SESSION_TOKEN": "hostile",
        "AWS_PROFILE": "nonexistent",
        "AWS_CONFIG_FILE": str(hostile / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(hostile / "config"),
        "AWS_DATA_PATH": str(hostile),
        "AWS_DEFAULT_REGION": "hostile-1",
        "AWS_REGION": "hostile-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "many",
        "AWS_RETRY_MODE": "hostile",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nowhere",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "AWS_BEARER_TOKEN_SSM": "hostile",
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "evil=hostile",
    }.items():
        monkeypatch.setenv(name, value)
    assert ssm.get().reveal_text() == PASSPHRASE
    [call] = front.calls
    assert (call.access_key_id, call.session_token, call.region) == (ssm.moto.alice.access_key_id, "", REGION)
    assert "hostile" not in sys.modules


def test_config_files_count_for_a_profile_only(ssm: Any, front: RecordingProxy) -> None:
    ssm.root.joinpath("config").write_text("[[[ not a config\n")
    assert ssm.get().reveal_text() == PASSPHRASE
    assert front.calls[0].region == REGION


@pytest.mark.parametrize("setting", ["variable", "service variable", "profile", "services"])
def test_endpoints_that_are_set(ssm: Any, front: RecordingProxy, setting: str) -> None:
    name_endpoint(ssm, setting, front.url)
    assert ssm.get().reveal_text() == PASSPHRASE


def name_endpoint(ssm: Any, setting: str, url: str) -> None:
    """Set an endpoint in one of the places that the SDKs know."""
    ssm.profile(f"[profile reader]\n{ssm.keys()}")
    del ssm.environ["AWS_ENDPOINT_URL"]
    match setting:
        case "variable":
            ssm.environ["AWS_ENDPOINT_URL"] = url
        case "service variable":
            ssm.environ |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_SSM": url}
        case "profile":
            ssm.profile(f"[profile reader]\nendpoint_url = {url}\n{ssm.keys()}")
        case _:
            ssm.profile(
                f"[profile reader]\nservices = near\n{ssm.keys()}[services near]\nssm =\n  endpoint_url = {url}\n"
            )


def test_endpoints_that_are_not_set_here(ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the process, and one that the user said to ignore; AWS itself cannot be reached from this test."""
    ssm.environ["https_proxy"] = "http://127.0.0.1:9"
    ssm.environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
    with pytest.raises(SourceUnavailable, match="cannot be reached through the proxy"):
        ssm.get()
    del ssm.environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], ssm.environ["AWS_ENDPOINT_URL"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    with pytest.raises(SourceUnavailable, match="cannot be reached through the proxy"):
        ssm.get()
    assert front.calls == []


@pytest.mark.parametrize(
    "endpoint",
    ["http://ssm.example", "http://127.0.0.1.example:80", "http://[2001:db8::1]", "http://evil.example\\@localhost"],
)
def test_no_passphrase_in_the_clear(ssm: Any, front: RecordingProxy, endpoint: str) -> None:
    ssm.environ |= {"AWS_ENDPOINT_URL": endpoint, "HTTP_PROXY": front.url}
    with pytest.raises(ConfigError, match=r"would carry secrets in the clear|does not name a server"):
        ssm.get()
    assert front.calls == []


def test_no_keys_in_the_clear_either(ssm: Any, front: RecordingProxy, tmp_path: Path) -> None:
    """The endpoint of STS, on the way to the parameter."""
    (tmp_path / "token").write_text("token")
    ssm.environ |= {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": ssm.moto.role_a,
        "AWS_ENDPOINT_URL_STS": "http://sts.example",
        "HTTP_PROXY": front.url,
    }
    ssm.options["credentials"] = identity("web-identity")
    with pytest.raises(ConfigError, match=r"http://sts\.example would carry secrets in the clear"):
        ssm.get()
    ssm.profile(f"[profile reader]\nrole_arn = {ssm.moto.role_a}\nsource_profile = base\n[profile base]\n{ssm.keys()}")
    with pytest.raises(ConfigError, match=r"http://sts\.example would carry secrets in the clear"):
        ssm.get()
    assert front.calls == []


def test_proxies_are_those_of_the_context(ssm: Any, front: RecordingProxy, moto: MotoServer) -> None:
    """For a host that nobody has: what reaches it went through the proxy."""
    ssm.environ |= {"AWS_ENDPOINT_URL": "http://ssm.invalid", "AWS_VAULT_PLAIN_HTTP": "ssm.invalid"}
    for spelt in proxies.VARIABLES:
        ssm.environ[spelt] = front.url
        if spelt.lower().startswith("https"):
            with pytest.raises(SourceUnavailable, match="cannot be reached"):
                ssm.get()
        else:
            assert ssm.get().reveal_text() == PASSPHRASE
        del ssm.environ[spelt]
    ssm.environ |= {"http_proxy": front.url, "no_proxy": "invalid"}
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        ssm.get()
    assert len(front.calls) == 4


def test_a_proxy_that_a_request_of_the_web_names_is_not_used(ssm: Any, front: RecordingProxy) -> None:
    """In a CGI program HTTP_PROXY is the header ``Proxy``, so anybody's ("httpoxy")."""
    ssm.environ |= {"AWS_ENDPOINT_URL": "http://ssm.invalid", "AWS_VAULT_PLAIN_HTTP": "*"}
    ssm.environ |= {"REQUEST_METHOD": "GET", "HTTP_PROXY": front.url}
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        ssm.get()
    assert front.calls == []


@pytest.mark.parametrize("setting", ["variable", "service variable", "profile", "services"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_what_is_for_this_machine_goes_to_no_proxy(
    ssm: Any, front: RecordingProxy, moto: MotoServer, setting: str, host: str
) -> None:
    url = front.url.replace("127.0.0.1", host)
    name_endpoint(ssm, setting, url)
    with running(moto.url) as proxy:
        ssm.environ |= proxies.everywhere(proxy.url)
        assert ssm.get().reveal_text() == PASSPHRASE
        assert (front.actions, proxy.calls) == (["GetParameter"], [])


def test_what_is_for_this_machine_goes_to_no_proxy_with_tls_either(ssm: Any, moto: MotoServer, tmp_path: Path) -> None:
    authority = certificates.of_loopback(tmp_path / "certificate.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    with running(moto.url) as proxy, running(moto.url, tls=context) as front:
        ssm.environ |= proxies.everywhere(proxy.url) | {"AWS_ENDPOINT_URL": front.url, "AWS_CA_BUNDLE": str(authority)}
        assert ssm.get().reveal_text() == PASSPHRASE
        assert (front.actions, proxy.calls) == (["GetParameter"], [])


def test_the_keys_of_a_role_go_to_no_proxy_either(ssm: Any, front: RecordingProxy, moto: MotoServer) -> None:
    """Clients that botocore makes by itself: STS, on the way to the parameter."""
    ssm.profile(f"[profile reader]\nrole_arn = {ssm.moto.role_a}\nsource_profile = base\n[profile base]\n{ssm.keys()}")
    with running(moto.url) as proxy:
        ssm.environ |= proxies.everywhere(proxy.url)
        assert ssm.get().reveal_text() == PASSPHRASE
        assert (front.actions, proxy.calls) == (["AssumeRole", "GetParameter"], [])


@pytest.mark.parametrize("chunked", [False, True], ids=["until the end", "in chunks"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_answer_without_an_end_is_cut(ssm: Any, status: int, chunked: bool) -> None:
    with endless(status, chunked=chunked) as server:
        ssm.environ["AWS_ENDPOINT_URL"] = server.url
        with pytest.raises(SourceUnavailable, match="answers with more than 1 MiB"):
            ssm.get()
        assert server.sent < 32 * 2**20


def test_a_chunk_of_negative_length_has_the_same_limit(ssm: Any) -> None:
    """http.client reads such a one to the end of the connection, all at once."""
    with endless(length="-1") as server:
        ssm.environ["AWS_ENDPOINT_URL"] = server.url
        with pytest.raises(SourceUnavailable, match="answers with more than 1 MiB"):
            ssm.get()
        assert server.sent < 32 * 2**20


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_would_blow_up_is_none_of_ssms(ssm: Any, front: RecordingProxy, status: int) -> None:
    front.on("GetParameter", Fault(status, b"[" * 200_000, {"Content-Type": "application/x-amz-json-1.1"}))
    with pytest.raises((SourceUnavailable, PassphraseError)) as refused:
        ssm.get()
    assert "[[" not in refused.value.message


def test_a_redirection_is_not_followed(ssm: Any, front: RecordingProxy, moto: MotoServer) -> None:
    with running(moto.url) as elsewhere:
        front.on("GetParameter", Fault(307, b"", {"Location": elsewhere.url}))
        with pytest.raises((SourceUnavailable, PassphraseError)):
            ssm.get()
        assert elsewhere.calls == []


def test_a_certificate_that_nobody_vouches_for(
    ssm: Any, moto: MotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = certificates.of_loopback(tmp_path / "certificate.pem")
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(authority))  # of the process, not of the context: not looked at
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    with running(moto.url, tls=context) as front:
        ssm.environ["AWS_ENDPOINT_URL"] = front.url
        with pytest.raises(SourceUnavailable, match="certificate that this machine does not trust"):
            ssm.get()
        for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
            ssm.environ[variable] = str(authority)
            assert ssm.get().reveal_text() == PASSPHRASE
            del ssm.environ[variable]
        ssm.profile(f"[profile reader]\nca_bundle = {authority}\n{ssm.keys()}")
        assert ssm.get().reveal_text() == PASSPHRASE
        ssm.environ["AWS_CA_BUNDLE"] = str(tmp_path / "gone")
        with pytest.raises(ConfigError, match="no such CA bundle"):
            ssm.get()


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.CRITICAL])
def test_no_sdk_says_anything_by_itself(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, level: int
) -> None:
    """Where no handler is found on the way, Python prints warnings to standard error by its last resort."""
    isolated.silence()
    for name in ("botocore", "boto3", "urllib3", "s3transfer"):
        logging.getLogger(f"{name}.some.module").log(level, "canary")
    assert (caplog.records, capsys.readouterr()) == ([], ("", ""))


def test_describing_it_loads_no_sdk() -> None:
    heavy = ["boto3", "botocore", "urllib3", "click", "requests", "cryptography", "logging", "subprocess"]
    code = (
        "import sys, vault_core.api; before = set(sys.modules); import vault_plugin_ssm.plugin as p;"
        "p.vault_passphrase_sources(), p.vault_commands();"
        f"print([name for name in {heavy} if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
