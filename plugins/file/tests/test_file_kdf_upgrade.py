"""A store whose passphrase slot is weaker than today's default: a read warns, a write upgrades it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vault_core import vlt
from vault_core.api import Secret, StorageError, WrongSecret
from vault_core.keyslots import new_slot
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

WEAK, TODAY = vlt.Argon2id(19_456, 2, 1), vlt.Argon2id(19_456, 3, 1)
KEY = "credentials/dev"


@pytest.fixture
def weak(folder: Any, ctx: FakeContext, _cheap: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The path of the store."""
    monkeypatch.setattr(new_slot, "DEFAULT_COST", TODAY)
    FileBackend(ctx, folder, cost=WEAK).put(KEY, Secret("one"))
    return folder / "store.vlt"


def costs(path: Any) -> Any:
    table = vlt_file.parse(path.read_bytes()).table
    return [(slot.head["kdf"]["t"], slot.label) for slot in table.slots]


def test_read_of_weak_slot_warns_and_changes_nothing(weak: Any, opened: Any, ctx: FakeContext) -> None:
    before = weak.read_bytes()
    store = opened()
    store.get(KEY)
    list(store.keys())
    assert store.delete("credentials/nothing") is False
    with pytest.raises(StorageError):
        store.put("no key", Secret("x"))
    assert weak.read_bytes() == before
    [note] = ctx.notes
    assert note == (
        f"a guess at the passphrase of {weak} costs less than at one of a new store (argon2id, 19 MiB, t=2);"
        " the next write upgrades it"
    )


@pytest.mark.parametrize("act", [lambda store: store.put("credentials/b", Secret("y")), lambda s: s.delete(KEY)])
def test_write_upgrades_weak_slot(weak: Any, opened: Any, tmp_path: Path, act: Any) -> None:
    state = FileBackend(FakeContext(tmp_path, passphrases=["right"]), weak.parent, cost=WEAK).store.read()
    act(opened())
    assert costs(weak) == [(3, "")]
    told = FakeContext(tmp_path, passphrases=["right"])
    after = opened(told).store.read()
    assert (after.dek, after.epoch, told.notes) == (state.dek, 2, [])
    assert after.entries.keys() & state.entries.keys() <= {KEY}
    with pytest.raises(WrongSecret):
        opened(FakeContext(tmp_path, passphrases=["other"])).get(KEY)


def test_passphrase_is_forgotten_after_upgrade(weak: Any, opened: Any) -> None:
    backend = opened()
    backend.get(KEY)
    assert backend.store.key_slots.upgrade_pending
    backend.put(KEY, Secret("two"))
    assert not backend.store.key_slots.upgrade_pending


def test_only_opened_slot_is_upgraded(weak: Any, opened: Any, ctx: FakeContext, tmp_path: Path) -> None:
    """The passphrase of another slot is not known; a slot that the same write removes is not added again."""
    other = FakeContext(tmp_path, passphrases=["other"])
    store = FileBackend(ctx, weak.parent, cost=WEAK)
    new = new_slot.passphrase(
        store.slots().store, lambda key_id, derive, _: other.unlock(key_id, derive), cost=WEAK, label="second"
    )
    store.change_slots(lambda table, dek: table.add(dek, new))
    opened(other).put(KEY, Secret("two"))
    assert costs(weak) == [(2, ""), (3, "second")]
    first = store.slots().slots[0].id
    opened().change_slots(lambda table, dek: table.remove(first))
    assert costs(weak) == [(3, "second")]


def test_rekey_or_current_kdf_does_not_warn(weak: Any, opened: Any, ctx: FakeContext) -> None:
    from vault_plugin_file import maintenance

    state, _ = maintenance.rekey(opened().store, lambda _: True)
    assert costs(weak) == [(3, "")]
    table = state.table
    ctx.notes.clear()
    opened().put("credentials/b", Secret("y"))
    assert vlt_file.parse(weak.read_bytes()).table == table
    assert ctx.notes == []
