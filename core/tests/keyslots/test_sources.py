"""A slot's source is asked only where the settings name it, or this machine has seen it in the store's proven slots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.memory_backend import BOTH, MemoryBackend
from vault_core.api import NoSecret, Secret
from vault_core.keyslots import new_slot, sources, unlock
from vault_core.storage.sealed import SLOTS_KEY, SealedBackend
from vault_core.vlt.encoding import canonical
from vault_core.vlt.slot_table import SlotTable
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.security("S5")


class Watched(FakeContext):
    """Writes down every source that is asked by its name."""

    def __init__(self, root: Any, **options: Any) -> None:
        super().__init__(root, store="file", **{"sources": ("env", "prompt"), **options})
        self.asked = []

    def unlock(self, key_id: Any, derive: Any, *, create: bool = False, source: Any = None) -> Any:
        if source is not None:
            self.asked.append(source)
        return super().unlock(key_id, derive, create=create, source=source)


@pytest.fixture
def stranger(tmp_path: Path) -> Any:
    """A function that makes the context of a machine that never saw the store."""
    return lambda **options: Watched(tmp_path / "stranger", **options)


@pytest.fixture
def here(tmp_path: Path) -> Any:
    return Watched(tmp_path / "here", passphrases=["right"])


@pytest.fixture
def table(here: Any) -> Any:
    """Slots: a passphrase, a kept key, two factors; and the data key."""
    table, dek = new_slot.table(here)
    here.factors = {"ssm": [Secret("one")], "vault": [Secret("two")]}

    def choose(key_id: Any, derive: Any, source: Any) -> Any:
        return here.unlock(key_id, derive, create=True, source=source)

    both = new_slot.composite(table.store, choose, ["ssm", "vault"], cost=slots_cost())
    table = table.add(dek, new_slot.key(table.store, here, "keychain")).add(dek, both)
    here.asked.clear()
    return table, dek


def slots_cost() -> Any:
    from vault_core.keyslots import new_slot

    return new_slot.DEFAULT_COST


def without_passphrase(table: Any) -> Any:
    return SlotTable(table.store, tuple(slot for slot in table.slots if slot.type != "passphrase"))


def test_what_nobody_named_is_not_asked_and_the_passphrase_opens(table: Any, stranger: Any) -> None:
    context = stranger(passphrases=["right"])
    assert unlock.open_table(context, table[0], "it") == table[1]
    assert (context.asked, context.notes) == ([], [])


def test_where_nothing_else_opens_it_the_message_names_the_source_and_how_to_allow_it(
    table: Any, stranger: Any
) -> None:
    context = stranger()
    with pytest.raises(NoSecret, match=r"was not tried, as no setting names keychain; .* names ssm or vault") as caught:
        unlock.open_table(context, without_passphrase(table[0]), "it")
    assert caught.value.exit_code == 5
    assert caught.value.hint.endswith("--passphrase-source env,prompt,keychain,ssm,vault")
    assert context.asked == []


def test_where_the_passphrase_is_wrong_it_is_told(table: Any, stranger: Any) -> None:
    context = stranger(passphrases=["wrong"])
    with pytest.raises(Exception, match="wrong passphrase"):
        unlock.open_table(context, table[0], "it")
    assert [note.partition(" was not tried")[2] != "" for note in context.notes] == [True, True]
    assert context.asked == []


def test_one_factor_that_nobody_named_is_enough_to_ask_none(table: Any, stranger: Any) -> None:
    context = stranger(sources=("env", "ssm"))
    with pytest.raises(NoSecret):
        unlock.open_table(context, without_passphrase(table[0]), "it")
    assert context.asked == []


def test_what_the_settings_name_is_asked(table: Any, here: Any, stranger: Any) -> None:
    context = stranger(sources=("env", "keychain"))
    context.kept = here.kept
    assert unlock.open_table(context, without_passphrase(table[0]), "it") == table[1]
    assert context.asked == ["keychain"]


def test_what_the_stores_own_slots_named_is_asked_without_settings(table: Any, here: Any) -> None:
    only = without_passphrase(table[0])
    sources.remember(here, only)
    assert unlock.open_table(here, only, "it") == table[1]
    assert here.asked == ["keychain"]
    sources.remember(here, table[0].remove(only.slots[0].id))  # a copy from before still opens
    assert unlock.open_table(here, only, "it") == table[1]


def test_what_an_older_copy_names_is_asked_after_the_store_has_named_another_source(table: Any, here: Any) -> None:
    kept, both = table[0].of_type("key"), table[0].of_type("composite")
    sources.remember(here, SlotTable(table[0].store, kept))
    sources.remember(here, SlotTable(table[0].store, both))  # the key slot was replaced by one of another source
    assert unlock.open_table(here, SlotTable(table[0].store, kept), "it") == table[1]
    assert here.asked == ["keychain"]


def test_what_another_stores_slots_named_is_not(table: Any, here: Any) -> None:
    sources.remember(here, table[0])
    other, dek = new_slot.table(here)
    other = without_passphrase(other.add(dek, new_slot.key(other.store, here, "keychain")))
    with pytest.raises(NoSecret, match="was not tried"):
        unlock.open_table(here, other, "other")
    assert here.asked == []


@pytest.mark.parametrize("damage", [b"", b"{", b'"keychain"', b"[1, null]", b"[" * 5000, None])
def test_a_damaged_memory_allows_nothing(table: Any, here: Any, damage: Any) -> None:
    sources.remember(here, table[0])
    (path,) = (here.state_dir / "sources").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    if damage is None:
        path.unlink()
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(damage)
    with pytest.raises(NoSecret, match="was not tried"):
        unlock.open_table(here, without_passphrase(table[0]), "it")
    sources.remember(here, table[0])
    assert unlock.open_table(here, without_passphrase(table[0]), "it") == table[1]


def test_a_memory_that_cannot_be_written_stops_nothing(table: Any, here: Any) -> None:
    here.state_dir.parent.mkdir(exist_ok=True)
    here.state_dir.write_text("a file where the folder should be")
    sources.remember(here, table[0])


# -- a store that the core seals ---------------------------------------------------------------------------------------


def test_a_forged_table_of_a_sealed_store_has_nobody_asked(here: Any) -> None:
    inner = MemoryBackend()
    SealedBackend(inner, here, BOTH).put("a/b", Secret("value"))
    forged = json.loads(inner.kept[SLOTS_KEY])
    (slot,) = forged["slots"]
    del slot["kdf"]
    forged["slots"] = [{**slot, "type": "key", "source": "evil"}]
    inner.kept[SLOTS_KEY] = canonical(forged).decode()
    with pytest.raises(NoSecret, match="no setting names evil"):
        SealedBackend(inner, here, BOTH).get("a/b")
    assert here.asked == []


def test_a_key_slot_of_a_sealed_store_opens_on_the_machine_that_made_it(here: Any, stranger: Any) -> None:
    inner = MemoryBackend()
    store = SealedBackend(inner, here, BOTH)
    store.put("a/b", Secret("value"))
    store.change_slots(lambda table, dek: table.add(dek, new_slot.key(table.store, here, "keychain")))
    here.passphrases.clear()
    assert SealedBackend(inner, here, BOTH).get("a/b").value == Secret("value")
    other = stranger(passphrases=["right"])
    other.kept = here.kept
    assert SealedBackend(inner, other, BOTH).get("a/b").value == Secret("value")  # by the passphrase: proven now
    other.passphrases.clear()
    assert SealedBackend(inner, other, BOTH).get("a/b").value == Secret("value")
    assert other.asked == ["keychain"]
