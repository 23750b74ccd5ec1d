"""A key that the users of a store share: one of them rotates it on a real OpenBao, and the others have the new one."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.home import PROGRAM, Home
from support.iam_front import IamFront, Trouble
from support.moto import ACCOUNT
from support.openbao import Server

ROTATE = ("rotate", "--shared")


@pytest.fixture
def name(openbao: Server) -> Iterator[str]:
    """A name for a common key, which is free again after the test."""
    name = f"team-{secrets.token_hex(4)}"
    yield name
    openbao.call("DELETE", f"secret/metadata/awsv/common/credentials/{name}")


def person(who: str, openbao: Server, folder: Path, iam: IamFront, name: str) -> Home:
    home = Home(folder / who, iam.url)
    token = openbao.person(f"{who}-{secrets.token_hex(3)}")
    home.env |= {"AWS_VAULT_BACKEND": "hashicorp", "VAULT_ADDR": openbao.url, "VAULT_TOKEN": token}
    roles = "".join(
        f"[profile {role}]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{role}\nsource_profile = {name}\n"
        for role in ("RoleA", "RoleB")
    )
    home.configure(f"[profile {name}]\n{roles}")
    return home


@pytest.fixture
def ana(openbao: Server, tmp_path: Path, iam: IamFront, name: str) -> Home:
    """She has stored bob's key for all."""
    home = person("ana", openbao, tmp_path, iam, name)
    key = {"AWS_ACCESS_KEY_ID": iam.bob.access_key_id, "AWS_SECRET_ACCESS_KEY": iam.bob.secret_access_key}
    done = home.awsv("add", "--env", "--shared", name, env=key)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def ben(openbao: Server, tmp_path: Path, iam: IamFront, name: str) -> Home:
    return person("ben", openbao, tmp_path, iam, name)


def held(home: Home, name: str) -> tuple[str, str]:
    done = home.awsv("exec", "-n", "-j", name)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found["AccessKeyId"], found["SecretAccessKey"]


def session(home: Home, profile: str) -> str:
    """The key id of the session that ``exec`` gives to a program."""
    done = home.awsv("exec", "-j", profile)
    assert done.returncode == 0, done.stderr
    found: str = json.loads(done.stdout)["AccessKeyId"]
    return found


def rotated(home: Home, *words: str, code: int = 0) -> Mapping[str, Any]:
    done = home.awsv(*ROTATE, "--json", *words)
    assert done.returncode == code, done.stderr
    [found] = json.loads(done.stdout)
    return found  # type: ignore[no-any-return]  # JSON


def test_other_user_has_the_new_key_at_the_next_session(ana: Home, ben: Home, iam: IamFront, name: str) -> None:
    """Nobody has to be told, but a session that is live on another machine lives until it ends, as AWS means it to."""
    old = iam.bob.access_key_id
    live = {profile: session(ben, profile) for profile in (name, "RoleA")}
    refused = ana.awsv("rotate", name)
    assert refused.returncode == 4
    assert "all its users would get the new one" in refused.stderr
    assert [call.action for call in iam.calls if call.key == old and "Key" in call.action] == []
    command = refused.stderr.splitlines()[-1].partition(": awsv ")[2].split()
    assert command == [*ROTATE, name]
    outcome = rotated(ana, name)
    assert (outcome["old"], outcome["state"], outcome["user"]) == (old, "inactive", "bob")
    assert held(ben, name) == held(ana, name) == (outcome["new"], iam.keys[outcome["new"]].secret)
    count = len(iam.calls)
    assert {profile: session(ben, profile) for profile in live} == live
    assert len(iam.calls) == count
    session(ben, "RoleB")
    assert ben.awsv("clear").returncode == 0
    assert not {session(ben, profile) for profile in live} & set(live.values())
    made = [call for call in iam.calls[count:] if call.action in ("AssumeRole", "GetSessionToken")]
    assert {(call.key, call.accepted) for call in made} == {(outcome["new"], True)}
    assert {call.action for call in made} == {"AssumeRole", "GetSessionToken"}
    assert old not in {call.key for call in iam.calls[count:]}


@pytest.mark.parametrize(("call", "when"), [(2, "after"), (3, "before"), (3, "after"), (4, "after")])
def test_killed_run_leaves_a_key_for_all_and_the_next_one_ends(
    call: int, when: str, ana: Home, ben: Home, iam: IamFront, name: str
) -> None:
    """Killed when IAM has made the key, before and after its proof, and when the old key is inactive."""
    process = subprocess.Popen(
        [PROGRAM, *ROTATE, name],
        env=ana.environment(),
        cwd=ana.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    iam.arm(Trouble(call, when, process.kill))
    try:
        assert process.wait(120) == -9
    finally:
        process.kill()
        process.wait()
        iam.arm()
    assert iam.works(*held(ben, name))
    assert len(iam.at_iam("bob")) <= 2
    done = ana.awsv(*ROTATE, name)
    if "made after the rotation began" in done.stderr:  # IAM had made a key, and nobody noted it
        assert done.returncode == 7
        done = ana.awsv(*done.stderr.splitlines()[-1].partition(": awsv ")[2].split())
    assert done.returncode == 0, done.stderr
    assert held(ben, name) == held(ana, name)
    assert iam.works(*held(ben, name))
    assert iam.at_iam("bob") == {iam.bob.access_key_id: False, held(ben, name)[0]: True}


def test_two_users_who_rotate_at_once_make_one_key(ana: Home, ben: Home, iam: IamFront, name: str) -> None:
    """Each has a journal on a machine of their own: the one who finds a key that is not theirs touches nothing."""
    others: list[subprocess.CompletedProcess[str]] = []
    iam.arm(Trouble(3, "before", lambda: others.append(ben.awsv(*ROTATE, name))))
    outcome = rotated(ana, name)
    [other] = others
    assert other.returncode == 7, other.stderr
    assert "awsv deletes none that it did not make" in other.stderr
    assert iam.at_iam("bob") == {iam.bob.access_key_id: False, outcome["new"]: True}
    assert held(ben, name) == (outcome["new"], iam.keys[outcome["new"]].secret)
