"""The clients that later tests rely on really ask a ``credential_process`` and really reach moto."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from support.clients import Node
from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy

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
