"""Nothing of the process decides, nothing travels in the clear, and nothing heavy loads before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import proxies
from support.moto import REGION, MotoServer
from support.recording_proxy import Fault, RecordingProxy, running
from vault_core.api import ConfigError, PassphraseError, SourceUnavailable
from vault_plugin_ssm.choices import identity

PASSPHRASE = "correct horse battery staple, canary"


def test_aws_variables_of_process_have_no_effect(
    ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of the context is a copy from the start: what a library sets later does not count."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAHOSTILE",
        "AWS_SECRET_ACCESS_KEY": "hostile",
        "AWS_SESSION_TOKEN": "hostile",
        "AWS_PROFILE": "nonexistent",
        "AWS_CONFIG_FILE": __file__,
        "AWS_REGION": "hostile-1",
        "AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    assert ssm.get().reveal_text() == PASSPHRASE
    [call] = front.calls
    assert (call.access_key_id, call.session_token, call.region) == (ssm.moto.alice.access_key_id, "", REGION)


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


@pytest.mark.parametrize("endpoint", ["http://ssm.example", "http://evil.example\\@localhost"])
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


@pytest.mark.parametrize("setting", ["variable", "service variable", "profile", "services"])
def test_what_is_for_this_machine_goes_to_no_proxy(
    ssm: Any, front: RecordingProxy, moto: MotoServer, setting: str
) -> None:
    name_endpoint(ssm, setting, front.url)
    with running(moto.url) as proxy:
        ssm.environ |= proxies.everywhere(proxy.url)
        assert ssm.get().reveal_text() == PASSPHRASE
        assert (front.actions, proxy.calls) == (["GetParameter"], [])


def test_the_keys_of_a_role_go_to_no_proxy_either(ssm: Any, front: RecordingProxy, moto: MotoServer) -> None:
    """Clients that botocore makes by itself: STS, on the way to the parameter."""
    ssm.profile(f"[profile reader]\nrole_arn = {ssm.moto.role_a}\nsource_profile = base\n[profile base]\n{ssm.keys()}")
    with running(moto.url) as proxy:
        ssm.environ |= proxies.everywhere(proxy.url)
        assert ssm.get().reveal_text() == PASSPHRASE
        assert (front.actions, proxy.calls) == (["AssumeRole", "GetParameter"], [])


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_would_blow_up_is_none_of_ssms(ssm: Any, front: RecordingProxy, status: int) -> None:
    front.on("GetParameter", Fault(status, b"[" * 200_000, {"Content-Type": "application/x-amz-json-1.1"}))
    with pytest.raises((SourceUnavailable, PassphraseError)) as refused:
        ssm.get()
    assert "[[" not in refused.value.message


def test_describing_it_loads_no_sdk() -> None:
    heavy = ["boto3", "botocore", "urllib3", "click", "requests", "cryptography", "logging", "subprocess"]
    code = (
        "import sys, vault_core.api; before = set(sys.modules); import vault_plugin_ssm.plugin as p;"
        "p.vault_passphrase_sources(), p.vault_commands();"
        f"print([name for name in {heavy} if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
