"""Listing and removing keys, clearing sessions, the list of plugins: for people, for programs, locked and asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import Home
from support.vaults import (
    KEY_ID,
    OTHER_ID,
    OTHER_SECRET,
    PASSPHRASE,
    SECRET,
    UNLOCKED,
    data,
    ended,
    fill,
    offline,
    store_path,
    stored,
)
from vault_core.api import Secret
from vault_core.storage.vault import CREDENTIALS
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

TITLES = ["Profile", "Credentials", "Sessions"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A machine without AWS, without a store."""
    return offline(tmp_path)


@pytest.fixture
def filled(home: Home) -> Home:
    """The same with a key of ``work``."""
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


def test_the_table(filled: Home) -> None:
    filled.configure("[default]\n[profile work]\n[profile other]\n")
    rows = [line.split() for line in filled.awsv("list", env=UNLOCKED).stdout.splitlines()]
    assert rows[0] == TITLES
    assert rows[2:] == [["default", "-", "-"], ["work", "work", "-"], ["other", "-", "-"]]
    assert filled.awsv("ls", env=UNLOCKED).stdout == filled.awsv("list", env=UNLOCKED).stdout


def test_the_schema_of_its_json(filled: Home) -> None:
    filled.configure("[profile other]\n")
    found = json.loads(filled.awsv("list", "--json", env=UNLOCKED).stdout)
    assert found == [
        {"profile": "other", "in_config": True, "stored": False, "shared": False, "sessions": []},
        {"profile": "work", "in_config": False, "stored": True, "shared": False, "sessions": []},
    ]
    locked = json.loads(filled.awsv("list", "--json").stdout)
    assert locked == [{"profile": "other", "in_config": True, "stored": None, "shared": None, "sessions": []}]


def test_locked_it_says_so_and_asks_nobody(filled: Home) -> None:
    done = filled.awsv("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2].split() == ["default", "locked", "-"]
    child = filled.spawn("list")
    assert ended(child) == 0
    assert "Passphrase" not in child.before
    assert "locked" in child.before


def test_locked_and_without_profiles_it_says_where_they_may_be(filled: Home) -> None:
    filled.configure("")
    done = filled.awsv("list")
    assert done.returncode == 0
    assert "'awsv list --unlock' shows what it holds" in done.stderr
    assert "nothing here yet" not in done.stderr


def test_unlock_asks(filled: Home) -> None:
    child = filled.spawn("list", "--unlock")
    child.expect_exact("Passphrase to unlock store 'file': ")
    child.sendline(PASSPHRASE)
    assert ended(child) == 0
    assert "work" in child.before
    assert "locked" not in child.before


def test_unlock_where_nobody_can_be_asked(filled: Home) -> None:
    for flags in ([], ["--no-input"]):
        done = filled.awsv(*flags, "list", "--unlock")
        assert (done.returncode, done.stdout) == (5, "")
        assert "tried env (not set), prompt (" in done.stderr


def test_the_three_lists_of_names(filled: Home) -> None:
    filled.configure("[profile other]\n")
    assert filled.awsv("list", "--profiles").stdout == "other\n"
    assert filled.awsv("list", "--credentials", env=UNLOCKED).stdout == "work\n"
    assert filled.awsv("list", "--sessions").stdout == ""


def test_nothing_yet(home: Home) -> None:
    home.config.unlink()
    done = home.awsv("list")
    assert done.returncode == 0
    assert done.stderr == "awsv: nothing here yet: 'awsv add PROFILE' stores a profile's keys\n"
    assert json.loads(home.awsv("list", "--json").stdout) == []


# -- remove, clear, plugins list ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("n", False), ("", False), ("\x03", False), ("\x04", False)])
def test_removing_asks(answer: str, gone: bool, filled: Home) -> None:
    child = filled.spawn("rm", "work", env=UNLOCKED)
    child.expect_exact(f"Delete the key {KEY_ID} of profile 'work' from the vault?")
    child.send(answer if answer in ("\x03", "\x04") else f"{answer}\r")
    assert ended(child) == (0 if gone else 130)
    assert stored(filled) == ({} if gone else {"work": (KEY_ID, SECRET)})


def test_a_key_that_changes_during_the_question_is_not_removed(filled: Home) -> None:
    child = filled.spawn("rm", "work", env=UNLOCKED)
    child.expect_exact(f"Delete the key {KEY_ID} of profile 'work' from the vault?")
    fill(filled, {"work": (OTHER_ID, OTHER_SECRET)})
    child.send("y\r")
    child.expect_exact("the key of profile 'work' was changed by someone else just now; nothing was removed")
    assert ended(child) == 4
    assert stored(filled) == {"work": (OTHER_ID, OTHER_SECRET)}


def test_what_cannot_be_read_is_removed_only_by_force(filled: Home) -> None:
    backend = FileBackend(FakeContext(filled.root, passphrases=[PASSPHRASE]), store_path(filled).parent)
    backend.put(CREDENTIALS + "work", Secret("no key"))
    refused = filled.awsv("remove", "work", env=UNLOCKED)
    assert (refused.returncode, refused.stdout) == (4, "")
    assert list(backend.keys()) == [CREDENTIALS + "work"]
    assert filled.awsv("remove", "--force", "work", env=UNLOCKED).returncode == 0
    assert list(backend.keys()) == []


def test_removing_without_a_terminal(filled: Home) -> None:
    refused = filled.awsv("remove", "work", env=UNLOCKED)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[-1] == "hint: give --force"
    assert stored(filled) == {"work": (KEY_ID, SECRET)}
    done = filled.awsv("remove", "-f", "work", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"awsv: removed the key {KEY_ID} of profile 'work', and 0 sessions made from it\n"
    assert stored(filled) == {}


def test_removing_what_is_not_there(filled: Home) -> None:
    before = data(filled)
    done = filled.awsv("remove", "--force", "wrok", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"no key is stored for profile 'wrok' in store 'file' ({store_path(filled)})" in done.stderr
    assert done.stderr.splitlines()[-1] == "hint: did you mean 'work'?"
    assert data(filled) == before


def test_clearing_what_is_not_there(home: Home) -> None:
    for words in (["clear"], ["clear", "nobody"]):
        done = home.awsv(*words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "Cleared 0 sessions.\n", "")


def test_the_list_of_plugins(home: Home) -> None:
    found = json.loads(home.awsv("plugins", "list", "--json").stdout)
    assert all(list(entry) == ["kind", "name", "distribution", "version", "state", "reason"] for entry in found)
    states = {(entry["kind"], entry["name"]): entry["state"] for entry in found}
    assert states["storage", "file"] == "selected"
    assert states["passphrase", "env"] == states["passphrase", "prompt"] == "selected"
    other = home.awsv("plugins", "list", "--json", env={"AWS_VAULT_PASSPHRASE_SOURCE": "prompt"})
    states = {(entry["kind"], entry["name"]): entry["state"] for entry in json.loads(other.stdout)}
    assert (states["passphrase", "env"], states["passphrase", "prompt"]) == ("installed", "selected")
