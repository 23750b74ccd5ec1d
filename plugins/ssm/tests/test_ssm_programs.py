"""A profile whose keys come from another program, or from where the machine has them: what these are told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.recording_proxy import Fault, RecordingProxy, running
from vault_core.api import ConfigError, PassphraseError, SourceUnavailable
from vault_plugin_ssm import source
from vault_testkit.context import FakeContext

PASSPHRASE = "correct horse battery staple, canary"
SECRETS = dict.fromkeys(
    (
        "AWS_VAULT_FILE_PASSPHRASE",
        "AWS_VAULT_PASSPHRASE_COMMAND",
        "AWS_VAULT_HASHICORP_PASSWORD",
        "AWS_VAULT_SAFE_COMBINATION",  # of a plugin of somebody else, who alone knows that it is secret
        "AWS_VAULT_BACKEND_KEY",
        "VAULT_TOKEN",
        "BAO_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_PROFILE",
        "AWS_ACCOUNT_ID",
        "AWS_CREDENTIAL_SCOPE",
        "AWS_SECRET_KEY",
    ),
    "canary",
)
KEPT = {
    "AWS_VAULT_BACKEND": "file",
    "AWS_VAULT_PASSPHRASE_SOURCE": "ssm",
    "AWS_VAULT_SSM_PARAMETER": "/p",
    "AWS_CA_BUNDLE": "",
    "VAULT_ADDR": "https://vault.example.com",
    "CORP_LOGIN": "ana",
}


@pytest.fixture
def program(ssm: Any, tmp_path: Path) -> Path:
    """The program of a source profile: it writes down its environment and gives alice's keys."""
    path = tmp_path / "keys"
    answer = {"Version": 1, "AccessKeyId": ssm.moto.alice.access_key_id}
    answer["SecretAccessKey"] = ssm.moto.alice.secret_access_key
    path.write_text(f"#!/bin/sh\nenv > {tmp_path}/environ\necho '{json.dumps(answer)}'\n")
    path.chmod(0o755)
    ssm.profile(
        f"[profile reader]\nrole_arn = {ssm.moto.role_a}\nsource_profile = base\n"
        f"[profile base]\ncredential_process = {path}\n"
    )
    return path


def told(tmp_path: Path) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in (tmp_path / "environ").read_text().splitlines())


@pytest.mark.parametrize("own", [True, False], ids=["its own", "behind a role"])
def test_a_program_is_told_no_secret(
    own: bool, ssm: Any, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (SECRETS | KEPT | {"PROCESS": "canary"}).items():
        monkeypatch.setenv(name, value)
    ssm.environ |= SECRETS | KEPT
    if own:
        ssm.profile(f"[profile reader]\ncredential_process = {program}\n")
    assert ssm.get().reveal_text() == PASSPHRASE
    given = told(tmp_path)
    assert not {name for name, value in given.items() if value == "canary"}
    kept = {name: ssm.environ[name] for name in (*KEPT, "HOME", "PATH", "AWS_CONFIG_FILE", "AWS_REGION")}
    assert kept.items() <= given.items()


def test_a_program_is_not_told_where_a_passphrase_is(
    ssm: Any, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host leaves these variables to children: a nested awsv needs them. This program must not ask with them."""
    ways = {f"AWS_VAULT_{name}": "canary" for name in ("FILE_PASSPHRASE_FILE", "FILE_PASSPHRASE_COMMAND")}
    monkeypatch.setattr(FakeContext, "child_environ", property(lambda context: context.environ))
    ssm.environ |= ways
    assert ssm.get().reveal_text() == PASSPHRASE
    assert "canary" not in told(tmp_path).values()


def test_a_program_does_not_read_what_is_for_the_child_of_exec(ssm: Any, program: Path, tmp_path: Path) -> None:
    """It may be a passphrase, too."""
    program.write_text(program.read_text().replace("env >", f"cat > {tmp_path}/read; env >"))
    before = os.dup(0)
    reader, writer = os.pipe()
    try:
        os.write(writer, b"canary")
        os.close(writer)
        os.dup2(reader, 0)
        assert ssm.get().reveal_text() == PASSPHRASE
        assert os.read(0, 100) == b"canary"
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reader)
    assert (tmp_path / "read").read_bytes() == b""


def test_awsv_knows_itself_in_a_program(ssm: Any, front: RecordingProxy, program: Path, tmp_path: Path) -> None:
    """A way back to awsv that no line of the config shows ends there: else each would start the next, for ever."""
    assert ssm.get().reveal_text() == PASSPHRASE
    assert front.actions == ["AssumeRole", "GetParameter"]
    ssm.environ |= {name: text for name, text in told(tmp_path).items() if name.startswith("AWS_VAULT_")}
    with pytest.raises(ConfigError, match="the program that gives its keys runs awsv again"):
        ssm.get()
    assert len(front.calls) == 2


@pytest.mark.parametrize("says", ["<html>canary</html>", "[]", '{"Version": 1', "'\\377\\376canary'"])
def test_a_program_that_gives_no_keys(ssm: Any, front: RecordingProxy, program: Path, says: str) -> None:
    program.write_text(f"#!/bin/sh\nprintf '%b' '{says}'\n")
    with pytest.raises(SourceUnavailable, match="the program of profile 'base' gives no keys") as error:
        ssm.get()
    assert "canary" not in f"{error.value.message} {error.value.hint}"
    assert front.calls == []


def test_a_program_that_cannot_be_started(ssm: Any, front: RecordingProxy, program: Path) -> None:
    program.unlink()
    with pytest.raises(PassphraseError, match="the program of profile 'base' cannot be started: No such file") as error:
        ssm.get()
    assert error.value.hint == "correct its credential_process"
    assert front.calls == []


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"AccessKeyId": 1, "SecretAccessKey": None}, r"has no keys now \(TypeError at "),
        (
            {
                "AccessKeyId": "a",
                "SecretAccessKey": "canary",
                "SessionToken": "t",
                "Expiration": "2001-01-01T00:00:00Z",
            },
            r"has no keys now \(RuntimeError at ",
        ),
    ],
    ids=["no text", "expired"],
)
def test_keys_that_are_of_no_use_are_no_answer_of_aws(
    ssm: Any, front: RecordingProxy, program: Path, keys: dict[str, Any], told: str
) -> None:
    program.write_text(f"#!/bin/sh\necho '{json.dumps({'Version': 1, **keys})}'\n")
    ssm.profile(f"[profile reader]\ncredential_process = {program}\n")
    with pytest.raises(SourceUnavailable, match=f"profile 'reader' {told}") as error:
        ssm.get()
    assert "canary" not in f"{error.value.message} {error.value.hint}"
    assert front.calls == []


def test_a_web_identity_of_a_profile_whose_token_is_gone(ssm: Any, front: RecordingProxy, tmp_path: Path) -> None:
    file = f"web_identity_token_file = {tmp_path}/gone"
    ssm.profile(f"[profile reader]\nrole_arn = {ssm.moto.role_a}\n{file}\n")
    with pytest.raises(PassphraseError, match=r"profile 'reader' cannot be used: .*/gone: No such file"):
        ssm.get()
    assert front.calls == []


def test_keys_of_the_environment_are_those_of_the_context(
    ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "HOSTILE")
    ssm.profile(f"[profile reader]\nrole_arn = {ssm.moto.role_a}\ncredential_source = Environment\n")
    assert ssm.get().reveal_text() == PASSPHRASE
    assert (front.calls[0].action, front.calls[0].access_key_id) == ("AssumeRole", ssm.moto.alice.access_key_id)
    del ssm.environ["AWS_ACCESS_KEY_ID"]
    with pytest.raises(SourceUnavailable, match="profile 'reader' has no keys now: Environment failed"):
        ssm.get()


def test_keys_of_the_machine_are_asked_of_the_machine(
    ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the proxy of the process it would be another machine's role."""
    with running(front.url) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        ssm.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = front.url
        ssm.profile(f"[profile reader]\nrole_arn = {ssm.moto.role_a}\ncredential_source = Ec2InstanceMetadata\n")
        assert ssm.get().reveal_text() == PASSPHRASE
        assert proxy.calls == []
    *_, role, _parameter = front.calls
    assert (role.action, role.access_key_id) == ("AssumeRole", "test-key")


def test_keys_of_a_container_are_asked_where_the_context_says(
    ssm: Any, front: RecordingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")
    alice = ssm.moto.alice
    answer = {"AccessKeyId": alice.access_key_id, "SecretAccessKey": alice.secret_access_key}
    answer |= {"Token": "token", "Expiration": "2099-01-01T00:00:00Z"}
    front.on("GET /keys", Fault(200, json.dumps(answer).encode()))
    ssm.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{front.url}/keys"
    ssm.profile(f"[profile reader]\nrole_arn = {ssm.moto.role_a}\ncredential_source = EcsContainer\n")
    assert ssm.get().reveal_text() == PASSPHRASE
    assert front.actions == ["GET /keys", "AssumeRole", "GetParameter"]
    assert front.calls[1].access_key_id == alice.access_key_id


def test_a_program_has_more_time_than_aws(ssm: Any, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LIMIT_SECONDS", 0.1)
    program.write_text(program.read_text().replace("#!/bin/sh\n", "#!/bin/sh\nsleep 0.5\n"))
    assert ssm.get().reveal_text() == PASSPHRASE
