"""The slots of sealed stores: a golden one with every type (S19), changes, and parts of slots exchanged (S6)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.memory_backend import BOTH, MemoryBackend, after_next_read, rescue
from vault_core.api import Secret, StorageConflict, StorageCorrupt, StorageUnavailable, WrongSecret
from vault_core.keyslots import new_slot
from vault_core.storage.sealed import SLOTS_KEY, SealedBackend
from vault_core.vlt.encoding import canonical
from vault_testkit.context import FakeContext

GOLDEN = json.loads((Path(__file__).with_name("golden") / "every-slot.json").read_text("utf-8"))
IDS = [f"{kind}-{number}" for number, (_, kind, _) in enumerate(GOLDEN["secrets"])]


@pytest.mark.security("S19")
@pytest.mark.parametrize(("slot_id", "kind", "secret"), GOLDEN["secrets"], ids=IDS)
def test_second_implementation(independent: Any, slot_id: Any, kind: Any, secret: Any) -> None:
    table = json.loads(GOLDEN["kept"][SLOTS_KEY])
    store = independent.check_table(table["store"], table["slots"])
    (slot,) = (slot for slot in table["slots"] if slot["id"] == slot_id)
    dek = independent.open_slots(store, [slot], kind, secret)
    assert (store, dek) == independent.open_table(GOLDEN["kept"][SLOTS_KEY].encode(), secret, kind)
    for key, value in GOLDEN["entries"].items():
        assert independent.read_value(store, dek, key, GOLDEN["kept"][key].encode()).decode() == value


@pytest.mark.security("S19")
@pytest.mark.parametrize(("slot_id", "kind", "secret"), GOLDEN["secrets"], ids=IDS)
def test_product(tmp_path: Path, slot_id: Any, kind: Any, secret: Any) -> None:
    inner = MemoryBackend(GOLDEN["kept"])
    ctx = FakeContext(tmp_path, passphrases=[secret] if kind == "passphrase" else [])
    store = SealedBackend(inner, ctx, BOTH)
    table = store.slots()
    if kind == "composite":
        ctx.factors = {source: [Secret(text)] for source, text in secret.items()}
    if kind == "key":
        ctx.kept[table.find(slot_id).sources[0], f"{table.store.hex()}/{slot_id}"] = Secret(secret)
    if kind == "recovery":
        store.change_slots(lambda slots, _: slots, dek=table.open_by_recovery(Secret(secret), "it")[1])
    assert {key: store.get(key).value.reveal_text() for key in GOLDEN["entries"]} == GOLDEN["entries"]
    assert inner.kept == GOLDEN["kept"]  # also after it was written again


# -- changing the slots of such a store --------------------------------------------------------------------------------


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    return FakeContext(tmp_path, store="team", passphrases=["right"])


@pytest.fixture
def inner(ctx: FakeContext) -> Any:
    inner = MemoryBackend()
    SealedBackend(inner, ctx, BOTH).put("a/b", Secret("value"))
    return inner


def test_a_change_keeps_every_other_value(inner: Any, ctx: FakeContext, independent: Any) -> None:
    store = SealedBackend(inner, ctx, BOTH)
    before = dict(inner.kept)
    text = rescue(store)
    assert {key: value for key, value in inner.kept.items() if key != SLOTS_KEY} == {"a/b": before["a/b"]}
    assert store.get("a/b").value == Secret("value")
    identity, dek = independent.open_table(inner.kept[SLOTS_KEY].encode(), text.reveal_text(), "recovery")
    assert independent.read_value(identity, dek, "a/b", inner.kept["a/b"].encode()) == b"value"


def test_a_data_key_at_hand_needs_nobody_and_is_checked(inner: Any, ctx: FakeContext) -> None:
    text = rescue(SealedBackend(inner, ctx, BOTH))
    ctx.passphrases = []
    store = SealedBackend(inner, ctx, BOTH)
    dek = store.slots().open_by_recovery(text, "it")[1]
    before = dict(inner.kept)
    with pytest.raises(StorageCorrupt, match="authentication code"):
        store.change_slots(lambda slots, _: slots, dek=Secret(bytes(32)))
    assert inner.kept == before
    ctx.unlocked.clear()
    store.change_slots(lambda slots, _: slots.remove(slots.slots[0].id), dek=dek)
    assert store.get("a/b").value == Secret("value")
    assert ctx.unlocked == []


def test_somebody_else_changes_them_too(inner: Any, ctx: FakeContext) -> None:
    """With check and set no change is lost; without it the loser learns of it."""
    store, other = (SealedBackend(inner, ctx, BOTH) for _ in range(2))
    texts = []

    def change(slots: Any, dek: Any) -> Any:
        if not texts:
            texts.append(rescue(other))
        new, text = new_slot.recovery(slots.store)
        texts.append(text)
        return slots.add(dek, new)

    store.change_slots(change)
    assert len(texts) == 3  # it was done again on what was there then
    slots = store.slots()
    assert len(slots.slots) == 3
    assert slots.open_by_recovery(texts[0], "it")
    assert slots.open_by_recovery(texts[2], "it")


def test_a_backend_that_does_not_keep_the_change(inner: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SealedBackend(inner, ctx, BOTH)
    monkeypatch.setattr(inner, "put", lambda key, value, expect: "1")
    with pytest.raises(StorageConflict, match="the slots of store team"):
        rescue(store)


def test_slots_before_the_store_exists_returns_none(ctx: FakeContext) -> None:
    store = SealedBackend(MemoryBackend(), ctx, BOTH)
    assert store.slots() is None
    with pytest.raises(StorageUnavailable, match="does not exist yet"):
        store.change_slots(lambda slots, _: slots)


# -- S6: parts of slots exchanged --------------------------------------------------------------------------------------


def exchanged(kept: Any, field: Any, one: Any, two: Any) -> Any:
    table = json.loads(kept[SLOTS_KEY])
    slots = {slot["id"]: slot for slot in table["slots"]}
    slots[one][field], slots[two][field] = slots[two][field], slots[one][field]
    return {**kept, SLOTS_KEY: json.dumps(table, sort_keys=True, separators=(",", ":"))}


@pytest.mark.parametrize("field", ["commit", "wrap", "kdf", "label", "id"])
def test_s6_exchanged_between_slots(tmp_path: Path, field: Any) -> None:
    """Nothing opens, and no write adopts what was changed."""
    one, two, *_ = (found for found in GOLDEN["secrets"] if found[1] == "passphrase")
    kept = exchanged(GOLDEN["kept"], field, one[0], two[0])
    assert kept != GOLDEN["kept"]
    inner = MemoryBackend(kept)
    store = SealedBackend(inner, FakeContext(tmp_path, passphrases=[one[2]]), BOTH)
    for call in (
        lambda: store.get("credentials/default"),
        lambda: store.put("credentials/new", Secret("x")),
        lambda: store.change_slots(lambda slots, _: slots),
    ):
        with pytest.raises((WrongSecret, StorageCorrupt)):
            call()
    assert inner.kept == kept


def test_s6_a_table_that_is_forged_between_unlocking_and_the_lock_gets_no_authentication_code(
    inner: Any, ctx: FakeContext
) -> None:
    """Whoever can write the backend waits for a change of the slots: what is read under the lock is proven, too."""
    forged = json.loads(inner.kept[SLOTS_KEY])
    forged["slots"].append({**forged["slots"][0], "id": "0" * 16, "label": "theirs"})
    forged = canonical(forged)
    store = SealedBackend(inner, ctx, BOTH)
    new = new_slot.recovery(store.slots().store)[0]
    after_next_read(inner, lambda: inner.kept.update({SLOTS_KEY: forged}))
    with pytest.raises(StorageCorrupt, match="authentication code is wrong"):
        store.change_slots(lambda table, dek: table.add(dek, new))
    assert inner.kept[SLOTS_KEY] == forged
