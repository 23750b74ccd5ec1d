"""``awsv add --check``: AWS says who a key belongs to, and a key that it does not accept is not stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import Fault, RecordingProxy, bad_signature, error, unknown_key
from support.vaults import KEY_ID, PASSPHRASE, SECRET, UNLOCKED, data, ended, fill, offline, stored

SEED = {"work": (KEY_ID, SECRET)}


@pytest.fixture
def person(home: Home) -> Home:
    """A user with a store that holds one key, whose AWS is the front."""
    fill(home, SEED)
    return home


@pytest.fixture
def keys(moto: MotoServer) -> dict[str, str]:
    """The variables of alice's key."""
    return {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}


def identity(arn: str) -> Fault:
    """A response of GetCallerIdentity."""
    body = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{arn}</Arn><UserId>X</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
    return Fault(200, body.encode(), {"Content-Type": "text/xml"})


def test_check_shows_account_and_owner_before_the_key_is_stored(
    person: Home, front: RecordingProxy, moto: MotoServer, keys: dict[str, str]
) -> None:
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert (done.returncode, done.stdout) == (0, 'Added credentials to profile "new" in vault\n')
    owner = f"{moto.alice.access_key_id} belongs to arn:aws:iam::{ACCOUNT}:user/alice in account {ACCOUNT}"
    lines = done.stderr.splitlines()
    assert lines.index(f"awsv: {owner}") < next(n for n, line in enumerate(lines) if "stored" in line)
    assert "root user" not in done.stderr
    assert [call.access_key_id for call in front.named("GetCallerIdentity")] == [moto.alice.access_key_id]
    assert stored(person) == {**SEED, "new": (moto.alice.access_key_id, moto.alice.secret_access_key)}


def test_add_without_check_does_not_ask_aws(person: Home, front: RecordingProxy, keys: dict[str, str]) -> None:
    done = person.awsv("add", "new", "--env", env={**UNLOCKED, **keys})
    assert done.returncode == 0
    assert front.calls == []


def test_check_warns_of_a_key_of_the_root_user(person: Home, front: RecordingProxy, keys: dict[str, str]) -> None:
    front.on("GetCallerIdentity", identity(f"arn:aws:iam::{ACCOUNT}:root"))
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert done.returncode == 0
    assert "warning: this is a key of the account's root user" in done.stderr


@pytest.mark.parametrize("fault", [unknown_key(), bad_signature()], ids=["unknown-id", "wrong-secret"])
@pytest.mark.parametrize("profile", ["work", "new"])
def test_check_of_a_dead_key_changes_nothing(
    profile: str, fault: Fault, person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    before = data(person)
    front.on("GetCallerIdentity", fault)
    done = person.awsv("add", profile, "--env", "--check", "--overwrite", env={**UNLOCKED, **keys})
    assert (done.returncode, done.stdout) == (6, "")
    message, hint = done.stderr.splitlines()
    assert keys["AWS_ACCESS_KEY_ID"] in message
    assert message.endswith("; nothing was changed")
    assert hint.startswith("hint: check both values")
    assert keys["AWS_SECRET_ACCESS_KEY"] not in done.stderr
    assert data(person) == before


def test_check_of_a_dead_key_creates_no_store(home: Home, front: RecordingProxy, keys: dict[str, str]) -> None:
    front.on("GetCallerIdentity", unknown_key())
    done = home.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert (done.returncode, done.stdout) == (6, "")
    assert data(home) == {}


def test_check_waits_until_aws_knows_a_key_that_was_just_created(
    person: Home, front: RecordingProxy, moto: MotoServer
) -> None:
    front.on("GetCallerIdentity", unknown_key(), times=2)
    key = {"AccessKeyId": moto.alice.access_key_id, "SecretAccessKey": moto.alice.secret_access_key}
    done = person.awsv("add", "new", "--check", input=json.dumps({"AccessKey": key}), env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert len(front.named("GetCallerIdentity")) == 3
    assert done.stderr.count(f"AWS does not accept {moto.alice.access_key_id} yet") == 1
    assert "new" in stored(person)


def test_check_without_aws_and_without_a_terminal_stores_nothing(tmp_path: Path, keys: dict[str, str]) -> None:
    home = offline(tmp_path)
    fill(home, SEED)
    before = data(home)
    done = home.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert (done.returncode, done.stdout) == (6, "")
    assert "was neither checked nor stored: 127.0.0.1:9 cannot be reached" in done.stderr
    assert done.stderr.splitlines()[-1] == "hint: repeat when AWS can be reached, or without --check"
    assert data(home) == before


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130), ("", 130), ("\x03", 130)])
def test_check_without_aws_asks_whether_to_store_the_key_unchecked(
    answer: str, code: int, tmp_path: Path, keys: dict[str, str]
) -> None:
    home = offline(tmp_path)
    fill(home, SEED)
    child = home.spawn("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    child.expect_exact("was not checked: 127.0.0.1:9 cannot be reached")
    child.expect_exact("Store it unchecked? [y/N] ")
    child.send(answer if answer == "\x03" else f"{answer}\r")
    assert ended(child) == code
    assert ("new" in stored(home)) == (answer == "y")


def test_check_of_a_throttled_answer_is_not_taken_for_a_dead_key(
    person: Home, front: RecordingProxy, keys: dict[str, str]
) -> None:
    front.on("GetCallerIdentity", error(400, "Throttling", "Rate exceeded"))
    done = person.awsv("add", "new", "--env", "--check", env={**UNLOCKED, **keys})
    assert done.returncode == 6
    assert "neither checked nor stored" in done.stderr
    assert stored(person) == SEED


def test_check_at_a_terminal_before_a_new_store_is_made(home: Home, moto: MotoServer) -> None:
    child = home.spawn("add", "new", "--check")
    for question, answer in (
        ("Enter Access Key ID: ", moto.alice.access_key_id),
        ("Enter Secret Access Key: ", moto.alice.secret_access_key),
        (f"belongs to arn:aws:iam::{ACCOUNT}:user/alice", None),
        ("New passphrase for store 'file': ", PASSPHRASE),
        ("Repeat passphrase: ", PASSPHRASE),
        ("[Y/n] ", "n"),
    ):
        child.expect_exact(question)
        if answer is not None:
            child.sendline(answer)
    assert ended(child) == 0
