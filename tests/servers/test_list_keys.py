"""``awsv list --keys``, and the policy of ``docs/rotation.md``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from support.home import Home
from support.iam_front import IamFront
from support.moto import ACCOUNT
from support.stored import add

PAGE = Path(__file__).parents[2] / "docs/rotation.md"


def listed(home: Home, **options: Any) -> dict[str, dict[str, Any]]:
    done = home.awsv("list", "--keys", "--json", **options)
    assert done.returncode == 0, done.stderr
    return {one["name"]: one for one in json.loads(done.stdout)}


def test_each_key_has_age_last_use_and_status_or_the_reason_why_not(rotating: Home, iam: IamFront) -> None:
    users = {name: iam.user(name) for name in ("dead", "denied", "blind")}
    for name, key in users.items():
        add(rotating, key, name)
    iam.keys[users["dead"].access_key_id].active = False
    iam.denied |= {("denied", "ListAccessKeys"), ("blind", "GetAccessKeyLastUsed")}
    found = listed(rotating)
    assert {name: (one["active"], one["user"]) for name, one in found.items()} == {
        "work": (True, "bob"),
        "dead": (False, None),
        "denied": (None, "denied"),
        "blind": (True, "blind"),
    }
    assert found["work"]["created"].endswith("Z")
    assert found["work"]["is_old"] is False
    assert found["work"]["reason"] is None
    for name, text in (("dead", "deleted or inactive"), ("denied", "iam:ListAccessKeys"), ("blind", "last use")):
        assert text in found[name]["reason"]
    done = rotating.awsv("list", "--keys")
    assert re.search(r"^dead +AKIA\w+ +not known +not known +refused +-$", done.stdout, re.M)
    assert re.search(r"^denied +AKIA\w+ +not known +not known +not known +-$", done.stdout, re.M)
    assert "awsv: denied: AWS does not let" in done.stderr


def test_key_older_than_the_setting_is_named(rotating: Home, iam: IamFront) -> None:
    assert "older than" not in rotating.awsv("list", "--keys").stderr
    done = rotating.awsv("list", "--keys", env={"AWS_VAULT_KEY_MAX_AGE": "0s"})
    assert "older than 0s (AWS_VAULT_KEY_MAX_AGE): 'work'; awsv rotate work" in done.stderr
    assert listed(rotating, env={"AWS_VAULT_KEY_MAX_AGE": "0s"})["work"]["is_old"] is True


def test_what_is_due_is_shown(rotating: Home, iam: IamFront) -> None:
    assert listed(rotating)["work"]["due"] is None
    assert rotating.awsv("rotate", "work").returncode == 0
    one = listed(rotating)["work"]
    assert (one["due"], one["due_key"]) == ("delete", iam.bob.access_key_id)
    assert f"delete {iam.bob.access_key_id} from {one['due_from'][:10]} on" in rotating.awsv("list", "--keys").stdout
    iam.denied.add(("bob", "DeleteAccessKey"))
    assert rotating.awsv("rotate", "work", "--leaked").returncode == 6
    iam.denied = {("bob", "UpdateAccessKey"), ("bob", "ListAttachedUserPolicies")}
    rotating.awsv("rotate", "work", "--finish")
    assert rotating.awsv("rotate", "work").returncode == 6
    assert listed(rotating)["work"]["due"] == "finish"


def test_key_under_two_names_is_asked_about_once(rotating: Home, iam: IamFront) -> None:
    add(rotating, iam.bob, "work", "copy")
    found = listed(rotating)
    assert found["work"] | {"name": "copy"} == found["copy"]
    assert [call.action for call in iam.calls].count("ListAccessKeys") == 1


def test_live_session_with_mfa_signs_and_nothing_is_asked(rotating: Home, iam: IamFront) -> None:
    rotating.configure(f"[profile work]\nmfa_serial = arn:aws:iam::{ACCOUNT}:mfa/bob\n")
    assert rotating.awsv("exec", "-j", "-t", "123456", "work").returncode == 0
    iam.calls.clear()
    listed(rotating)
    assert {call.key[:4] for call in iam.calls if call.action == "ListAccessKeys"} == {"ASIA"}
    assert iam.codes == ["123456"]


def test_two_lists_at_once_are_refused(rotating: Home) -> None:
    done = rotating.awsv("list", "--keys", "--sessions")
    assert done.returncode == 2
    assert "two lists" in done.stderr


def test_the_policy_of_the_page_is_enough_and_not_too_much(rotating: Home, iam: IamFront) -> None:
    [text] = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    [statement] = json.loads(text)["Statement"]
    allowed = {action.removeprefix("iam:") for action in statement["Action"]}
    iam.allowed["bob"] = allowed
    for words in (
        ["rotate", "work"],
        ["rotate", "work", "--finish"],
        ["rotate", "--leaked", "work"],
        ["list", "--keys"],
    ):
        done = rotating.awsv(*words)
        assert done.returncode == 0, done.stderr
    assert {call.action for call in iam.calls if call.accepted} - {"GetCallerIdentity"} == allowed
