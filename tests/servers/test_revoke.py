"""``awsv inventory`` on one machine and ``awsv revoke`` on another, at an IAM that is as strict as AWS's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pexpect
import pytest

from support import canaries
from support.home import Home
from support.iam_front import IamFront, KeyState, Trouble
from support.moto import ACCOUNT, Key
from support.stored import UNLOCKED, add
from support.vaults import fill
from vault_core.rotation.decide import SETTLED
from vault_plugin_aws.iam import REVOCATION

OTHER_ACCOUNT = "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/RoleA"
CONFIG = f"""
[profile work]
[profile app]
role_arn = {ROLE}
source_profile = work
"""


@pytest.fixture
def laptop(rotating: Home) -> Home:
    """The machine that is lost: it holds bob's key, and a profile that assumes a role with it."""
    rotating.configure(CONFIG)
    return rotating


@pytest.fixture
def desk(tmp_path: Path, iam: IamFront) -> Home:
    """Another machine, with the key of an administrator."""
    home = Home(tmp_path / "desk", iam.url)
    home.env |= UNLOCKED
    add(home, iam.user("admin"), "admin")
    return home


def inventory(home: Home, *words: str, code: int = 0) -> Any:
    done = home.awsv("inventory", "--json", *words)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def carry(found: Any, desk: Home) -> Path:
    path = desk.root / "inventory.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return path


def revoked(desk: Home, path: Path, *words: str, code: int = 0) -> dict[str, Mapping[str, Any]]:
    given = words if "--as" in words else ("--as", "admin", *words)
    done = desk.awsv("revoke", "--from", path, "--yes", "--json", *given)
    assert done.returncode == code, done.stderr
    return {one["subject"]: one for one in json.loads(done.stdout)}


# -- the inventory -----------------------------------------------------------------------------------------------------


def test_inventory_names_keys_profiles_roles_and_sessions(laptop: Home, iam: IamFront) -> None:
    assert laptop.awsv("exec", "-j", "app").returncode == 0
    found = inventory(laptop, "--check")
    [key] = found["keys"]
    assert (key["key"], key["names"], key["store"]) == (iam.bob.access_key_id, ["work"], "file")
    assert (key["account"], key["user"], key["known_from"]) == (ACCOUNT, "bob", "aws")
    assert key["user_arn"] == f"arn:aws:iam::{ACCOUNT}:user/bob"
    assert key["profiles"] == [{"profile": "work", "roles": []}, {"profile": "app", "roles": [ROLE]}]
    assert {one["profile"] for one in found["sessions"]} == {"app"}
    shown = laptop.awsv("inventory", "--check").stdout
    for text in (iam.bob.access_key_id, "file", "work", ACCOUNT, "bob", ROLE, "sts.AssumeRole"):
        assert text in shown


def test_inventory_without_check_asks_aws_nothing_and_reads_the_journal(laptop: Home, iam: IamFront) -> None:
    count = len(iam.calls)
    [key] = inventory(laptop)["keys"]
    assert (key["account"], key["known_from"]) == (None, None)
    assert len(iam.calls) == count
    assert laptop.awsv("rotate", "work").returncode == 0
    count = len(iam.calls)
    [key] = inventory(laptop)["keys"]
    assert (key["account"], key["user"], key["known_from"]) == (ACCOUNT, "bob", "journal")
    assert key["key"] != iam.bob.access_key_id
    assert len(iam.calls) == count


def test_inventory_holds_no_secret(laptop: Home) -> None:
    fill(laptop, {"canary": ("AKIAQ2QZ7YJ3LEXAMPLE", canaries.KEY_SECRET)})
    laptop.credentials.write_text(
        f"[plain]\naws_access_key_id = AKIAPLAIN00000000000\naws_secret_access_key = {canaries.KEY_SECRET}\n"
    )
    for words in (("--json",), ("--json", "--check"), (), ("--check",)):
        done = laptop.awsv("inventory", *words)
        assert done.returncode == 0, done.stderr
        assert "AKIAQ2QZ7YJ3LEXAMPLE" in done.stdout
        assert canaries.found(done.stdout + done.stderr) == set()


def test_inventory_names_plain_keys_and_keys_that_aws_refuses(laptop: Home, iam: IamFront) -> None:
    laptop.credentials.write_text("[plain]\naws_access_key_id = AKIAPLAIN00000000000\naws_secret_access_key = x\n")
    iam.keys[iam.bob.access_key_id].active = False
    stored, plain = inventory(laptop, "--check")["keys"]
    assert (plain["key"], plain["store"], plain["place"]) == ("AKIAPLAIN00000000000", None, str(laptop.credentials))
    assert stored["account"] is None
    assert iam.bob.access_key_id in stored["reason"]


def test_store_that_cannot_be_read_is_named_and_the_rest_is_printed(laptop: Home, iam: IamFront) -> None:
    second = laptop.root / "second"
    second.mkdir()
    (second / "store.vlt").write_bytes(b"not a store")
    settings = Path(laptop.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'[store.second]\nbackend = "file"\ndir = "{second}"\n')
    settings.chmod(0o600)
    found = inventory(laptop, code=7)
    assert [key["key"] for key in found["keys"]] == [iam.bob.access_key_id]
    assert {one["store"]: one["reason"] is None for one in found["stores"]} == {"file": True, "second": False}


def test_locked_store_without_a_terminal_is_an_error(laptop: Home) -> None:
    done = laptop.awsv("inventory", "--json", env={"AWS_VAULT_FILE_PASSPHRASE": None})
    assert (done.returncode, done.stdout) == (5, "")


# -- the revocation ----------------------------------------------------------------------------------------------------


def test_every_key_of_the_inventory_is_deactivated_and_no_other(laptop: Home, desk: Home, iam: IamFront) -> None:
    carol, other = iam.user("carol"), iam.key("bob")
    add(laptop, carol, "carol")
    path = carry(inventory(laptop), desk)
    found = revoked(desk, path)
    assert {key: one["state"] for key, one in found.items()} == {
        iam.bob.access_key_id: "inactive",
        carol.access_key_id: "inactive",
    }
    assert found[carol.access_key_id]["user"] == "carol"
    assert iam.at_iam("bob") == {iam.bob.access_key_id: False, other.access_key_id: True}
    assert iam.at_iam("carol") == {carol.access_key_id: False}
    changes = [call.action for call in iam.calls if not call.action.startswith(("Get", "List"))]
    assert changes == ["UpdateAccessKey"] * 2
    again = revoked(desk, path)
    assert {one["state"] for one in again.values()} == {"was inactive"}
    assert [call.action for call in iam.calls].count("UpdateAccessKey") == 2


def test_key_that_is_gone_is_done_if_its_account_is_known(laptop: Home, desk: Home, iam: IamFront) -> None:
    path = carry(inventory(laptop, "--check"), desk)
    unknown = carry(inventory(laptop), laptop)
    iam.moto.client("iam").delete_access_key(UserName="bob", AccessKeyId=iam.bob.access_key_id)
    assert revoked(desk, path)[iam.bob.access_key_id]["state"] == "deleted"
    found = revoked(desk, unknown, code=7)[iam.bob.access_key_id]
    assert (found["state"], found["admin"]) == ("foreign", None)
    assert "it is deleted, or of another account, or the profile may not ask" in found["error"]


def test_failure_of_one_key_does_not_keep_the_others(laptop: Home, desk: Home, iam: IamFront) -> None:
    carol = iam.user("carol")
    add(laptop, carol, "carol")
    path = carry(inventory(laptop), desk)
    calls = ("GetCallerIdentity", "GetAccessKeyLastUsed", "GetAccessKeyLastUsed", "ListAccessKeys", "ListAccessKeys")
    iam.arm(Trouble(len(calls), "refuse"))
    found = revoked(desk, path, code=7)
    assert sorted(one["state"] for one in found.values()) == ["failed", "inactive"]
    iam.arm()
    assert sorted(one["state"] for one in revoked(desk, path).values()) == ["inactive", "was inactive"]


def test_permissions_that_are_missing(laptop: Home, desk: Home, iam: IamFront) -> None:
    carol = iam.user("carol")
    add(laptop, carol, "carol")
    path = carry(inventory(laptop, "--check"), desk)
    iam.denied.add(("admin", "GetAccessKeyLastUsed"))
    assert {one["state"] for one in revoked(desk, path).values()} == {"inactive"}
    iam.keys[iam.bob.access_key_id].active = iam.keys[carol.access_key_id].active = True
    for key, user in ((iam.bob, "bob"), (carol, "carol")):
        iam.moto.client("iam").update_access_key(UserName=user, AccessKeyId=key.access_key_id, Status="Active")
    iam.denied.add(("admin", "UpdateAccessKey"))
    found = revoked(desk, path, code=7)
    assert {one["state"] for one in found.values()} == {"failed"}
    assert "UpdateAccessKey" in found[carol.access_key_id]["error"]


def renamed(key: Any) -> None:
    key["user"] = "robert"


def taken_for_another(key: Any) -> None:
    key["user"] = "carol"


def without_user(key: Any) -> None:
    key["user"] = None


@pytest.mark.parametrize("change", [renamed, taken_for_another, without_user])
def test_key_about_which_aws_is_silent_is_not_reported_as_deleted(
    change: Callable[[Any], None], laptop: Home, desk: Home, iam: IamFront
) -> None:
    """AWS denies GetAccessKeyLastUsed for a key that it does not know, and where the permission is missing."""
    carol = iam.user("carol")
    add(laptop, carol, "carol")
    listed = inventory(laptop, "--check")
    [bob] = [key for key in listed["keys"] if key["user"] == "bob"]
    change(bob)
    path = carry(listed, desk)
    iam.denied.add(("admin", "GetAccessKeyLastUsed"))
    done = desk.awsv("revoke", "--from", path, "--yes", "--as", "admin")
    assert done.returncode == 7
    assert "1 of 2 are done; 1 key may still be active" in done.stderr
    assert "AWS says the same of a key that it does not know" in done.stdout
    assert "hint: allow iam:GetAccessKeyLastUsed" in done.stderr
    assert iam.at_iam("carol") == {carol.access_key_id: False}
    iam.denied.clear()
    assert revoked(desk, path)[iam.bob.access_key_id]["state"] == "inactive"
    assert iam.at_iam("bob") == {iam.bob.access_key_id: False}


def test_key_that_is_gone_keeps_no_other_from_being_deactivated(laptop: Home, desk: Home, iam: IamFront) -> None:
    """By the session of a role, too, which has no key of its own that AWS could be asked about."""
    carol, dave = iam.user("carol"), iam.user("dave")
    add(laptop, carol, "carol")
    add(laptop, dave, "dave")
    desk.configure(f"[profile admin]\n[profile role]\nrole_arn = {ROLE}\nsource_profile = admin\n")
    path = carry(inventory(laptop, "--check"), desk)
    for user, key in (("bob", iam.bob), ("dave", dave)):
        iam.moto.client("iam").delete_access_key(UserName=user, AccessKeyId=key.access_key_id)
    replacement = iam.key("bob").access_key_id
    found = revoked(desk, path, "--as", "role", code=7)
    assert (found[carol.access_key_id]["state"], found[iam.bob.access_key_id]["state"]) == ("inactive", "deleted")
    assert found[dave.access_key_id]["state"] == "failed"  # no key of dave is left to ask about
    assert {one["state"] for one in revoked(desk, path).values()} == {"was inactive", "deleted"}
    assert iam.at_iam("bob") == {replacement: True}


@pytest.fixture
def elsewhere(iam: IamFront) -> Iterator[Key]:
    """The key of another account's user, who is called ``bob``, too; the role ``Admin`` is there."""
    import boto3

    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/Admin"
    inside = iam.moto.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    admin = boto3.client(
        "iam",
        endpoint_url=iam.moto.url,
        region_name="eu-west-1",
        aws_access_key_id=inside["AccessKeyId"],
        aws_secret_access_key=inside["SecretAccessKey"],
        aws_session_token=inside["SessionToken"],
    )
    admin.create_user(UserName="bob")
    made = admin.create_access_key(UserName="bob")["AccessKey"]
    iam.keys[made["AccessKeyId"]] = KeyState("bob", made["SecretAccessKey"])
    yield Key(made["AccessKeyId"], made["SecretAccessKey"])
    del iam.keys[made["AccessKeyId"]]


def test_keys_of_two_accounts_need_two_profiles(laptop: Home, desk: Home, iam: IamFront, elsewhere: Key) -> None:
    add(laptop, elsewhere, "erin")
    desk.configure(
        f"[profile admin]\n[profile far]\nrole_arn = arn:aws:iam::{OTHER_ACCOUNT}:role/Admin\nsource_profile = admin\n"
    )
    path = carry(inventory(laptop), desk)
    found = revoked(desk, path, code=7)
    assert found[elsewhere.access_key_id]["state"] == "foreign"
    assert found[iam.bob.access_key_id]["state"] == "inactive"
    found = revoked(desk, path, "--as", "admin", "--as", "far")
    one = found[elsewhere.access_key_id]
    assert (one["state"], one["account"], one["user"], one["admin"]) == ("inactive", OTHER_ACCOUNT, "bob", "far")


def test_sessions_of_users_and_roles_end(laptop: Home, desk: Home, iam: IamFront) -> None:
    stolen = {name: json.loads(laptop.awsv("exec", "-j", name).stdout) for name in ("work", "app")}
    path = carry(inventory(laptop), desk)
    revoked(desk, path)
    assert all(_works(iam, session) for session in stolen.values()), "deactivation alone ends no session"
    began = datetime.now(UTC)
    found = revoked(desk, path, "--revoke-sessions")
    assert {one["kind"]: one["state"] for one in found.values()} == {
        "key": "was inactive",
        "user": "revoked",
        "role": "revoked",
    }
    assert not any(_works(iam, session) for session in stolen.values())
    client = iam.moto.client("iam")
    for policy in (
        client.get_user_policy(UserName="bob", PolicyName=REVOCATION),
        client.get_role_policy(RoleName="RoleA", PolicyName=REVOCATION),
    ):
        [statement] = policy["PolicyDocument"]["Statement"]
        until = datetime.fromisoformat(statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"])
        # A key works for some seconds after its deactivation: what a thief makes with it meanwhile ends, too.
        assert until >= began + timedelta(seconds=SETTLED)


def _works(iam: IamFront, session: Mapping[str, str]) -> bool:
    return iam._refusal(session["AccessKeyId"], "GetCallerIdentity") is None


def test_administrators_own_key_and_sessions_are_the_last(desk: Home, iam: IamFront) -> None:
    add(desk, iam.bob, "work")
    [own] = [key for key, state in iam.keys.items() if state.user == "admin"]
    found = revoked(desk, carry(inventory(desk), desk), "--revoke-sessions")
    assert {one["state"] for one in found.values()} == {"inactive", "revoked"}
    changes = [(call.action, call.subject) for call in iam.calls if not call.action.startswith(("Get", "List"))]
    assert changes == [
        ("UpdateAccessKey", iam.bob.access_key_id),
        ("PutUserPolicy", "bob"),
        ("PutUserPolicy", "admin"),
        ("UpdateAccessKey", own),
    ]


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130)])
def test_what_will_be_done_is_shown_and_asked(answer: str, code: int, laptop: Home, desk: Home, iam: IamFront) -> None:
    path = carry(inventory(laptop), desk)
    terminal = desk.spawn("revoke", "--from", path, "--as", "admin", "--revoke-sessions")
    terminal.expect_exact(f"{iam.bob.access_key_id} of user bob in account {ACCOUNT}: will be deactivated by 'admin'")
    terminal.expect_exact("Deactivate 1 key, and revoke the sessions of 1 user and 1 role? [y/N]")
    terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code
    assert iam.at_iam("bob") == {iam.bob.access_key_id: bool(code)}


def test_without_a_terminal_yes_is_needed(laptop: Home, desk: Home, iam: IamFront) -> None:
    path = carry(inventory(laptop), desk)
    count = len(iam.calls)
    done = desk.awsv("revoke", "--from", path, "--as", "admin")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("hint: give --yes\n")
    assert len(iam.calls) == count


# -- an inventory that is not one --------------------------------------------------------------------------------------

KEY = {"key": "AKIAIOSFODNN7EXAMPLE", "profiles": []}
ODD: Mapping[str, Any] = {
    "text": "no\x1b[2J",
    "list": [],
    "version": {"version": 2, "keys": []},
    "keys": {"version": 1, "keys": {"a": 1}},
    "key": {"version": 1, "keys": [KEY | {"key": "AKIA\x1b[2JIOSFODNN7EXA"}]},
    "session": {"version": 1, "keys": [KEY | {"key": "ASIAIOSFODNN7EXAMPLE"}]},
    "no key": {"version": 1, "keys": [{"profiles": []}]},
    "account": {"version": 1, "keys": [KEY | {"account": "١٢٣٤٥٦٧٨٩٠١٢"}]},
    "user": {"version": 1, "keys": [KEY | {"user": "bob\n--all"}]},
    "arn": {"version": 1, "keys": [KEY | {"user_arn": "arn:aws:iam::1:user/x"}]},
    "role": {"version": 1, "keys": [KEY | {"profiles": [{"roles": [f"{ROLE}\x1b]0;x\x07"]}]}]},
    "roles": {"version": 1, "keys": [KEY | {"profiles": [{"roles": "x"}]}]},
    "deep": "[" * 100_000,
    "large": " " * (4 << 20) + "{}",
}


@pytest.mark.parametrize("name", ODD)
def test_file_that_is_not_an_inventory_changes_nothing(name: str, desk: Home, iam: IamFront) -> None:
    path = carry(ODD[name], desk)
    count = len(iam.calls)
    done = desk.awsv("revoke", "--from", path, "--as", "admin", "--yes")
    assert (done.returncode, done.stdout) == (2, ""), done
    assert str(path) in done.stderr
    assert all(char == "\n" or char.isprintable() for char in done.stderr)
    assert len(iam.calls) == count


def test_missing_file_and_pipe_are_refused_at_once(desk: Home) -> None:
    import os

    pipe = desk.root / "pipe"
    os.mkfifo(pipe)
    for path in (desk.root / "missing", pipe):
        done = desk.awsv("revoke", "--from", path, "--as", "admin", "--yes")
        assert (done.returncode, done.stdout) == (2, "")


def test_key_of_the_root_user_is_left_to_the_root_user(desk: Home, iam: IamFront) -> None:
    entry = KEY | {"account": ACCOUNT, "user_arn": f"arn:aws:iam::{ACCOUNT}:root"}
    found = revoked(desk, carry({"version": 1, "keys": [entry]}, desk), code=7)
    assert "root user" in found[KEY["key"]]["error"]  # type: ignore[index]  # a JSON object


def test_user_of_the_inventory_is_not_believed(laptop: Home, desk: Home, iam: IamFront) -> None:
    carol = iam.user("carol")
    found = inventory(laptop, "--check")
    found["keys"][0] |= {"user": "carol", "user_arn": f"arn:aws:iam::{ACCOUNT}:user/carol"}
    assert revoked(desk, carry(found, desk))[iam.bob.access_key_id]["user"] == "bob"
    assert iam.at_iam("bob") == {iam.bob.access_key_id: False}
    assert iam.at_iam("carol") == {carol.access_key_id: True}
