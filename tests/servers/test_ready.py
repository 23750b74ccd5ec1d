"""``awsv ready``: many sessions behind one question a user, and a truthful account of what is ready."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from typing import Any

import pexpect
import pytest

from support.busy import seconds
from support.home import Home
from support.moto import ACCOUNT, Key, MotoServer
from support.recording_proxy import RecordingProxy, deny, deny_mfa, held, slow
from support.stored import CODE, MFA, PASSPHRASE, UNLOCKED, add, state, until
from support.vaults import stores

QUESTION = r"MFA code for (\S+): "
BOBS_MFA = f"arn:aws:iam::{ACCOUNT}:mfa/bob"


def role(name: str, source: str, serial: str | None) -> str:
    mfa = f"mfa_serial = {serial}\n" if serial else ""
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name.strip('[]')}"
    return f"[profile {name}]\nrole_arn = {arn}\nsource_profile = {source}\n{mfa}\n"


@pytest.fixture
def logged_in(home: Home, moto: MotoServer) -> Home:
    roles = [role(f"tf-{name}", "alice", MFA) for name in ("net", "app", "db")]
    roles += [role("bob-app", "bob", BOBS_MFA), role("plain-app", "plain", None), role("[odd]", "plain", None)]
    home.configure("[profile alice]\n[profile bob]\n[profile plain]\n" + "".join(roles))
    add(home, moto.alice, "alice", "plain")
    add(home, Key("AKIABOBBOBBOBBOBBOB2", "x" * 40), "bob")
    return home


def rows(text: str) -> dict[str, list[str]]:
    """The table, by profile."""
    lines = [re.split(r"  +", line.strip(), maxsplit=2) for line in text.splitlines()]
    start = next(number for number, cells in enumerate(lines) if cells[0] == "Profile") + 2
    return {cells[0]: cells[1:] for cells in lines[start:] if len(cells) == 3}


def is_failed(cells: list[str]) -> bool:
    return cells[1].startswith("failed: ")


def finish(terminal: Any) -> tuple[int, str]:
    """Exit code and the rest of what was shown."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus, terminal.before


def test_one_question_for_all_roles_of_a_user(logged_in: Home, front: RecordingProxy) -> None:
    terminal = logged_in.spawn("ready", "tf-*", env=UNLOCKED)
    terminal.expect(r"awsv for 3 profiles, tf-net the first")
    terminal.expect(QUESTION)
    terminal.sendline(CODE)
    code, text = finish(terminal)
    assert code == 0
    assert not re.search(QUESTION, text)
    table = rows(text)
    assert list(table) == ["tf-net", "tf-app", "tf-db"]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", until) and state == "new" for until, state in table.values())
    assert Counter(front.actions) == {"GetSessionToken": 1, "AssumeRole": 3}
    again = logged_in.awsv("ready", "tf-*")
    assert again.returncode == 0
    assert {state for _, state in rows(again.stdout).values()} == {"still live"}
    assert logged_in.awsv("exec", "-j", "tf-db").returncode == 0
    assert len(front.calls) == 4


def test_each_profile_may_name_its_store(home: Home, moto: MotoServer, front: RecordingProxy) -> None:
    """A key in the store of another profile is not taken for its own."""
    folders = {name: home.root / name for name in ("alice", "bob")}
    stores(home, **folders)
    home.configure("".join(f"[profile {name}]\nvault_backend = {name}\n" for name in folders))
    unlocked = {f"AWS_VAULT_{name.upper()}_PASSPHRASE": name for name in folders}
    keys = {name: f"AKIA{name.upper():A<16}" for name in folders}
    for name, key in keys.items():
        variables = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "x" * 40}
        assert home.awsv("add", "--env", name, env={**variables, **unlocked}).returncode == 0
    wired = home.awsv("config", "credential-process", "--all", "--dry-run", env=unlocked)
    assert "no key is stored" not in wired.stderr
    assert [name for name in folders if f"exec -j {name}" in wired.stdout] == list(folders)
    assert home.awsv("ready", *folders, env=unlocked).returncode == 0
    assert {call.access_key_id for call in front.calls} == set(keys.values())


def test_two_users_are_two_questions(logged_in: Home, front: RecordingProxy) -> None:
    terminal = logged_in.spawn("ready", "tf-net", "bob-app", "tf-app", env=UNLOCKED)
    for serial, answer in ((MFA, "111111"), (BOBS_MFA, "222222")):
        terminal.expect(QUESTION)
        assert terminal.match[1] == serial
        terminal.sendline(answer)
    code, text = finish(terminal)
    assert (code, list(rows(text))) == (0, ["tf-net", "bob-app", "tf-app"])
    answers = {call.parameters["SerialNumber"]: call.parameters["TokenCode"] for call in front.named("GetSessionToken")}
    assert answers == {MFA: "111111", BOBS_MFA: "222222"}


def test_a_live_user_is_not_asked_again(logged_in: Home, front: RecordingProxy) -> None:
    """Nor is the passphrase: the roles start from the user's session."""
    assert logged_in.awsv("exec", "-j", "tf-net", "-t", CODE, env=UNLOCKED).returncode == 0
    done = logged_in.awsv("ready", "tf-*")
    assert done.returncode == 0, done.stderr
    assert Counter(front.actions) == {"GetSessionToken": 1, "AssumeRole": 3}


def test_they_are_made_in_parallel(logged_in: Home, front: RecordingProxy) -> None:
    all_are_asked = threading.Event()
    front.on("AssumeRole", held(all_are_asked))
    terminal = logged_in.spawn("ready", "tf-*", "plain-app", "-t", CODE, env=UNLOCKED)
    until(lambda: len(front.named("AssumeRole")) == 4, "four calls, none of which is answered")
    all_are_asked.set()
    assert finish(terminal)[0] == 0


def test_the_passphrase_is_asked_once(logged_in: Home, front: RecordingProxy) -> None:
    terminal = logged_in.spawn("ready", "alice", "plain", "bob", "plain-app")
    terminal.expect("Passphrase to unlock")
    terminal.sendline(PASSPHRASE)
    code, text = finish(terminal)
    assert (code, len(rows(text))) == (0, 4)
    assert "Passphrase" not in text


def test_json(logged_in: Home, front: RecordingProxy) -> None:
    front.on("AssumeRole", deny("no"), times=1)
    done = logged_in.awsv("ready", "--json", "plain-app", "plain", "[odd]", env=UNLOCKED)
    assert done.returncode == 7
    found = json.loads(done.stdout)
    assert [entry["profile"] for entry in found] == ["plain-app", "plain", "[odd]"]
    [failed] = [entry for entry in found if not entry["ready"]]
    assert failed["profile"] in ("plain-app", "[odd]")
    assert "AWS refused to assume" in failed["error"]
    assert failed["expires"] is None
    assert all(set(entry) == {"profile", "ready", "expires", "cached", "error"} for entry in found)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found[1]["expires"])


def test_one_role_is_denied(logged_in: Home, front: RecordingProxy) -> None:
    front.on("AssumeRole", deny("not you"), times=1)
    done = logged_in.awsv("ready", "tf-*", "-t", CODE, env=UNLOCKED)
    assert done.returncode == 7
    states = Counter(is_failed(cells) for cells in rows(done.stdout).values())
    assert states == {True: 1, False: 2}
    assert "awsv: 2 of 3 profiles are ready\nhint: check the role's trust policy" in done.stderr
    assert Counter(front.actions) == {"GetSessionToken": 1, "AssumeRole": 3}


def test_every_role_is_denied(logged_in: Home, front: RecordingProxy) -> None:
    front.on("AssumeRole", deny("not you"))
    done = logged_in.awsv("ready", "tf-*", "-t", CODE, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (6, "")
    for name in ("tf-net", "tf-app", "tf-db"):
        assert f"role/{name}: not you" in done.stderr
    assert Counter(front.actions) == {"GetSessionToken": 1, "AssumeRole": 3}


def test_the_user_is_denied(logged_in: Home, front: RecordingProxy) -> None:
    front.on("GetSessionToken", deny("not you"))
    done = logged_in.awsv("ready", "tf-*", "-t", CODE, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.count("not you") == 1
    assert front.actions == ["GetSessionToken"]


def test_one_profile_makes_no_sense(logged_in: Home, front: RecordingProxy) -> None:
    done = logged_in.awsv("ready", "plain", "nobody", env=UNLOCKED)
    assert done.returncode == 7
    assert rows(done.stdout)["nobody"][0] == "-"
    assert rows(done.stdout)["nobody"][1].startswith("failed: unknown profile 'nobody'")


@pytest.mark.parametrize(("key", "code"), [("\x03", 6), ("\r", 6), ("\x04", 6)])
def test_declining_ends_every_question(logged_in: Home, front: RecordingProxy, key: str, code: int) -> None:
    terminal = logged_in.spawn("ready", "tf-*", "bob-app", env=UNLOCKED)
    terminal.expect(QUESTION)
    terminal.send(key)
    found, text = finish(terminal)
    assert found == code
    assert "no MFA code was given for profile 'alice'" in text
    assert not re.search(QUESTION, text)
    assert front.calls == []


def test_declining_leaves_what_asks_nobody(logged_in: Home, front: RecordingProxy) -> None:
    terminal = logged_in.spawn("ready", "tf-net", "plain-app", env=UNLOCKED)
    terminal.expect(QUESTION)
    terminal.sendintr()
    code, text = finish(terminal)
    assert code == 7
    assert rows(text)["plain-app"][1] == "new"
    assert front.actions == ["AssumeRole"]


def test_declining_the_passphrase(logged_in: Home, front: RecordingProxy) -> None:
    terminal = logged_in.spawn("ready", "alice", "plain", "bob-app")
    terminal.expect("Passphrase to unlock")
    terminal.sendintr()
    code, text = finish(terminal)
    assert code == 5
    assert "Passphrase" not in text
    assert text.count("no passphrase was given") == 1
    assert front.calls == []


def test_a_wrong_code_is_asked_for_again(logged_in: Home, front: RecordingProxy) -> None:
    front.on("GetSessionToken", deny_mfa(), times=1)
    terminal = logged_in.spawn("ready", "tf-net", env=UNLOCKED)
    for answer in ("111111", "222222"):
        terminal.expect(QUESTION)
        terminal.sendline(answer)
    assert finish(terminal)[0] == 0
    assert [call.parameters["TokenCode"] for call in front.named("GetSessionToken")] == ["111111", "222222"]


def test_three_wrong_codes_end_that_user_only(logged_in: Home, front: RecordingProxy) -> None:
    front.on("GetSessionToken", deny_mfa(), times=3)
    terminal = logged_in.spawn("ready", "tf-net", "tf-app", "bob-app", env=UNLOCKED)
    for answer in ("111111", "222222", "333333", "444444"):
        terminal.expect(QUESTION)
        terminal.sendline(answer)
    code, text = finish(terminal)
    assert code == 7
    assert {name: is_failed(cells) for name, cells in rows(text).items()} == {
        "tf-net": True,
        "tf-app": True,
        "bob-app": False,
    }


def test_nobody_can_be_asked(logged_in: Home, front: RecordingProxy) -> None:
    done = logged_in.awsv("ready", "tf-*", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (6, "")
    assert "needs an MFA code" in done.stderr
    assert "there is no terminal" in done.stderr
    done = logged_in.awsv("ready", "plain", "plain-app")
    assert (done.returncode, done.stdout) == (5, "")
    assert "no passphrase for store 'file'" in done.stderr
    assert front.calls == []


def test_ctrl_c_while_aws_is_asked(logged_in: Home, front: RecordingProxy) -> None:
    front.on("AssumeRole", slow(30))
    terminal = logged_in.spawn("ready", "tf-*", "plain", "-t", CODE, env=UNLOCKED)
    until(lambda: len(front.named("AssumeRole")) == 3, "three calls")
    until(lambda: len(state(logged_in, "sessions")) == 2, "the session of alice and that of plain")
    pressed = time.monotonic()
    terminal.sendintr()
    code, text = finish(terminal)
    assert (code, "interrupted" in text) == (130, True)
    assert time.monotonic() - pressed < seconds(3)
    assert len(state(logged_in, "sessions")) == 2, "what was made stays"


def test_a_pattern_that_matches_nothing(logged_in: Home) -> None:
    done = logged_in.awsv("ready", "prod-*")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no profile matches 'prod-*'" in done.stderr


def test_a_name_that_looks_like_a_pattern(logged_in: Home, front: RecordingProxy) -> None:
    done = logged_in.awsv("ready", "[odd]", env=UNLOCKED)
    assert (done.returncode, list(rows(done.stdout))) == (0, ["[odd]"])


def test_a_stored_name_without_a_section_that_looks_like_a_pattern(logged_in: Home, moto: MotoServer) -> None:
    """The key that is called so goes before the profile that matches."""
    logged_in.configure(logged_in.config.read_text() + "[profile key1]\n")
    add(logged_in, moto.alice, "key[1]", "key*")
    assert list(rows(logged_in.awsv("ready", "key[1]", env=UNLOCKED).stdout)) == ["key[1]"]
    # Its session is live now, so it is known while the store is locked.
    assert list(rows(logged_in.awsv("ready", "key[1]").stdout)) == ["key[1]"]
    done = logged_in.awsv("ready", "key*", env=UNLOCKED)  # a pattern, as it matches a profile
    assert "'key1'" in done.stderr
    done = logged_in.awsv("ready", "k*", "*y[*]")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no profile matches '*y[*]'" in done.stderr


def test_each_profile_once(logged_in: Home, front: RecordingProxy) -> None:
    done = logged_in.awsv("ready", "plain-*", "plain-app", "pl*app", env=UNLOCKED)
    assert list(rows(done.stdout)) == ["plain-app"]
    assert front.actions == ["AssumeRole"]
