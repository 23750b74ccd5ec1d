"""Which profiles an AWS SDK would take from awsv again: compared with botocore, which really runs the programs."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

import pytest

from vault_core.awsconfig.recursion import find_recursion
from vault_core.awsconfig.shared import AwsConfig

ROLE = "role_arn = arn:aws:iam::123456789012:role/Reader\n"
KEYS = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = not-a-secret\n"
SSO = "sso_account_id = 123456789012\nsso_role_name = Reader\nsso_start_url = https://x.example\n"
PROCESS = "credential_process = {bin}/awsv exec -j work\n"
ANSWER = '{"Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x"}'

GUILTY = {
    "the line itself": ("[profile p]\n" + PROCESS, "", 2),
    "found on PATH": ("[profile p]\nregion = eu-west-1\ncredential_process = awsv exec -j work\n", "", 3),
    "the profile default": ("[default]\n" + PROCESS + "[profile p]\n" + ROLE + "source_profile = default\n", "", 2),
    "behind two roles": (
        f"[profile p]\n{ROLE}source_profile = q\n[profile q]\n{ROLE}source_profile = r\n[profile r]\n{PROCESS}",
        "",
        8,
    ),
    "a role of a profile in both files": (
        f"[profile p]\n{ROLE}source_profile = q\n[profile q]\n{PROCESS}",
        "[p]\nregion = eu-west-1\n",
        5,
    ),
    "in the credentials file": ("[profile p]\nregion = eu-west-1\n", "[p]\n" + PROCESS, 2),
    "the article's wrapper": ("[profile p]\ncredential_process = {bin}/wrapper work\n", "", 2),
    "a script for env": ("[profile p]\ncredential_process = {bin}/shebang work\n", "", 2),
    "a link": ("[profile p]\ncredential_process = {bin}/link\n", "", 2),
    "a shell": ("[profile p]\ncredential_process = /bin/sh -c '{bin}/awsv exec -j work'\n", "", 2),
    "beside a plain key": ("[profile p]\n" + KEYS + PROCESS, "", 4),
    "a role that wins over the plain key beside it": (
        f"[profile p]\n{ROLE}source_profile = q\n{KEYS}[profile q]\n{PROCESS}",
        "",
        7,
    ),
    "a role on the line beside it": ("[profile p]\n" + ROLE + "source_profile = p\n" + KEYS + PROCESS, "", 6),
    "a source with a role, a plain key and the line": (
        f"[profile p]\n{ROLE}source_profile = q\n[profile q]\nsource_profile = r\n{ROLE}{KEYS}{PROCESS}",
        f"[r]\n{KEYS}",
        9,
    ),
    "half a plain key": ("[profile p]\n" + PROCESS, "[p]\naws_secret_access_key = not-a-secret\n", 2),
    "an SSO session that is for something else": ("[profile p]\nsso_session = corp\n" + PROCESS, "", 3),
    "aws-vault, which may be awsv": ("[profile p]\ncredential_process = {bin}/aws-vault exec -j work\n", "", 2),
}
INNOCENT = {
    "another program": ("[profile p]\ncredential_process = {bin}/other awsv-is-not-run\n", ""),
    "a plain key": ("[profile p]\n" + KEYS, ""),
    "a plain key in the credentials file": ("[profile p]\n" + PROCESS, "[p]\n" + KEYS),
    "a role on a plain key of its own": ("[profile p]\n" + ROLE + "source_profile = p\n" + PROCESS, "[p]\n" + KEYS),
    "sso before the line": ("[profile p]\n" + SSO + PROCESS, ""),
    "a role on a plain key": ("[profile p]\n" + ROLE + "source_profile = q\n[profile q]\n" + KEYS, ""),
    "a role of the machine": ("[profile p]\n" + ROLE + "credential_source = Environment\n" + PROCESS, ""),
    "a web identity": (
        f"[profile p]\n{ROLE}web_identity_token_file = /x\nsource_profile = q\n[profile q]\n{PROCESS}",
        "",
    ),
    "profiles in a circle": (f"[profile p]\n{ROLE}source_profile = q\n[profile q]\n{ROLE}source_profile = p\n", ""),
    "no such profile": ("[profile other]\n" + PROCESS, ""),
    "only what awsv reads": ("[profile p]\nvault_source_profile = q\n" + KEYS + "[profile q]\n" + PROCESS, ""),
}


class Machine:
    """Config files, and programs that write down that they ran."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.bin.mkdir()
        self.ran = root / "ran"
        self.files = (root / "config", root / "credentials")
        self.environ = {"PATH": f"{self.bin}:/usr/bin:/bin"}
        self._program("awsv", f"echo awsv >> {self.ran}; echo '{ANSWER}'")
        self._program("aws-vault", f"exec {self.bin}/awsv")
        self._program("other", f"# awsv exec is not run here\necho '{ANSWER}'")
        self._program("wrapper", f"export AWS_VAULT_FILE_PASSPHRASE=x\n\n{self.bin}/awsv exec -j $1")
        (self.bin / "shebang").write_text(f"#!/usr/bin/env -S {self.bin}/awsv exec -j\n")
        (self.bin / "shebang").chmod(0o755)
        (self.bin / "link").symlink_to(self.bin / "awsv")

    def _program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def write(self, *texts: str) -> None:
        for path, text in zip(self.files, texts, strict=True):
            path.write_text(text.replace("{bin}", str(self.bin)))

    def found(self) -> str | None:
        return find_recursion(AwsConfig.load(*self.files), "p", self.environ)

    def runs_awsv(self, monkeypatch: pytest.MonkeyPatch) -> bool:
        """Whether botocore ran it."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import Session

        monkeypatch.setenv("AWS_CONFIG_FILE", str(self.files[0]))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(self.files[1]))
        monkeypatch.setenv("PATH", self.environ["PATH"])
        with contextlib.suppress(BotoCoreError, ClientError):
            Session(profile="p").get_credentials()
        return self.ran.exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.process
@pytest.mark.parametrize("name", GUILTY)
def test_what_comes_back_is_named_with_file_and_line(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    config, credentials, line = GUILTY[name]
    machine.write(config, credentials)
    found = machine.found()
    assert machine.runs_awsv(monkeypatch), "botocore does not run it: this is no example"
    assert found is not None
    path = machine.files["credential_process" not in config]
    text = path.read_text().splitlines()[line - 1]
    assert found == f"{path}:{line}: {text}"


@pytest.mark.process
@pytest.mark.parametrize("name", INNOCENT)
def test_what_does_not_come_back(machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    machine.write(*INNOCENT[name])
    assert machine.found() is None
    assert not machine.runs_awsv(monkeypatch)


def test_a_role_on_its_own_process_may_come_back(machine: Machine) -> None:
    """Botocore refuses it, the SDK for Go runs the process."""
    machine.write(f"[profile p]\n{ROLE}source_profile = p\n{PROCESS}", "")
    assert machine.found() == f"{machine.files[0]}:4: credential_process = {machine.bin}/awsv exec -j work"


def test_a_copy_of_the_launcher_comes_back_under_any_name(machine: Machine) -> None:
    launcher = Path(sys.executable).with_name("awsv")
    shutil.copy(launcher, machine.bin / "keys-of")
    machine.write("[profile p]\ncredential_process = keys-of exec -j work\n", "")
    assert machine.found() == f"{machine.files[0]}:2: credential_process = keys-of exec -j work"
