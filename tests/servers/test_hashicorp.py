"""HashiCorp Vault's backend end to end: the real ``awsv``, a real OpenBao, a real moto as AWS."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.canaries import KEY_SECRET, found
from support.home import Home
from support.lossy_proxy import LossyProxy, lossy
from support.moto import MotoServer
from support.openbao import Server, free_port
from support.recording_proxy import RecordingProxy

RACERS = 8
WHO = ("sh", "-c", "echo $AWS_ACCESS_KEY_ID")


@dataclass(frozen=True)
class Person:
    """Somebody with a machine, an AWS and a token of the team's server."""

    name: str
    home: Home
    token: str
    address: str

    @property
    def env(self) -> dict[str, str]:
        return {"AWS_VAULT_BACKEND": "hashicorp", "VAULT_ADDR": self.address, "VAULT_TOKEN": self.token}

    def awsv(self, *args: str, env: Mapping[str, str | None] | None = None) -> subprocess.CompletedProcess[str]:
        return self.home.awsv(*args, env={**self.env, **(env or {})})

    def add(self, *args: str, key_id: str, secret: str = KEY_SECRET) -> subprocess.CompletedProcess[str]:
        return self.awsv("add", "--env", *args, env={"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret})

    def exec(self, profile: str, *argv: str, env: Mapping[str, str | None] | None = None) -> str:
        """What a program under ``exec`` prints."""
        done = self.awsv("exec", profile, "--", *argv, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def team(openbao: Server) -> Iterator[LossyProxy]:
    """The team's server, through a front that counts requests."""
    with lossy(openbao.url) as front:
        yield front


def person(name: str, openbao: Server, address: str, home: Home) -> Person:
    unique = f"{name}-{secrets.token_hex(3)}"
    return Person(unique, home, openbao.person(unique), address)


@pytest.fixture
def ana(openbao: Server, team: LossyProxy, tmp_path: Path, front: RecordingProxy) -> Person:
    return person("ana", openbao, team.url, Home(tmp_path / "ana", front.url))


@pytest.fixture
def ben(openbao: Server, team: LossyProxy, tmp_path: Path, front: RecordingProxy) -> Person:
    return person("ben", openbao, team.url, Home(tmp_path / "ben", front.url))


@pytest.fixture
def shared(openbao: Server) -> Iterator[str]:
    """A name for a common key, which is free again after the test."""
    name = f"shared-{secrets.token_hex(4)}"
    yield name
    openbao.call("DELETE", f"secret/metadata/awsv/common/credentials/{name}")


def test_a_day_with_a_key_of_ones_own(ana: Person, team: LossyProxy, moto: MotoServer, aws_v1: Path) -> None:
    added = ana.add("work", key_id=moto.alice.access_key_id, secret=moto.alice.secret_access_key)
    assert (added.returncode, added.stdout) == (0, 'Added credentials to profile "work" in vault\n')
    assert f"secret/awsv at {team.url}" in added.stderr
    assert "its operators can read them" in added.stderr
    assert json.loads(ana.exec("work", str(aws_v1), "sts", "get-caller-identity"))["Account"] == "123456789012"
    team.seen.clear()
    assert ana.exec("work", *WHO)
    assert team.seen == []  # a live session needs no server
    (entry,) = [one for one in json.loads(ana.awsv("list", "--unlock", "--json").stdout) if one["profile"] == "work"]
    assert (entry["stored"], entry["shared"], len(entry["sessions"])) == (True, False, 1)
    assert "needs the network and was not asked" in ana.awsv("explain", "work").stdout
    again = ana.add("work", key_id="AKIAQ2QZ7YJ3LEXAMPLE")
    assert again.returncode == 4
    assert f"({ana.name} on " in again.stderr
    removed = ana.awsv("remove", "--force", "work")
    assert (removed.returncode, "1 session made from it" in removed.stderr) == (0, True)
    gone = ana.awsv("exec", "work", "--", *WHO)
    assert gone.returncode == 125
    assert ana.add("work", key_id="AKIAQ2QZ7YJ3LEXAMPLE").returncode == 0


def test_a_token_that_is_exchanged_meanwhile_gives_nobody_a_session(
    ana: Person, ben: Person, team: LossyProxy, front: RecordingProxy
) -> None:
    """Two people share an account of a machine, and its token file: one logs in while the other's command runs."""
    keys = {ana: "AKIAQ2QZ7YJ3LEXAMPLE", ben: "AKIA5TWXR7L2OEXAMPLE"}
    for who, key in keys.items():
        assert who.add("work", key_id=key).returncode == 0
    token = ana.home.path / ".vault-token"
    token.write_text(ana.token)
    address = f"{team.url},{team.url}"  # which of them is the leader is asked before the token is read
    machine = {"VAULT_TOKEN": None, "AWS_VAULT_HASHICORP_ADDRESS": address}

    def exchange(_method: str, path: str) -> bool:
        if path.endswith("/sys/health"):
            token.write_text(ben.token)
        return False

    team.lose_request = exchange
    refused = ana.awsv("exec", "work", "--", *WHO, env=machine)
    assert token.read_text() == ben.token
    assert (refused.returncode, refused.stdout) == (125, "")
    assert "is not the store, or not the login, that it was when the command began" in refused.stderr
    assert front.calls == []
    for who in (ben, ana):
        team.lose_request = lambda _method, _path: False
        token.write_text(who.token)
        assert ana.exec("work", *WHO, env=machine)
        assert front.calls[-1].access_key_id == keys[who]
    assert len(front.calls) == 2


def test_common_keys_are_everybodys_and_ones_own_come_first(ana: Person, ben: Person, shared: str) -> None:
    assert ana.add("--shared", shared, key_id="AKIAQ2QZ7YJ3LEXAMPLE").returncode == 0
    assert ben.exec(shared, *WHO, env={"AWS_VAULT": None}) != ""
    assert f"{shared} (shared)" in ben.awsv("list", "--unlock").stdout
    assert shared in ben.awsv("list", "--shared").stdout.splitlines()
    no_session = ("exec", "--no-session", shared, "--", *WHO)
    assert ben.awsv(*no_session).stdout == "AKIAQ2QZ7YJ3LEXAMPLE\n"
    assert ben.add(shared, key_id="AKIA5TWXR7L2OEXAMPLE").returncode == 0
    assert ben.awsv(*no_session).stdout == "AKIA5TWXR7L2OEXAMPLE\n"
    assert ana.awsv(*no_session).stdout == "AKIAQ2QZ7YJ3LEXAMPLE\n"
    assert f"{shared} (shared)" not in ben.awsv("list", "--unlock").stdout
    assert ben.awsv("remove", "--force", shared).returncode == 0
    assert ben.awsv(*no_session).stdout == "AKIAQ2QZ7YJ3LEXAMPLE\n"


def test_a_taken_name_says_who_has_it_and_since_when(ana: Person, ben: Person, shared: str) -> None:
    assert ana.add("--shared", shared, key_id="AKIAQ2QZ7YJ3LEXAMPLE").returncode == 0
    taken = ben.add("--shared", shared, key_id="AKIA5TWXR7L2OEXAMPLE")
    assert (taken.returncode, taken.stdout) == (4, "")
    assert f"the shared key AKIAQ2QZ7YJ3LEXAMPLE has the name {shared!r}" in taken.stderr
    assert f"({ana.name} on {socket.gethostname()} since 20" in taken.stderr
    assert f"awsv remove --shared {shared}" in taken.stderr
    forced = ben.add("--shared", "--overwrite", f"{shared}x", key_id="AKIA5TWXR7L2OEXAMPLE")
    assert (forced.returncode, forced.stdout) == (2, "")


def test_removing_what_is_everybodys_takes_saying_so(ana: Person, ben: Person, shared: str) -> None:
    assert ana.add("--shared", shared, key_id="AKIAQ2QZ7YJ3LEXAMPLE").returncode == 0
    refused = ben.awsv("remove", "--force", shared)
    assert refused.returncode == 4
    assert f"hint: awsv remove --shared {shared}" in refused.stderr
    asked = ben.home.spawn("remove", "--shared", shared, env=ben.env)
    asked.expect(
        f"the shared key AKIAQ2QZ7YJ3LEXAMPLE of profile '{shared}' .{ana.name} on .* since .*. from the vault"
    )
    asked.sendline("n")
    asked.expect("nothing was removed")
    asked.wait()
    asked.close()
    assert ben.awsv("remove", "--shared", "--force", shared).returncode == 0
    assert ana.awsv("remove", "--shared", "--force", shared).returncode == 4


def test_a_store_of_ones_own_has_nothing_shared(ana: Person) -> None:
    env = {"AWS_VAULT_BACKEND": None, "AWS_VAULT_FILE_PASSPHRASE": "x y z"}
    done = ana.awsv("remove", "--shared", "work", env=env)
    assert done.returncode == 4
    assert "nothing in it is shared" in done.stderr


def test_a_session_of_one_person_is_not_served_to_another(ana: Person, ben: Person, front: RecordingProxy) -> None:
    """Two people's tokens on one machine, say of a build server."""
    for someone, key_id in ((ana, "AKIAQ2QZ7YJ3LEXAMPLE"), (ben, "AKIA5TWXR7L2OEXAMPLE")):
        assert someone.add("work", key_id=key_id).returncode == 0
    front.forget()
    ana.exec("work", *WHO)
    ana.exec("work", *WHO)
    assert len(front.named("GetSessionToken")) == 1
    ana.exec("work", *WHO, env={"VAULT_TOKEN": ben.token})
    assert len(front.named("GetSessionToken")) == 2


def test_children_get_no_token(ana: Person, moto: MotoServer) -> None:
    assert ana.add("work", key_id=moto.alice.access_key_id).returncode == 0
    secrets_ = {"BAO_TOKEN": ana.token, "AWS_VAULT_HASHICORP_PASSWORD": "x", "AWS_VAULT_HASHICORP_SECRET_ID": "y"}
    shown = ana.exec("work", "env", env=secrets_)
    assert ana.token not in shown
    assert "SECRET_ID=" not in shown.replace("AWS_SECRET", "")
    assert "HASHICORP_PASSWORD=" not in shown
    assert f"VAULT_ADDR={ana.address}" in shown.splitlines()


def test_of_many_that_add_one_name_one_wins(ana: Person, ben: Person, shared: str) -> None:
    def add(number: int) -> subprocess.CompletedProcess[str]:
        return (ana, ben)[number % 2].add("--shared", shared, key_id=f"AKIAQ2QZ7YJ3LEXAMP{number + 2}E")

    with ThreadPoolExecutor(RACERS) as pool:
        done = list(pool.map(add, range(RACERS)))
    assert sorted(one.returncode for one in done) == [0] + [4] * (RACERS - 1)
    (winner,) = [number for number, one in enumerate(done) if one.returncode == 0]
    key_id = f"AKIAQ2QZ7YJ3LEXAMP{winner + 2}E"
    for loser in (one for one in done if one.returncode):
        assert f"the shared key {key_id} has the name" in loser.stderr
        assert f"({(ana, ben)[winner % 2].name} on " in loser.stderr
    assert ana.awsv("exec", "--no-session", shared, "--", *WHO).stdout == f"{key_id}\n"


def test_copying_takes_all_and_moves_only_ones_own(ana: Person, shared: str) -> None:
    env = {"AWS_VAULT_FILE_PASSPHRASE": "correct horse battery"}
    assert ana.add("work", key_id="AKIA5TWXR7L2OEXAMPLE").returncode == 0
    assert ana.add("--shared", shared, key_id="AKIAQ2QZ7YJ3LEXAMPLE").returncode == 0
    assert ana.awsv("file", "init", env=env).returncode == 0
    moved = ana.awsv("copy", "--from", "hashicorp", "--to", "file", "--delete-source", "work", shared, env=env)
    assert moved.returncode == 7, moved.stderr
    assert f"as they were changed there: {shared!r}" in moved.stderr
    left = json.loads(ana.awsv("list", "--unlock", "--json").stdout)
    assert {one["profile"]: one["shared"] for one in left if one["stored"]}.get(shared) is True
    assert "work" not in {one["profile"] for one in left if one["stored"]}
    copied = ana.awsv("list", "--credentials", env={**env, "AWS_VAULT_BACKEND": "file"})
    assert copied.stdout.split() == sorted(["work", shared])


def test_moving_in_is_into_ones_own_keys(ana: Person, shared: str) -> None:
    assert ana.add("--shared", shared, key_id="AKIAQ2QZ7YJ3LEXAMPLE").returncode == 0
    ana.home.credentials.write_text(
        f"[{shared}]\naws_access_key_id = AKIA5TWXR7L2OEXAMPLE\naws_secret_access_key = {KEY_SECRET}\n"
    )
    moved = ana.awsv("import", "credentials-file")
    assert moved.returncode == 0, moved.stderr
    assert ana.awsv("exec", "--no-session", shared, "--", *WHO).stdout == "AKIA5TWXR7L2OEXAMPLE\n"
    assert ana.awsv("remove", "--force", shared).returncode == 0


def test_no_login_is_left_behind(ana: Person, openbao: Server) -> None:
    assert ana.add("work", key_id="AKIAQ2QZ7YJ3LEXAMPLE").returncode == 0
    env = {
        "AWS_VAULT_HASHICORP_AUTH": "userpass",
        "AWS_VAULT_HASHICORP_USERNAME": ana.name,
        "AWS_VAULT_HASHICORP_PASSWORD": f"{ana.name}-password",
        "VAULT_TOKEN": None,
    }
    before = openbao.call("LIST", "auth/token/accessors")["data"]["keys"]
    assert "work" in ana.awsv("list", "--credentials", env=env).stdout.split()
    assert ana.awsv("exec", "--no-session", "work", "--", *WHO, env=env).stdout == "AKIAQ2QZ7YJ3LEXAMPLE\n"
    assert ana.awsv("remove", "--force", "no-such-profile", env=env).returncode == 4
    assert set(openbao.call("LIST", "auth/token/accessors")["data"]["keys"]) <= set(before)


# -- the server is away ------------------------------------------------------------------------------------------------


def test_listing_asks_no_server_unless_told_to(ana: Person, team: LossyProxy) -> None:
    listed = ana.awsv("list")
    assert listed.returncode == 0
    assert "awsv: store 'hashicorp' (secret/awsv at http://127.0.0.1:" in listed.stderr
    assert "needs the network and was not asked; 'awsv list --unlock' asks it" in listed.stderr
    assert "default  locked" in listed.stdout
    assert "nothing here yet" not in listed.stderr
    assert team.seen == []
    away = ana.awsv("list", "--unlock", env={"VAULT_ADDR": f"http://127.0.0.1:{free_port()}"})
    assert (away.returncode, away.stdout) == (4, "")
    assert "no connection to http://127.0.0.1:" in away.stderr


@pytest.mark.parametrize(
    ("env", "code", "message"),
    [
        ({"VAULT_TOKEN": "canary-token"}, 4, "does not accept the token"),
        ({"VAULT_TOKEN": None}, 4, "neither VAULT_TOKEN nor ~/.vault-token"),
        ({"VAULT_ADDR": None}, 2, "no server is set"),
        ({"AWS_VAULT_HASHICORP_AUTH": "kerberos"}, 2, "one of token, approle, userpass, jwt"),
        ({"AWS_VAULT_HASHICORP_MOUNT": "nowhere"}, 4, "there is no mount 'nowhere'"),
        ({"AWS_VAULT_HASHICORP_AUTH": "userpass", "AWS_VAULT_HASHICORP_USERNAME": "ana"}, 4, "needs the password of"),
    ],
    ids=["token", "no-token", "no-address", "method", "mount", "password"],
)
def test_refusals_have_the_right_exit_code(env: dict[str, str | None], code: int, message: str, ana: Person) -> None:
    done = ana.awsv("--debug", "remove", "--force", "work", env=env)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "canary" not in done.stderr


def test_a_failure_shows_no_secret_even_with_debug(ana: Person, openbao: Server) -> None:
    openbao.call("PUT", "sys/policies/acl/read-only", {"policy": 'path "secret/*" { capabilities = ["read", "list"] }'})
    token = openbao.person(f"reader-{secrets.token_hex(3)}", policies=["read-only"])
    env = {"VAULT_TOKEN": token, "AWS_ACCESS_KEY_ID": "AKIAQ2QZ7YJ3LEXAMPLE", "AWS_SECRET_ACCESS_KEY": KEY_SECRET}
    done = ana.awsv("--debug", "add", "--env", "work", env=env)
    assert done.returncode == 4
    assert 'path "secret/data/awsv/own/{{identity.entity.id}}/*" { capabilities = ["create", "update"] }' in done.stderr
    assert found(done.stderr) == set()
    assert token not in done.stderr


@pytest.mark.parametrize("data", [{"other": "x"}, {"value": "{}"}], ids=["no-value", "no-key"])
def test_a_damaged_item_can_be_taken_out_of_the_way(
    data: dict[str, str], ana: Person, openbao: Server, shared: str
) -> None:
    openbao.call("POST", f"secret/data/awsv/common/credentials/{shared}", {"data": data})
    for words in (["add", "--env"], ["remove"]):
        stuck = ana.awsv(*words, "--shared", shared, env={"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"})
        assert (stuck.returncode, "awsv remove --force" in stuck.stderr) == (4, True), stuck.stderr
    removed = ana.awsv("remove", "--force", "--shared", shared)
    assert removed.returncode == 0, removed.stderr
    assert "it was not a key" in removed.stderr
    assert ana.add("--shared", shared, key_id="AKIAQ2QZ7YJ3LEXAMPLE").returncode == 0


# -- passphrases -------------------------------------------------------------------------------------------------------


def test_the_passphrase_of_another_store_comes_from_the_server(ana: Person, openbao: Server) -> None:
    openbao.call("POST", f"secret/data/{ana.name}/awsv", {"data": {"phrase": "correct horse battery"}})
    source = {
        "AWS_VAULT_BACKEND": None,
        "AWS_VAULT_PASSPHRASE_SOURCE": "hashicorp",
        "AWS_VAULT_HASHICORP_PATH": f"{ana.name}/awsv",
        "AWS_VAULT_HASHICORP_FIELD": "phrase",
        "VAULT_TOKEN": openbao.token,
        "AWS_ACCESS_KEY_ID": "AKIAQ2QZ7YJ3LEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": KEY_SECRET,
    }
    assert ana.awsv("add", "--env", "work", env=source).returncode == 0
    opened = ana.awsv("list", "--credentials", env={**source, "AWS_VAULT_PASSPHRASE_SOURCE": "env"})
    assert opened.returncode == 5
    assert ana.awsv("list", "--credentials", env=source).stdout == "work\n"
    missing = ana.awsv("list", "--credentials", env={**source, "AWS_VAULT_HASHICORP_FIELD": "other"})
    assert missing.returncode == 5
    assert f"there is no field 'other' of secret/{ana.name}/awsv" in missing.stderr


def test_the_server_keeps_a_key_of_the_file_store(ana: Person) -> None:
    """A way into the store without a passphrase: the key lies among the person's own items."""
    env: dict[str, str | None] = {"AWS_VAULT_BACKEND": None}
    opened = {**env, "AWS_VAULT_FILE_PASSPHRASE": "correct horse battery"}
    keys = {"AWS_ACCESS_KEY_ID": "AKIAQ2QZ7YJ3LEXAMPLE", "AWS_SECRET_ACCESS_KEY": KEY_SECRET}
    assert ana.awsv("add", "--env", "work", env={**opened, **keys}).returncode == 0
    added = ana.awsv("slot", "add", "--source", "hashicorp", env=opened)
    assert added.returncode == 0, added.stderr
    kept = {**env, "AWS_VAULT_PASSPHRASE_SOURCE": "hashicorp"}
    assert ana.awsv("list", "--credentials", env=kept).stdout == "work\n"
    away = ana.awsv("list", "--credentials", env={**kept, "VAULT_TOKEN": "x"})
    assert away.returncode == 5
