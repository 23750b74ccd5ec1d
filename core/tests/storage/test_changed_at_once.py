"""The slots of a sealed store are changed twice at once, or the answer is lost: what was announced is there."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from support.busy import seconds
from support.memory_backend import BOTH, MemoryBackend, rescue
from vault_core.api import ABSENT, Capability, Secret, StorageConflict, StorageUnavailable
from vault_core.keyslots import new_slot
from vault_core.storage.sealed import SLOTS_KEY, SealedBackend
from vault_testkit.context import FakeContext

WITHOUT_CAS = pytest.mark.parametrize("able", [Capability.NONE, Capability.CREATE_ONLY], ids=["none", "create-only"])


class Watched(MemoryBackend):
    """Calls ``before`` or ``after`` once, around the next put of ``key``; what ``after`` raises is the answer."""

    before = after = None
    key = SLOTS_KEY

    def put(self, key: Any, value: Any, **expect: Any) -> Any:
        if key != self.key:
            return super().put(key, value, **expect)
        before, self.before = self.before, None
        after, self.after = self.after, None
        if before:
            before()
        version = super().put(key, value, **expect)
        if after:
            after()
        return version


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    return FakeContext(tmp_path, store="team", passphrases=["right"])


@pytest.fixture
def inner(ctx: FakeContext) -> Any:
    inner = Watched()
    SealedBackend(inner, ctx, BOTH).put("a/b", Secret("value"))
    return inner


def lost(error: Any) -> Any:
    def answer() -> Any:
        raise error("the answer was lost")

    return answer


# -- two at once -------------------------------------------------------------------------------------------------------


@WITHOUT_CAS
def test_another_process_of_this_machine_waits(inner: Any, ctx: FakeContext, able: Any) -> None:
    texts = []
    other = threading.Thread(target=lambda: texts.append(rescue(SealedBackend(inner, ctx, able))))

    def meanwhile() -> None:
        other.start()
        other.join(0.5)  # time enough to be done, were there no lock

    inner.before = meanwhile
    texts.append(rescue(SealedBackend(inner, ctx, able)))
    other.join(seconds(10))
    slots = SealedBackend(inner, ctx, able).slots()
    assert len(slots.slots) == 3
    for text in texts:
        assert slots.open_by_recovery(text, "it")


@WITHOUT_CAS
def test_what_another_machine_puts_in_its_place_is_noticed(inner: Any, ctx: FakeContext, able: Any) -> None:
    """It takes no lock of ours; our change is made again, on what is there then."""
    store = SealedBackend(inner, ctx, able)
    table = inner.kept[SLOTS_KEY]
    inner.after = lambda: inner.kept.update({SLOTS_KEY: table})
    text = rescue(store)
    assert store.slots().open_by_recovery(text, "it")


def test_nobody_is_asked_while_others_wait(inner: Any, ctx: FakeContext) -> None:
    store = SealedBackend(inner, ctx, Capability.NONE)
    asked = []

    def change(slots: Any, dek: Any) -> Any:
        asked.append(len(ctx.unlocked))
        return slots.add(dek, new_slot.recovery(slots.store)[0])

    def meanwhile() -> None:
        asked.append(len(ctx.unlocked))

    inner.before = meanwhile
    store.change_slots(change)
    assert asked == [len(ctx.unlocked)] * 2


# -- answers that are lost ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StorageConflict, StorageUnavailable], ids=["repeated", "given-up"])
@pytest.mark.parametrize("able", [Capability.NONE, BOTH], ids=["none", "both"])
def test_a_change_that_was_applied_is_done(inner: Any, ctx: FakeContext, able: Any, error: Any) -> None:
    """A client that repeats a put whose answer was lost meets its own table, and tells of a conflict."""
    store = SealedBackend(inner, ctx, able)
    first = store.slots().slots[0].id
    one, two = (new_slot.recovery(store.slots().store)[0] for _ in range(2))
    for change, expected in (
        (lambda table, dek: table.add(dek, one), [first, one.id]),
        (lambda table, dek: table.replace(dek, one.id, two), [first, two.id]),
        (lambda table, _: table.remove(two.id), [first]),
    ):
        inner.after = lost(error)
        store.change_slots(change)
        assert [slot.id for slot in SealedBackend(inner, ctx, able).slots().slots] == expected


def test_a_value_that_was_put_is_put(inner: Any, ctx: FakeContext) -> None:
    store = SealedBackend(inner, ctx, BOTH)
    inner.key, inner.after = "a/new", lost(StorageConflict)
    version = store.put("a/new", Secret("one"), expect=ABSENT)
    assert (store.get("a/new").value, store.get("a/new").version) == (Secret("one"), version)
    with pytest.raises(StorageConflict):
        store.put("a/new", Secret("one"), expect=ABSENT)


@pytest.mark.parametrize("change", ["add", "replace"])
def test_with_another_change_on_top_no_slot_is_there_twice(inner: Any, ctx: FakeContext, change: Any) -> None:
    """Two slots with one id would be a table that nobody reads."""
    store, other = (SealedBackend(inner, ctx, BOTH) for _ in range(2))
    old = new_slot.recovery(store.slots().store)[0]
    store.change_slots(lambda table, dek: table.add(dek, old))
    new, text = new_slot.recovery(store.slots().store)
    texts = [text]

    def meanwhile() -> None:
        texts.append(rescue(other))
        raise StorageConflict("the answer was lost")

    inner.after = meanwhile
    if change == "add":
        store.change_slots(lambda table, dek: table.add(dek, new))
    else:
        store.change_slots(lambda table, dek: table.replace(dek, old.id, new))
    slots = SealedBackend(inner, ctx, BOTH).slots()
    assert len(slots.slots) == (4 if change == "add" else 3)
    for text in texts:
        assert slots.open_by_recovery(text, "it")


@pytest.mark.parametrize("able", [Capability.NONE, BOTH], ids=["none", "both"])
def test_a_change_that_was_not_applied_is_told(inner: Any, ctx: FakeContext, able: Any) -> None:
    store = SealedBackend(inner, ctx, able)
    before = dict(inner.kept)
    inner.before = lost(StorageUnavailable)
    with pytest.raises(StorageUnavailable, match="lost"):
        rescue(store)
    assert inner.kept == before
