"""A store that was made when less was enough: the commands say so, and a change of it mends it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.home import Home
from support.vaults import KEY_ID, PASSPHRASE, SECRET, UNLOCKED, offline, store_path
from support.ways import table, with_descriptors
from vault_core.api import Secret
from vault_core.vlt import Argon2id
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

TOLD = "costs less than at one of a new store (argon2id, 19 MiB, t=2); the next write upgrades it"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    context = FakeContext(home.root, passphrases=[PASSPHRASE])
    weak = Argon2id(memory=19_456, passes=2, lanes=1)
    value = json.dumps({"access_key_id": KEY_ID, "secret_access_key": SECRET})
    FileBackend(context, store_path(home).parent, cost=weak).put("credentials/work", Secret(value))
    return home


def passes(home: Home) -> list[object]:
    """What Argon2id costs in each slot that derives."""
    return [slot.head["kdf"]["t"] for slot in table(home).slots if "kdf" in slot.head]


def test_reading_tells(home: Home) -> None:
    before = store_path(home).read_bytes()
    for _ in range(2):
        done = home.awsv("list", "--unlock", env=UNLOCKED)
        assert (done.returncode, done.stderr.count("\n"), TOLD in done.stderr) == (0, 1, True)
    assert store_path(home).read_bytes() == before


def test_a_key_that_is_removed_mends_it(home: Home) -> None:
    done = home.awsv("remove", "--force", "work", env=UNLOCKED)
    assert (done.returncode, done.stderr.count(TOLD)) == (0, 1)
    assert passes(home) == [3]
    silent = home.awsv("list", "--unlock", env=UNLOCKED)
    assert (silent.returncode, silent.stderr) == (0, "")


def test_a_slot_that_is_added_mends_it(home: Home) -> None:
    process = with_descriptors(home, "slot", "add", "--passphrase", env=UNLOCKED, new_passphrase="second")
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr.decode().count(TOLD)) == (0, 1)
    assert passes(home) == [3, 3]
