"""Slots below today's default: told in one line, made anew at the next write, and at no read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.memory_backend import BOTH, MemoryBackend, after_next_read, rescue
from vault_core.api import Capability, Secret, StorageUnavailable, WrongSecret
from vault_core.keyslots import new_slot
from vault_core.storage.sealed import SLOTS_KEY, SealedBackend
from vault_core.vlt import primitives
from vault_core.vlt.kdf import Argon2id
from vault_testkit.context import FakeContext

WEAK, TODAY = Argon2id(memory=19_456, passes=2, lanes=1), Argon2id(memory=19_456, passes=3, lanes=1)
KEY = "credentials/a"
LINE = (
    "a guess at the passphrase of store test costs less than at one of a new store (argon2id, 19 MiB, t=2);"
    " the next write upgrades it"
)


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch, _cheap: Any) -> None:
    monkeypatch.setattr(new_slot, "DEFAULT_COST", TODAY)


@pytest.fixture
def inner(tmp_path: Path) -> Any:
    """A sealed store of which the slot is weak, with one value."""
    kept = MemoryBackend()
    SealedBackend(kept, FakeContext(tmp_path, passphrases=["right"]), BOTH, cost=WEAK).put(KEY, Secret("one"))
    return kept


@pytest.fixture
def opened(inner: Any, tmp_path: Path) -> Any:
    """A function that opens it anew, with the passphrases that the sources have."""

    def open_it(*said: Any, able: Any = BOTH) -> Any:
        context = FakeContext(tmp_path, passphrases=said or ("right",))
        return SealedBackend(inner, context, able), context

    return open_it


def costs(inner: Any) -> Any:
    return [(slot["kdf"]["m"], slot["kdf"]["t"]) for slot in json.loads(inner.kept[SLOTS_KEY])["slots"]]


def test_a_read_warns_and_writes_nothing(inner: Any, opened: Any) -> None:
    before = dict(inner.kept)
    store, context = opened("wrong", "right")
    for _ in range(2):
        assert store.get(KEY).value == Secret("one")
    assert list(store.keys()) == [KEY]
    store.delete("credentials/nothing")
    assert context.notes == [LINE]
    assert inner.kept == before


def test_the_next_write_mends_it_and_the_passphrase_still_opens(inner: Any, opened: Any) -> None:
    store, context = opened()
    store.get(KEY)
    old = json.loads(inner.kept[SLOTS_KEY])["slots"][0]
    store.put("credentials/b", Secret("two"))
    assert costs(inner) == [(19_456, 3)]
    [new] = json.loads(inner.kept[SLOTS_KEY])["slots"]
    assert (new["label"], new["type"]) == (old["label"], old["type"])
    assert not {new[name] for name in ("id", "commit", "wrap")} & {old[name] for name in ("id", "commit", "wrap")}
    assert new["kdf"]["salt"] != old["kdf"]["salt"]
    store.put("credentials/c", Secret("three"))
    assert json.loads(inner.kept[SLOTS_KEY])["slots"] == [new]
    again, told = opened()
    assert [again.get(f"credentials/{name}").value.reveal_text() for name in "abc"] == ["one", "two", "three"]
    assert (context.notes, told.notes) == ([LINE], [])
    with pytest.raises(WrongSecret):
        opened("wrong")[0].get(KEY)


def test_a_change_of_the_slots_mends_it_too(inner: Any, opened: Any) -> None:
    store, _ = opened()
    store.change_slots(lambda table, _: table)
    assert costs(inner) == [(19_456, 3)]


def test_where_a_change_could_be_lost_people_are_told_how(inner: Any, opened: Any) -> None:
    store, context = opened(able=Capability.CREATE_ONLY)
    before = inner.kept[SLOTS_KEY]
    store.put("credentials/b", Secret("two"))
    assert inner.kept[SLOTS_KEY] == before
    assert [note.partition("; ")[2] for note in context.notes] == ["to upgrade it: awsv passwd --backend test"]


def test_a_slot_that_was_changed_meanwhile_stays_as_it_is(inner: Any, opened: Any) -> None:
    store, _ = opened()
    store.get(KEY)
    other, _ = opened()
    other.put(KEY, Secret("first"))
    mended = inner.kept[SLOTS_KEY]
    store.put("credentials/b", Secret("two"))
    assert inner.kept[SLOTS_KEY].count('"id"') == 1
    assert json.loads(inner.kept[SLOTS_KEY])["slots"] == json.loads(mended)["slots"]


def test_a_slot_that_was_removed_meanwhile_stays_so_and_fails_no_change(inner: Any, opened: Any) -> None:
    store, _ = opened()
    other, _ = opened(able=Capability.CREATE_ONLY)  # it mends nothing by itself
    rescue(other)
    weak = other.slots().of_type("passphrase")[0].id
    new = new_slot.recovery(other.slots().store)[0]
    after_next_read(inner, lambda: other.change_slots(lambda table, _: table.remove(weak)))
    store.change_slots(lambda table, dek: table.add(dek, new))
    assert [slot.type for slot in store.slots().slots] == ["recovery", "recovery"]


def test_too_little_memory_refuses_no_write(inner: Any, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store, context = opened()
    store.get(KEY)
    real = primitives.argon2id

    def little(secret: Any, salt: Any, cost: Any) -> Any:
        if cost == TODAY:
            raise StorageUnavailable("not enough memory: the passphrase's key derivation needs 64 MiB")
        return real(secret, salt, cost)

    monkeypatch.setattr(primitives, "argon2id", little)
    store.put("credentials/b", Secret("two"))
    assert costs(inner) == [(19_456, 2)]
    assert "stays as it is: not enough memory" in context.notes[-1]
    assert opened()[0].get("credentials/b").value == Secret("two")


def test_the_passphrase_is_let_go(opened: Any) -> None:
    store, _ = opened()
    store.get(KEY)
    assert store._slots.upgrade_pending
    store.close()
    assert not store._slots.upgrade_pending
