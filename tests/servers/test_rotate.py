"""``awsv rotate`` at an IAM that is as strict as AWS's, with nothing in its way but what AWS itself does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pexpect
import pytest

from support import quarantine
from support.home import Home
from support.iam_front import IamFront
from support.moto import ACCOUNT
from support.stored import add
from support.vaults import stored

MFA = f"arn:aws:iam::{ACCOUNT}:mfa/bob"
ROLES = f"""
[profile work]
[profile app]
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = work
[profile db]
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleB
source_profile = app
"""


def held(home: Home, name: str = "work") -> tuple[str, str]:
    """The key in the vault."""
    return stored(home)[name]


def rotated(home: Home, *words: str, code: int = 0, **options: Any) -> list[Mapping[str, Any]]:
    done = home.awsv("rotate", "--json", *words, **options)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]  # JSON


def test_rotation_ends_inactive_and_finish_deletes(rotating: Home, iam: IamFront) -> None:
    old = iam.bob.access_key_id
    iam.delay = 1.0
    [outcome] = rotated(rotating, "work")
    assert (outcome["old"], outcome["state"], outcome["user"]) == (old, "inactive", "bob")
    assert held(rotating) == (outcome["new"], iam.keys[outcome["new"]].secret)
    assert iam.at_iam("bob") == {old: False, outcome["new"]: True}
    given = json.loads(rotating.awsv("exec", "-n", "-j", "work").stdout)
    assert (given["AccessKeyId"], given["SecretAccessKey"]) == held(rotating)
    assert iam.signed_by(outcome["new"])[0] == "GetCallerIdentity"
    [again] = rotated(rotating, "work")
    assert (again["state"], again["new"], again["due"]) == ("waiting", outcome["new"], outcome["due"])
    [last] = rotated(rotating, "work", "--finish")
    assert (last["state"], last["old"]) == ("deleted", old)
    assert iam.at_iam("bob") == {outcome["new"]: True}
    assert rotated(rotating, "work", "--finish")[0]["state"] == "nothing"


def test_next_rotation_after_the_grace_time_deletes_the_old_key_and_goes_on(rotating: Home, iam: IamFront) -> None:
    rotating.env["AWS_VAULT_ROTATION_GRACE"] = "0s"
    first, second = rotated(rotating, "work")[0], rotated(rotating, "work")[0]
    assert (first["state"], second["state"]) == ("deleted", "deleted")
    assert second["old"] == first["new"]
    assert iam.at_iam("bob") == {second["new"]: True}


def test_new_key_is_used_and_stored_before_the_old_one_is_touched(rotating: Home, iam: IamFront) -> None:
    done = rotating.awsv("rotate", "work")
    assert done.returncode == 0, done.stderr
    new = held(rotating)[0]
    lines = [line.removeprefix("awsv: work: ") for line in done.stderr.splitlines()]
    assert lines == [
        f"made {new} for user bob",
        f"{new} works",
        f"stored {new} for profile 'work'",
        f"made {iam.bob.access_key_id} inactive",
    ]
    assert iam.bob.secret_access_key not in done.stdout + done.stderr
    assert iam.keys[new].secret not in done.stdout + done.stderr
    files = [path for path in rotating.root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".json" for path in files)  # the journal
    assert [path for path in files if iam.keys[new].secret.encode() in path.read_bytes()] == []


def test_role_chain_leads_to_the_user_and_the_key_is_rotated_once(rotating: Home, iam: IamFront) -> None:
    rotating.configure(ROLES)
    [outcome] = rotated(rotating, "db", "app", "work")
    assert outcome["name"] == "work"
    assert [call.action for call in iam.calls].count("CreateAccessKey") == 1


def test_mfa_is_taken_once_and_its_session_signs(rotating: Home, iam: IamFront) -> None:
    rotating.configure(ROLES.replace("[profile app]\n", f"[profile app]\nmfa_serial = {MFA}\n"))
    [outcome] = rotated(rotating, "db", "-t", "123456")
    assert iam.codes == ["123456"]
    assert iam.signed_by(iam.bob.access_key_id) == ["GetSessionToken", "GetCallerIdentity"]
    assert iam.at_iam("bob")[outcome["old"]] is False


def test_sessions_of_the_old_key_are_not_served_afterwards(rotating: Home, iam: IamFront) -> None:
    rotating.configure(ROLES)
    served = [json.loads(rotating.awsv("exec", "-j", "work").stdout)["AccessKeyId"] for _ in range(2)]
    assert served[0] == served[1]
    rotated(rotating, "work")
    assert json.loads(rotating.awsv("exec", "-j", "work").stdout)["AccessKeyId"] != served[0]


def test_many_keys_are_rotated_and_one_that_fails_is_told(rotating: Home, iam: IamFront) -> None:
    carol, dead = iam.user("carol"), iam.user("dave")
    add(rotating, carol, "carol")
    add(rotating, dead, "dave")
    iam.keys[dead.access_key_id].active = False
    done = rotating.awsv("rotate", "--all", "--json")
    assert done.returncode == 7
    found = {one["name"]: one["state"] for one in json.loads(done.stdout)}
    assert found == {"carol": "inactive", "dave": "failed", "work": "inactive"}
    assert "awsv: 2 of 3 keys are done" in done.stderr
    assert "[1/3] carol: made" in done.stderr


def test_same_key_under_a_second_name_is_replaced_too(rotating: Home, iam: IamFront) -> None:
    add(rotating, iam.bob, "work", "copy")
    [outcome] = rotated(rotating, "work")
    assert held(rotating, "copy") == held(rotating, "work") == (outcome["new"], iam.keys[outcome["new"]].secret)


def test_two_keys_are_shown_and_the_named_one_is_deleted(rotating: Home, iam: IamFront) -> None:
    other = iam.key("bob").access_key_id
    done = rotating.awsv("rotate", "work")
    assert (done.returncode, done.stdout) == (7, "")
    assert f"{other} (active, created " in done.stderr
    assert "never used" in done.stderr
    command = done.stderr.splitlines()[-1].partition(": awsv ")[2].split()
    assert command == ["rotate", "--replace", other, "work"]
    assert set(iam.at_iam("bob")) == {iam.bob.access_key_id, other}
    done = rotating.awsv(*command)
    assert done.returncode == 0, done.stderr
    assert other not in iam.at_iam("bob")
    assert iam.works(*held(rotating))


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 7)])
def test_question_about_the_other_key(answer: str, code: int, rotating: Home, iam: IamFront) -> None:
    other = iam.key("bob").access_key_id
    terminal = rotating.spawn("rotate", "work")
    terminal.expect(f"Delete {other} .active, created .*never used")
    terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code
    assert (other in iam.at_iam("bob")) is bool(code)


def test_replace_names_no_key_that_is_not_there_or_is_stored(rotating: Home, iam: IamFront) -> None:
    for key, text in ((iam.bob.access_key_id, "is the stored key"), ("AKIANOTTHERE00000000", "has no key")):
        done = rotating.awsv("rotate", "work", "--replace", key)
        assert done.returncode == 2
        assert text in done.stderr
    assert iam.at_iam("bob") == {iam.bob.access_key_id: True}


def test_key_that_was_made_active_again_is_not_deleted_unasked(rotating: Home, iam: IamFront) -> None:
    rotated(rotating, "work")
    iam.moto.client("iam").update_access_key(UserName="bob", AccessKeyId=iam.bob.access_key_id, Status="Active")
    [journal] = (rotating.path / ".local/state/awsv/rotations").glob("*.json")
    entry = json.loads(journal.read_text())
    journal.write_text(json.dumps(entry | {"deactivated": entry["deactivated"] - 10**7}))
    done = rotating.awsv("rotate", "work")
    assert done.returncode == 7
    assert "active again" in done.stderr
    assert iam.bob.access_key_id in iam.at_iam("bob")
    assert rotated(rotating, "work", "--finish")[0]["state"] == "deleted"


def test_same_key_under_two_names_is_rotated_once_and_either_name_finishes(rotating: Home, iam: IamFront) -> None:
    add(rotating, iam.bob, "work", "copy")
    first, second = rotated(rotating, "--all")
    assert (first["name"], second["name"], first["new"]) == ("copy", "work", second["new"])
    assert [call.action for call in iam.calls].count("CreateAccessKey") == 1
    assert rotated(rotating, "work", "--finish")[0]["state"] == "deleted"
    assert rotated(rotating, "copy", "--finish")[0]["state"] in ("deleted", "nothing")
    assert set(iam.at_iam("bob")) == {first["new"]}


# -- a key that leaked -------------------------------------------------------------------------------------------------


def test_leaked_key_with_an_administrator_is_deactivated_first(rotating: Home, iam: IamFront) -> None:
    admin = iam.user("admin")
    add(rotating, admin, "admin")
    done = rotating.awsv("rotate", "work", "--leaked", "--as", "admin", "--revoke-sessions")
    assert done.returncode == 0, done.stderr
    assert "the leaked key is deactivated first" in done.stderr.splitlines()[0]
    changes = [call.action for call in iam.calls if not call.action.startswith(("Get", "List"))]
    assert changes == ["UpdateAccessKey", "PutUserPolicy", "CreateAccessKey", "DeleteAccessKey"]
    assert set(iam.at_iam("bob")) == {held(rotating)[0]}
    policy = iam.moto.client("iam").get_user_policy(UserName="bob", PolicyName="AWSRevokeOlderSessions")
    assert "aws:TokenIssueTime" in json.dumps(policy["PolicyDocument"])


def test_leaked_key_with_mfa_is_deactivated_first(rotating: Home, iam: IamFront) -> None:
    rotating.configure(f"[profile work]\nmfa_serial = {MFA}\n")
    done = rotating.awsv("rotate", "work", "--leaked", "-t", "123456")
    assert done.returncode == 0, done.stderr
    changes = [call.action for call in iam.calls if not call.action.startswith(("Get", "List"))]
    assert changes == ["UpdateAccessKey", "CreateAccessKey", "DeleteAccessKey"]


def test_leaked_key_that_alone_can_sign_is_deactivated_after_the_store(rotating: Home, iam: IamFront) -> None:
    done = rotating.awsv("rotate", "work", "--leaked")
    assert done.returncode == 0, done.stderr
    assert "only the key itself can sign" in done.stderr.splitlines()[0]
    assert iam.signed_by(iam.bob.access_key_id) == ["GetCallerIdentity", "ListAccessKeys", "CreateAccessKey"]
    assert set(iam.at_iam("bob")) == {held(rotating)[0]}


def test_leaked_key_after_a_rotation_is_the_one_in_the_vault(rotating: Home, iam: IamFront) -> None:
    [first] = rotated(rotating, "work")
    [second] = rotated(rotating, "work", "--leaked")
    assert (second["old"], second["state"]) == (first["new"], "deleted")
    assert set(iam.at_iam("bob")) == {second["new"]}


def test_leaked_key_that_is_inactive_already_needs_an_administrator(rotating: Home, iam: IamFront) -> None:
    iam.moto.client("iam").update_access_key(UserName="bob", AccessKeyId=iam.bob.access_key_id, Status="Inactive")
    iam.keys[iam.bob.access_key_id].active = False
    done = rotating.awsv("rotate", "work", "--leaked")
    assert done.returncode == 6
    assert "--leaked --as ADMIN" in done.stderr
    add(rotating, iam.user("admin"), "admin")
    [outcome] = rotated(rotating, "work", "--leaked", "--as", "admin")
    assert set(iam.at_iam("bob")) == {outcome["new"]}
    assert iam.signed_by(iam.bob.access_key_id) == []


def test_leaked_key_without_the_right_to_list_is_replaced_all_the_same(rotating: Home, iam: IamFront) -> None:
    add(rotating, iam.user("admin"), "admin")
    iam.denied |= {("admin", "ListAccessKeys"), ("admin", "ListAttachedUserPolicies")}
    [outcome] = rotated(rotating, "work", "--leaked", "--as", "admin")
    assert set(iam.at_iam("bob")) == {outcome["new"]}


def test_leaked_key_cannot_be_its_own_administrator(rotating: Home, iam: IamFront) -> None:
    add(rotating, iam.bob, "work", "same")
    for admin in ("work", "same"):
        done = rotating.awsv("rotate", "work", "--leaked", "--as", admin)
        assert done.returncode == 2
        assert "the key that is to be replaced" in done.stderr
    assert iam.at_iam("bob") == {iam.bob.access_key_id: True}


def test_leaked_pattern_that_means_two_keys_is_refused(rotating: Home, iam: IamFront) -> None:
    add(rotating, iam.user("carol"), "work2")
    rotating.configure("[profile work]\n[profile work2]\n")
    done = rotating.awsv("rotate", "work*", "--leaked")
    assert done.returncode == 2
    assert "about one key" in done.stderr
    assert iam.calls == []


def test_sessions_that_may_not_be_revoked_are_reported_and_the_key_is_replaced(rotating: Home, iam: IamFront) -> None:
    iam.denied |= {("bob", "PutUserPolicy"), ("bob", "ListAttachedUserPolicies")}
    done = rotating.awsv("rotate", "work", "--leaked", "--revoke-sessions")
    assert done.returncode == 7
    assert "were not revoked: AWS does not let" in done.stderr
    assert iam.works(*held(rotating))
    assert set(iam.at_iam("bob")) == {held(rotating)[0]}


def test_live_session_of_another_user_does_not_sign(rotating: Home, iam: IamFront) -> None:
    """The store was changed by another machine: this one has a session of the key that was there."""
    rotating.configure(f"[profile work]\nmfa_serial = {MFA}\n")
    assert rotating.awsv("exec", "-j", "-t", "123456", "work").returncode == 0
    carol = iam.user("carol")
    add(rotating, carol, "work")
    done = rotating.awsv("rotate", "work")
    assert done.returncode == 2
    assert "the live session is of user bob" in done.stderr
    assert held(rotating)[0] == carol.access_key_id


@pytest.mark.parametrize("named", [True, False], ids=["named", "asked for"])
def test_quarantine_is_named_with_the_way_out(named: bool, rotating: Home, iam: IamFront) -> None:
    """AWS's refusal names the policy or not; then the user may ask for it."""
    iam.quarantine("bob")
    iam.names_policies = named
    if named:
        iam.denied.add(("bob", "ListAttachedUserPolicies"))
    done = rotating.awsv("rotate", "work", "--leaked")
    assert done.returncode == 6
    assert f"user bob under quarantine ({quarantine.NAME}), because" in done.stderr
    assert "--leaked --as ADMIN" in done.stderr
    assert iam.at_iam("bob") == {iam.bob.access_key_id: True}
    add(rotating, iam.user("admin"), "admin")
    done = rotating.awsv("rotate", "work", "--leaked", "--as", "admin")
    assert done.returncode == 0, done.stderr
    assert f"--policy-arn {quarantine.ARN}" in done.stderr
    assert "support case" in done.stderr


@pytest.mark.parametrize("named", [True, False], ids=["named", "asked for"])
def test_quarantine_that_denies_the_session_with_mfa_is_named(named: bool, rotating: Home, iam: IamFront) -> None:
    rotating.configure(f"[profile work]\nmfa_serial = {MFA}\n")
    iam.quarantine("bob")
    iam.names_policies = named
    done = rotating.awsv("rotate", "work", "--leaked", "-t", "123456")
    assert done.returncode == 6
    assert f"user bob under quarantine ({quarantine.NAME}), because" in done.stderr
    assert "sts:GetSessionToken" in done.stderr
    assert "--leaked --as ADMIN" in done.stderr


# -- what cannot be rotated ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "changed"),
    [("ListAccessKeys", False), ("CreateAccessKey", False), ("UpdateAccessKey", True), ("DeleteAccessKey", True)],
)
def test_missing_permission_is_named_and_costs_no_key(
    action: str, changed: bool, rotating: Home, iam: IamFront
) -> None:
    iam.denied |= {("bob", action), ("bob", "ListAttachedUserPolicies")}
    done = rotating.awsv("rotate", "work", "--finish" if action == "DeleteAccessKey" else "work")
    if action == "DeleteAccessKey":  # only the end of a rotation needs it
        assert rotated(rotating, "work")[0]["state"] == "inactive"
        done = rotating.awsv("rotate", "work", "--finish")
    assert done.returncode == 6
    assert f"iam:{action}" in done.stderr
    assert iam.works(*held(rotating))
    assert (held(rotating)[0] != iam.bob.access_key_id) is changed
    half = f"{held(rotating)[0]} is stored and works; {iam.bob.access_key_id} is still active"
    assert (half in done.stderr) is (action == "UpdateAccessKey")
    iam.denied.clear()
    done = rotating.awsv("rotate", "work", "--finish" if changed else "work")
    assert done.returncode == 0, done.stderr
    assert iam.works(*held(rotating))


def test_rotation_needs_no_get_user(rotating: Home, iam: IamFront) -> None:
    iam.denied.add(("bob", "GetUser"))
    rotated(rotating, "work")


def test_profile_of_identity_center_is_refused(rotating: Home, iam: IamFront) -> None:
    rotating.configure("[profile sso]\nsso_start_url = https://x.awsapps.com/start\nsso_account_id = 1\n")
    done = rotating.awsv("rotate", "sso")
    assert done.returncode == 2
    assert "profile 'sso' has no stored key that could be rotated: by sso_" in done.stderr
    assert "'awsv list' shows" in done.stderr
    assert iam.calls == []


@pytest.mark.parametrize("action", ["CreateAccessKey", "DeleteAccessKey", "UpdateAccessKey"])
def test_leaked_key_that_is_still_active_after_a_refusal_is_named(action: str, rotating: Home, iam: IamFront) -> None:
    """There is an inactive key as well, which is to be deleted first."""
    [first] = rotated(rotating, "work")
    iam.denied |= {("bob", action), ("bob", "ListAttachedUserPolicies")}
    done = rotating.awsv("rotate", "work", "--leaked")
    assert done.returncode == 6
    assert f"{first['new']} has leaked and is still active; --as ADMIN deactivates it first" in done.stderr
    assert iam.at_iam("bob")[first["new"]]
    add(rotating, iam.user("admin"), "admin")
    done = rotating.awsv("rotate", "work", "--leaked", "--as", "admin")
    assert done.returncode == 0, done.stderr
    assert "still active" not in done.stderr
    assert first["new"] not in iam.at_iam("bob")


def test_name_without_a_key_is_refused(rotating: Home, iam: IamFront) -> None:
    done = rotating.awsv("rotate", "nothing")
    assert done.returncode == 4
    assert "no key is stored for profile 'nothing'" in done.stderr
    assert "awsv add nothing" in done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name profiles, or give --all"),
        (["--all", "work"], "name profiles, or give --all"),
        (["work", "--revoke-sessions"], "belongs to --leaked"),
        (["--all", "--leaked"], "for one profile"),
        (["work", "--leaked", "--finish"], "needs no --finish"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: list[str], text: str, rotating: Home, iam: IamFront) -> None:
    done = rotating.awsv("rotate", *words)
    assert done.returncode == 2
    assert text in done.stderr
    assert iam.calls == []
