"""The clients that later tests rely on really ask a ``credential_process``, awsv's included, and really reach moto."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from pathlib import Path

import pytest

from support import parts
from support.busy import seconds
from support.clients import Node
from support.home import PROGRAM, Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import UNLOCKED, add, key_of, state

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"


@pytest.fixture
def asked(home: Home, moto: MotoServer) -> Path:
    """A trivial ``credential_process`` for profile ``work``; it adds a line to this file whenever it is asked."""
    record = home.root / "asked"
    script = home.root / "process.py"
    answer = {
        "Version": 1,
        "AccessKeyId": moto.alice.access_key_id,
        "SecretAccessKey": moto.alice.secret_access_key,
    }
    script.write_text(f"open({str(record)!r}, 'a').write('asked\\n')\nprint({json.dumps(answer)!r})\n")
    command = shlex.join([sys.executable, str(script)])
    home.configure(f"[profile work]\nregion = eu-west-1\ncredential_process = {command}\n")
    return record


def identity(home: Home, *argv: str | Path, env: dict[str, str | None] | None = None) -> str:
    done = home.run(*argv, env=env)
    assert done.returncode == 0, done.stderr
    arn: str = json.loads(done.stdout)["Arn"]
    return arn


def test_aws_cli_v1(home: Home, front: RecordingProxy, asked: Path, aws_v1: Path) -> None:
    assert identity(home, aws_v1, "sts", "get-caller-identity", "--profile", "work") == ALICE
    assert front.actions == ["GetCallerIdentity"]
    assert asked.read_text() == "asked\n"


def test_aws_cli_v2(home: Home, front: RecordingProxy, asked: Path, aws_v2: Path) -> None:
    argv = (aws_v2, "sts", "get-caller-identity", "--profile", "work", "--output", "json", "--endpoint-url", front.url)
    assert identity(home, *argv) == ALICE
    assert front.actions == ["GetCallerIdentity"]
    assert asked.read_text() == "asked\n"


def test_javascript_sdk(home: Home, front: RecordingProxy, asked: Path, node: Node) -> None:
    assert identity(home, node.program, node.identity, "work", front.url, env={**node.env}) == ALICE
    assert front.actions == ["GetCallerIdentity"]
    assert asked.read_text() == "asked\n"


def test_boto3(home: Home, front: RecordingProxy, asked: Path) -> None:
    program = "import boto3, json; print(json.dumps(boto3.client('sts').get_caller_identity()))"
    env = {"AWS_PROFILE": "work", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert identity(home, sys.executable, "-c", program, env={**env}) == ALICE
    assert front.actions == ["GetCallerIdentity"]
    assert asked.read_text() == "asked\n"


# -- behind the line that awsv wrote -----------------------------------------------------------------------------------


@pytest.fixture
def key_id(home: Home, front: RecordingProxy, moto: MotoServer) -> str:
    """The access key of the live session of profile ``role``, whose line ``awsv config credential-process`` wrote."""
    role = f"role_arn = {moto.role_a}\nsource_profile = work\n"
    home.configure(f"[profile work]\nregion = eu-west-1\n[profile role]\nregion = eu-west-1\n{role}")
    add(home, moto.alice)
    done = home.awsv("config", "credential-process", "role", "--yes", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    found = key_of(home, "role", env=UNLOCKED)
    front.forget()
    return found


def signs(home: Home, front: RecordingProxy, *argv: str | Path, env: dict[str, str | None] | None = None) -> set[str]:
    """The access keys that sign the requests of a client, which has to succeed."""
    done = home.run(*argv, env={"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", **(env or {})})
    assert done.returncode == 0, done.stdout + done.stderr
    return {call.access_key_id for call in front.calls}


WHO = ("sts", "get-caller-identity", "--profile", "role")


def test_aws_cli_v1_behind_the_written_line(home: Home, front: RecordingProxy, key_id: str, aws_v1: Path) -> None:
    assert signs(home, front, aws_v1, *WHO) == {key_id}


def test_aws_cli_v2_behind_the_written_line(home: Home, front: RecordingProxy, key_id: str, aws_v2: Path) -> None:
    assert signs(home, front, aws_v2, *WHO, "--endpoint-url", front.url) == {key_id}


def test_boto3_behind_the_written_line(home: Home, front: RecordingProxy, key_id: str) -> None:
    program = "import boto3; boto3.Session(profile_name='role').client('sts').get_caller_identity()"
    assert signs(home, front, sys.executable, "-c", program) == {key_id}


def test_javascript_sdk_behind_the_written_line(home: Home, front: RecordingProxy, key_id: str, node: Node) -> None:
    assert signs(home, front, node.program, node.identity, "role", front.url, env={**node.env}) == {key_id}


def test_rclone_with_the_go_sdk_v2_behind_the_written_line(
    home: Home, front: RecordingProxy, key_id: str, rclone: Path
) -> None:
    remote = {"TYPE": "s3", "PROVIDER": "AWS", "ENV_AUTH": "true", "PROFILE": "role", "ENDPOINT": front.url}
    env = {f"RCLONE_CONFIG_AWS_{name}": value for name, value in remote.items()}
    assert signs(home, front, rclone, "--config", "", "lsd", "aws:", env={**env}) == {key_id}


def test_s5cmd_with_the_go_sdk_v1_behind_the_written_line(
    home: Home, front: RecordingProxy, key_id: str, s5cmd: Path
) -> None:
    """Its option ``--profile`` reads the credentials file alone; the variable reads the config file as well."""
    assert signs(home, front, s5cmd, "--endpoint-url", front.url, "ls", env={"AWS_PROFILE": "role"}) == {key_id}


# -- what the line costs the AWS CLI -----------------------------------------------------------------------------------


def calls(home: Home, *argv: str | Path, env: dict[str, str | None] | None = None) -> list[int]:
    """The system calls of each program that a command runs, the command itself first."""
    strace = shutil.which("strace")
    works = strace and home.run(strace, "-qq", "true").returncode == 0
    program = parts.need("strace", strace if works else None, how="apt-get install strace, and allow ptrace")
    log = home.root / "strace.log"
    done = home.run(program, "-f", "-qq", "-s", "0", "-o", log, *argv, env=env)
    assert done.returncode == 0, done.stderr
    made: dict[str, int] = {}
    programs: list[str] = []
    for line in log.read_text(errors="replace").splitlines():
        process, call = line.split(maxsplit=1)
        made[process] = made.get(process, 0) + 1
        if call.startswith("execve(") and call.endswith(" = 0") and process not in programs:
            programs.append(process)
    return [made[process] for process in programs]


@pytest.mark.unmeasured
def test_written_line_costs_the_cli_one_process_beside_static_keys(
    home: Home, front: RecordingProxy, moto: MotoServer, key_id: str, aws_v1: Path
) -> None:
    began = time.monotonic()
    while not state(home, "memos"):
        assert key_of(home, "role") == key_id
        assert time.monotonic() - began < seconds(30), "no memo was left"
    argv = (aws_v1, "sts", "get-caller-identity")
    static = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    plain = calls(home, *argv, "--region", "eu-west-1", env={**static})
    wired = calls(home, *argv, "--profile", "role")
    assert [call.access_key_id for call in front.calls] == [moto.alice.access_key_id, key_id]
    assert len(wired) == len(plain) + 1
    for path in state(home, "memos"):
        path.unlink()
    [usual] = calls(home, PROGRAM, "exec", "-j", "role")
    assert wired[-1] < usual / 3
