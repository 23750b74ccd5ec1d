"""S16: a new data key: every entry is encrypted again, and an unopened slot is dropped only after a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.file_store import content, spoil
from vault_core import vlt
from vault_core.api import Cancelled, Secret, StorageConflict, StorageCorrupt, WrongSecret
from vault_core.keyslots import new_slot
from vault_plugin_file import maintenance, vlt_file
from vault_testkit.context import FakeContext

ENTRIES = {"credentials/a": "one", "credentials/b": "two", "seeds/c": "three"}


@pytest.fixture
def made(opened: Any) -> Any:
    """A store with three entries; its backend."""
    store = opened()
    for key, value in ENTRIES.items():
        store.put(key, Secret(value))
    return store


def yes(*_: Any) -> Any:
    return True


def no(*_: Any) -> Any:
    return False


def test_s16_rekey_encrypts_all_entries_again(made: Any, opened: Any, ctx: FakeContext) -> None:
    old = made.store.read()
    new, before = maintenance.rekey(opened().store, no)
    assert before == old.table
    assert new.dek != old.dek
    assert new.epoch == old.epoch + 1
    assert not {entry.sealed for entry in old.entries.values()} & {entry.sealed for entry in new.entries.values()}
    assert {slot.id for slot in old.table.slots}.isdisjoint(slot.id for slot in new.table.slots)
    with pytest.raises(ValueError, match="header was changed"):
        vlt_file.decrypt(vlt_file.parse(new.data), old.dek)
    assert content(opened()) == ENTRIES
    assert content(made) == ENTRIES  # who had it open notices
    made.put("credentials/d", Secret("four"))
    assert all("did not open" not in note and "older" not in note for note in ctx.notes)


def test_rekey_asks_for_each_secret_once(made: Any, opened: Any, ctx: FakeContext) -> None:
    ctx.unlocked.clear()
    maintenance.rekey(opened().store, no)
    assert len(ctx.unlocked) == 1
    assert not any(note.startswith("for ") for note in ctx.notes)
    assert content(opened()) == ENTRIES


def test_rekey_asks_only_for_secret_of_other_slot(two_ways: Any, made: Any, opened: Any, tmp_path: Path) -> None:
    both = FakeContext(tmp_path, passphrases=["right", "other"])
    new, _ = maintenance.rekey(opened(both).store, no)
    assert len(both.unlocked) == 2
    assert [note for note in both.notes if note.startswith("for ")] == [f"for {two_ways.describe()}:"]
    for passphrase in ("right", "other"):
        assert content(opened(FakeContext(tmp_path, passphrases=[passphrase]))) == ENTRIES
    assert len(new.table.slots) == 2


@pytest.fixture
def two_ways(made: Any) -> Any:
    """The slot of a second passphrase, which no source provides."""
    other = FakeContext(made.store.file.folder.parent, passphrases=["other"])
    slot = new_slot.passphrase(
        made.slots().store, lambda key_id, derive, source: other.unlock(key_id, derive), cost=CHEAP
    )
    made.change_slots(lambda table, dek: table.add(dek, slot))
    return made.slots().slots[1]


CHEAP = vlt.Argon2id(memory=19_456, passes=2, lanes=1)


def test_s16_rekey_drops_unopened_slot_only_if_allowed(
    two_ways: Any, made: Any, opened: Any, tmp_path: Path, snapshot: Any
) -> None:
    asked = []
    before = snapshot()
    with pytest.raises(Cancelled):
        maintenance.rekey(opened().store, lambda slots: bool(asked.extend(slots)))
    assert asked == [two_ways.describe()]
    assert snapshot() == before
    new, _ = maintenance.rekey(opened().store, yes)
    assert len(new.table.slots) == 1
    with pytest.raises(WrongSecret):
        opened(FakeContext(tmp_path, passphrases=["other"])).get("credentials/a")
    assert content(opened()) == ENTRIES


def test_rekey_leaves_only_new_key_in_source(two_ways: Any, made: Any, opened: Any, ctx: FakeContext) -> None:
    made.change_slots(lambda table, dek: table.add(dek, new_slot.key(table.store, ctx, "keychain")))
    before = dict(ctx.kept)
    with pytest.raises(Cancelled):
        maintenance.rekey(opened().store, no)
    assert ctx.kept == before
    maintenance.rekey(opened().store, yes)
    assert len(ctx.kept) == len(before) == 1
    assert ctx.kept.keys().isdisjoint(before)


def test_rekey_keeps_concurrent_write(two_ways: Any, made: Any, opened: Any) -> None:
    def meanwhile(slots: Any) -> Any:
        made.put("credentials/d", Secret("four"))
        return True

    maintenance.rekey(opened().store, meanwhile)
    assert content(opened()) == {**ENTRIES, "credentials/d": "four"}


def test_rekey_refuses_concurrent_slot_change(two_ways: Any, made: Any, opened: Any) -> None:
    def meanwhile(slots: Any) -> Any:
        made.change_slots(lambda table, dek: table.remove(two_ways.id))
        return True

    with pytest.raises(StorageConflict, match=r"another process changed the slots of"):
        maintenance.rekey(opened().store, meanwhile)
    assert content(opened()) == ENTRIES


def test_rekey_of_damaged_store_changes_nothing(made: Any, opened: Any, snapshot: Any) -> None:
    spoil(made, "credentials/b")
    before = snapshot()
    with pytest.raises(StorageCorrupt, match="credentials/b"):
        maintenance.rekey(opened().store, yes)
    assert snapshot() == before
