"""After the wiring the real botocore, boto3 and AWS CLI ask our launcher, with exactly the profile's name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import botocore.compat
import botocore.configloader
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.clients import Node
from support.moto import MotoServer
from vault_core.awsconfig.credential_process import propose
from vault_core.awsconfig.quoting import PORTABLE, process_line, process_profile, section_header
from vault_core.awsconfig.shared import AwsConfig
from vault_core.awsconfig.write import save
from vault_core.errors import ConfigError

pytestmark = pytest.mark.process

ODD_NAMES = [
    "plain",
    "my name",
    "Ünïcødé 日本",
    "it's",
    'say "hi"',
    'it\'s "both"',
    "50% of %(x)s",
    " lead and trail  ",
    "a]b",
    "[x]",
    "#hash",
    "x # y ; z",
    "back\\slash",
    "$HOME `id` !x",
    "a=b:c",
    "-dash",
    "tab\there",
    "\u00a0no-break\u2028",
    "default",
    "~",
]


class Machine:
    """An AWS config, and a launcher that hands out a fixed credential and writes down its arguments."""

    def __init__(self, root: Path) -> None:
        self.config = root / "config"
        self.credentials = root / "credentials"
        self.launcher = root / 'it\'s a "folder"' / "awsv"
        self.record = root / "record"
        self.launcher.parent.mkdir()
        self.launcher.write_text(
            "#!/bin/sh\n"
            f"printf '%s\\0' \"$@\" >> '{self.record}'\n"
            """echo '{"Version": 1, "AccessKeyId": "AKIAWIRED", "SecretAccessKey": "s", "SessionToken": "t"}'\n"""
        )
        self.launcher.chmod(0o755)

    def wire(self, *names: str, **options: Any) -> None:
        config = AwsConfig.load(self.config, self.credentials)
        raw = self.config.read_bytes()
        proposal = propose(config, raw, names, self.launcher, **options)
        assert not proposal.skipped, proposal.skipped
        assert not proposal.blocked, proposal.blocked
        save(self.config, raw, proposal.after, locks=self.record.with_name("locks"))

    def asked(self) -> list[str]:
        """The arguments of the launcher's runs since the last call."""
        said = self.record.read_text().split("\0")[:-1] if self.record.exists() else []
        self.record.unlink(missing_ok=True)
        return said


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    made.config.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(made.config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(made.credentials))
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # where moto is, whatever the caller's way to the network
    return made


def taken_from(name: str) -> tuple[str, str]:
    """The access key id that boto3 uses for a profile, and botocore's name of the way it came."""
    credentials = boto3.Session(profile_name=name).get_credentials()
    return credentials.access_key, credentials.method


PROCESS = ("AKIAWIRED", "custom-process")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_name_arrives_as_it_is(machine: Machine, name: str) -> None:
    machine.wire(name)
    assert taken_from(name) == PROCESS
    assert machine.asked() == ["exec", "-j", *(["--"] if name.startswith("-") else []), name]
    before = machine.config.read_bytes()
    machine.wire(name, as_name=f"{name} second")
    assert taken_from(f"{name} second") == PROCESS
    assert machine.asked()[-1] == name
    machine.wire(name, as_name=f"{name} second", undo=True)
    assert machine.config.read_bytes() == before


def test_a_role_profile_needs_the_renaming(machine: Machine) -> None:
    line = f"credential_process = {process_line(machine.launcher, 'role')}"
    role = "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/RoleA\nsource_profile = base\n"
    machine.config.write_text(f"[profile base]\n{line}\n{role}{line}\n")
    assert boto3.Session(profile_name="role").get_credentials().method == "assume-role"  # the line alone is ignored
    assert machine.asked() == ["exec", "-j", "role"]  # of the base profile
    machine.config.write_text(role)
    machine.wire("role")
    assert taken_from("role") == PROCESS
    assert machine.asked() == ["exec", "-j", "role"]


def test_second_profile_has_the_region(machine: Machine) -> None:
    machine.config.write_text("[profile role]\nrole_arn = x\nsource_profile = base\nregion = eu-central-1\n")
    machine.wire("role", as_name="sdk")
    assert taken_from("sdk") == PROCESS
    assert boto3.Session(profile_name="sdk").region_name == "eu-central-1"


CHAINS = {
    "base is plain": "[profile base]\nregion = eu-west-1\n",
    "base is a role": "[profile base]\nrole_arn = arn:x\nsource_profile = deep\n[profile deep]\n",
    "base is its own source": "[profile base]\nrole_arn = arn:x\nsource_profile = base\n",
}


@pytest.mark.parametrize("base", CHAINS.values(), ids=CHAINS)
def test_a_role_left_to_the_sdk_starts_from_a_wired_profile(
    machine: Machine, base: str, moto: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.config.write_text(
        f"{base}[profile left]\nrole_arn = arn:aws:iam::123456789012:role/RoleA\nsource_profile = base\n"
        "role_session_name = me\nregion = eu-west-1\n"
    )
    machine.wire("base")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
    identity = boto3.Session(profile_name="left").client("sts").get_caller_identity()
    assert identity["Arn"].endswith(":assumed-role/RoleA/me")
    assert machine.asked() == ["exec", "-j", "base"]


def test_plain_keys_win_over_the_line_which_is_why_they_are_refused(machine: Machine) -> None:
    """The order that the wiring verifies by is the one that botocore has."""
    line = f"credential_process = {process_line(machine.launcher, 'a')}\n"
    machine.config.write_text(f"[profile a]\n{line}")
    machine.credentials.write_text("[a]\naws_access_key_id = AKIAPLAIN\naws_secret_access_key = s\n")
    assert taken_from("a") == ("AKIAPLAIN", "shared-credentials-file")
    machine.credentials.write_text(f"[a]\ncredential_process = {machine.launcher.parent.parent}/other\n")
    with pytest.raises(FileNotFoundError, match="other"):
        taken_from("a")
    assert machine.asked() == []


@pytest.mark.parametrize("name", ["default", 'it\'s "both" ]#;', " Ünï "])
@pytest.mark.parametrize("version", ["aws_v1", "aws_v2"])
def test_the_cli_asks_too(
    machine: Machine, name: str, version: str, request: pytest.FixtureRequest, moto: MotoServer
) -> None:
    aws = request.getfixturevalue(version)
    a_role(machine, name)
    done = run(machine, [aws, "--profile", name, "--endpoint-url", moto.url, "sts", "get-caller-identity"])
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.asked() == ["exec", "-j", name]


@pytest.mark.parametrize("name", ["default", "a@b.c/d:e", "50%+x"])
def test_the_sdk_for_javascript_asks_too(machine: Machine, name: str, node: Node, moto: MotoServer) -> None:
    a_role(machine, name)
    done = run(machine, [node.program, node.identity, name, moto.url], **node.env)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(PORTABLE, name)
    assert "AKIAWIRED" in done.stdout
    assert machine.asked() == ["exec", "-j", name]


def a_role(machine: Machine, name: str) -> None:
    """A role's profile, wired."""
    machine.config.write_text(
        f"[{section_header(name)}]\nregion = eu-west-1\nrole_arn = x\nsource_profile = y\n", encoding="utf-8"
    )
    machine.wire(name)


def run(machine: Machine, words: Sequence[str | Path], **environ: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(machine.config.parent),
        "LANG": "C.UTF-8",
        "AWS_CONFIG_FILE": str(machine.config),
        "AWS_SHARED_CREDENTIALS_FILE": str(machine.credentials),
        "AWS_EC2_METADATA_DISABLED": "true",
        **environ,
    }
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=60)


NAMES = st.text(min_size=1, max_size=12) | st.text(
    alphabet="a \t'\"\\$`!]#;%=[\r\n\x0b\x85\u2028", min_size=1, max_size=8
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=NAMES)
@example(name="\\")
@example(name="a\\\\\"'")
def test_a_name_is_read_back_by_botocore_or_refused(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    launcher = Path("/opt/my bin/awsv")
    breaks = "\n" in name or "\r" in name
    try:
        header, value = section_header(name), process_line(launcher, name)
    except ConfigError:
        assert breaks
        return
    assert not breaks
    file = tmp_path_factory.getbasetemp() / "names"
    file.write_bytes(f"[{header}]\ncredential_process = {value}\n".encode())
    read = botocore.configloader.load_config(str(file))["profiles"]
    assert read == {name: {"credential_process": value}}
    dashes = ["--"] if name.startswith("-") else []
    assert botocore.compat.compat_shell_split(value) == [str(launcher), "exec", "-j", *dashes, name]
    assert process_profile(value, launcher) == name
