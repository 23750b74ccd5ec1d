"""A config file that is named and not there takes no role and no MFA device away: attacks of a misspelt variable."""

from __future__ import annotations

import os
import shlex

import pytest

from support.home import PROGRAM, Home
from support.moto import MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import UNLOCKED, add

READ_ONLY = "[profile work]\nregion = eu-west-1\nrole_arn = {}\n"


@pytest.fixture
def logged_in(home: Home, moto: MotoServer) -> Home:
    home.configure(READ_ONLY.format(moto.role_a))
    add(home, moto.alice, "work")
    home.env.update(UNLOCKED)
    return home


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_nobody_gets_their_own_session_for_a_role_whose_file_is_misspelt(
    variable: str, logged_in: Home, front: RecordingProxy
) -> None:
    wrong = logged_in.path / ".aws/confgi"
    done = logged_in.awsv("exec", "-j", "work", env={variable: str(wrong), "AWS_DEFAULT_REGION": "eu-west-1"})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"awsv: {variable} names {wrong}, which is not there" in done.stderr
    assert f"hint: correct or unset {variable}" in done.stderr
    assert front.calls == []


def test_nor_for_a_role_that_comes_through_a_pipe(logged_in: Home, front: RecordingProxy) -> None:
    role = shlex.quote(logged_in.config.read_text())
    line = f"AWS_CONFIG_FILE=<(printf %s {role}) AWS_DEFAULT_REGION=eu-west-1 {PROGRAM} exec -j work"
    done = logged_in.run("/bin/bash", "-c", line)
    assert (done.returncode, done.stdout) == (2, "")
    assert "it is not an ordinary file" in done.stderr
    assert front.calls == []


def test_every_command_that_reads_the_files_refuses_a_pipe_and_waits_for_none(logged_in: Home) -> None:
    pipe = logged_in.path / "pipe"
    os.mkfifo(pipe)
    for words in (
        ("list",),
        ("explain", "work"),
        ("config", "credential-process", "work", "-n"),
        ("import", "credentials-file", "-n"),
    ):
        for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            done = logged_in.awsv(*words, env={variable: str(pipe)}, timeout=20)
            assert (done.returncode, done.stdout) == (2, ""), (words, variable, done)
            assert "not an ordinary file" in done.stderr or "does not exist or is empty" in done.stderr, done.stderr


def test_an_empty_config_can_be_asked_for(logged_in: Home, front: RecordingProxy) -> None:
    env = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_REGION": "eu-west-1"}
    assert logged_in.awsv("exec", "-j", "work", env=env).returncode == 0
    assert front.actions == ["GetSessionToken"]
