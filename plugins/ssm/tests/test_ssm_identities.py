"""Who reads the parameter: what each of the four words means, and that nothing else is ever used."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support import recording_proxy as fault
from support.busy import seconds
from support.moto import REGION
from support.recording_proxy import RecordingProxy, running
from vault_core.api import ConfigError, PassphraseError, SourceUnavailable, VaultError
from vault_plugin_ssm.choices import identity

PASSPHRASE = "correct horse battery staple, canary"
NOBODY = {"AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": "nobody", "AWS_SESSION_TOKEN": "nobody"}


def refused(ssm: Any, kind: type[VaultError], words: str) -> VaultError:
    with pytest.raises(kind, match=words) as caught:
        ssm.get()
    return caught.value


# -- environment -------------------------------------------------------------------------------------------------------


def test_the_environment_with_a_session(ssm: Any, front: RecordingProxy) -> None:
    session = ssm.moto.client("sts", ssm.moto.alice).assume_role(RoleArn=ssm.moto.role_a, RoleSessionName="shell")
    keys = session["Credentials"]
    ssm.environ |= {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
    assert ssm.get().reveal_text() == PASSPHRASE
    assert front.calls[0].session_token == keys["SessionToken"]


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_the_environment_without_a_key_falls_back_to_nothing(ssm: Any, front: RecordingProxy, name: str) -> None:
    ssm.environ[name] = ""
    (Path(ssm.environ["AWS_SHARED_CREDENTIALS_FILE"])).write_text(f"[default]\n{ssm.keys()}")
    refused(ssm, PassphraseError, f"names the environment, and {name} is not set")
    assert front.calls == []


# -- profile:NAME ------------------------------------------------------------------------------------------------------


def test_a_profiles_plain_key_and_not_the_environments(ssm: Any, front: RecordingProxy) -> None:
    ssm.environ |= NOBODY | {"AWS_PROFILE": "somebody", "AWS_DEFAULT_PROFILE": "somebody"}
    ssm.profile(f"[profile reader]\nregion = {REGION}\n", f"[reader]\n{ssm.keys()}")
    assert ssm.get().reveal_text() == PASSPHRASE
    assert [call.access_key_id for call in front.calls] == [ssm.moto.alice.access_key_id]


def test_a_role_behind_a_role(ssm: Any, front: RecordingProxy) -> None:
    ssm.environ |= NOBODY
    ssm.profile(
        f"[profile reader]\nrole_arn = {ssm.moto.role_b}\nsource_profile = middle\n"
        f"[profile middle]\nrole_arn = {ssm.moto.role_a}\nsource_profile = base\n[profile base]\n{ssm.keys()}"
    )
    assert ssm.get().reveal_text() == PASSPHRASE
    assert front.actions == ["AssumeRole", "AssumeRole", "GetParameter"]
    assert front.calls[0].access_key_id == ssm.moto.alice.access_key_id
    assert front.calls[2].access_key_id.startswith("ASIA")


def test_the_program_of_somebody_else(ssm: Any, front: RecordingProxy, tmp_path: Path) -> None:
    script = tmp_path / "other.py"
    alice = ssm.moto.alice
    answer = {"Version": 1, "AccessKeyId": alice.access_key_id, "SecretAccessKey": alice.secret_access_key}
    script.write_text(f"print({json.dumps(answer)!r})")
    ssm.profile(f"[profile reader]\ncredential_process = {sys.executable} {script}\n")
    assert ssm.get().reveal_text() == PASSPHRASE
    script.write_text("import sys; sys.exit('process-canary')")
    error = refused(ssm, SourceUnavailable, "profile 'reader' has no keys now: custom-process failed")
    assert "process-canary" not in error.message


def test_a_program_may_take_longer_than_aws(ssm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault_plugin_ssm.source.LIMIT_SECONDS", 0.5)
    monkeypatch.setattr("vault_plugin_ssm.aws_call.PROGRAM_SECONDS", 1.0)
    script = tmp_path / "other.py"
    script.write_text("import time; time.sleep(20)")
    ssm.profile(
        f"[profile reader]\nrole_arn = {ssm.moto.role_a}\nsource_profile = base\n"
        f"[profile base]\ncredential_process = {sys.executable} {script}\n"
    )
    refused(ssm, SourceUnavailable, r"did not answer within 1\.5 s")
    monkeypatch.setattr("vault_plugin_ssm.source.LIMIT_SECONDS", seconds(5))
    ssm.profile(f"[profile reader]\n{ssm.keys()}")
    ssm.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    refused(ssm, SourceUnavailable, "cannot be reached")


def test_a_profile_with_nothing_falls_back_to_nothing(
    ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "boto").write_text("[Credentials]\naws_access_key_id = AKIABOTO\naws_secret_access_key = boto\n")
    machine = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": front.url, "BOTO_CONFIG": str(tmp_path / "boto")}
    for name, value in machine.items():
        monkeypatch.setenv(name, value)
    ssm.environ |= machine
    ssm.profile(f"[profile reader]\nregion = {REGION}\n")
    refused(ssm, PassphraseError, "profile 'reader' has no keys")
    assert front.calls == []


def test_no_such_profile(ssm: Any, front: RecordingProxy) -> None:
    ssm.profile("[profile other]\n")
    refused(ssm, ConfigError, "no profile 'reader' in .*/config")
    assert front.calls == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[profile reader]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n", "cannot be used: Partial credentials"),
        ("[profile reader]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = gone\n", "cannot be used: .*gone"),
    ],
)
def test_a_profile_that_makes_no_sense(ssm: Any, front: RecordingProxy, config: str, words: str) -> None:
    ssm.profile(config)
    refused(ssm, PassphraseError, words)
    assert front.calls == []


@pytest.mark.parametrize("where", ["reader", "base"])
def test_nobody_is_asked_for_a_code(ssm: Any, front: RecordingProxy, where: str) -> None:
    mfa = {where: "mfa_serial = arn:aws:iam::123456789012:mfa/phone\n"}
    ssm.profile(
        f"[profile reader]\nrole_arn = {ssm.moto.role_b}\nsource_profile = base\n{mfa.get('reader', '')}"
        f"[profile base]\nrole_arn = {ssm.moto.role_a}\nsource_profile = keys\n{mfa.get('base', '')}"
        f"[profile keys]\n{ssm.keys()}"
    )
    refused(ssm, ConfigError, f"profile '{where}' needs an MFA code")
    assert front.calls == []


def test_an_sso_profile_without_a_login(ssm: Any, front: RecordingProxy) -> None:
    ssm.profile(
        "[profile reader]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Reader\n"
        f"[sso-session corp]\nsso_region = {REGION}\nsso_start_url = https://corp.example/start\n"
    )
    refused(ssm, SourceUnavailable, r"the SSO session of profile 'reader' is over.*aws sso login --profile reader")
    assert front.calls == []


def test_a_role_that_may_not_be_assumed(ssm: Any, front: RecordingProxy) -> None:
    ssm.profile(f"[profile reader]\nrole_arn = {ssm.moto.role_a}\nsource_profile = base\n[profile base]\n{ssm.keys()}")
    front.on("AssumeRole", fault.deny("alice may not"))
    refused(ssm, SourceUnavailable, "profile 'reader' did not get keys: AWS refused AssumeRole: alice may not")
    assert front.actions == ["AssumeRole"]


# -- imds --------------------------------------------------------------------------------------------------------------


def test_the_instances_role(ssm: Any, front: RecordingProxy) -> None:
    ssm.environ |= NOBODY | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": front.url}
    ssm.options["credentials"] = identity("imds")
    assert ssm.get().reveal_text() == PASSPHRASE
    *metadata, last = front.calls
    assert {call.action.split("/")[1] for call in metadata} == {"latest"}
    assert (last.action, last.access_key_id) == ("GetParameter", "test-key")


def test_no_proxy_is_asked_for_the_instances_role(
    ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would answer with the role of the machine that it runs on."""
    with running(front.url) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        ssm.environ |= NOBODY | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": front.url}
        ssm.options["credentials"] = identity("imds")
        assert ssm.get().reveal_text() == PASSPHRASE
        assert proxy.calls == []


def test_no_instance(ssm: Any, front: RecordingProxy) -> None:
    ssm.options["credentials"] = identity("imds")
    ssm.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    refused(ssm, PassphraseError, "this machine's instance role has no keys")
    ssm.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://metadata.example"
    refused(ssm, ConfigError, "http://metadata.example is no metadata service")
    assert front.calls == []


# -- web-identity ------------------------------------------------------------------------------------------------------


def test_a_web_identity(ssm: Any, front: RecordingProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", front.url)  # nobody else is asked to sign
    (tmp_path / "token").write_text("eyJhbGciOiJub25lIn0.e30.\n")
    ssm.environ |= NOBODY | {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": ssm.moto.role_a,
        "AWS_ROLE_SESSION_NAME": "ci",
    }
    ssm.options["credentials"] = identity("web-identity")
    assert ssm.get().reveal_text() == PASSPHRASE
    assert front.actions == ["AssumeRoleWithWebIdentity", "GetParameter"]
    [sts, _] = front.calls
    assert sts.access_key_id == ""
    assert dict(sts.parameters)["RoleArn"] == ssm.moto.role_a
    assert dict(sts.parameters)["WebIdentityToken"] == "eyJhbGciOiJub25lIn0.e30."


def test_a_web_identity_that_is_not_there(ssm: Any, front: RecordingProxy, tmp_path: Path) -> None:
    ssm.options["credentials"] = identity("web-identity")
    refused(ssm, PassphraseError, "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN is not set")
    ssm.environ |= {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "gone"), "AWS_ROLE_ARN": ssm.moto.role_a}
    refused(ssm, PassphraseError, "token .*/gone cannot be read: No such file")
    assert front.calls == []
