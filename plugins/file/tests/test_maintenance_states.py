"""What maintenance records in the anchors, the epoch of its writes, when keys change, and which writes it refuses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import (
    ABSENT,
    Secret,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    StorageError,
    StorageUnavailable,
)
from vault_core.keyslots import unlock
from vault_core.keyslots.service import StoreKeySlots
from vault_plugin_file import maintenance, vlt_file
from vault_plugin_file.atomic_file import AtomicFile, LockedFile, Unconfirmed
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.backup import write_copy
from vault_plugin_file.rollback_guard import RollbackStatus, StoreState
from vault_testkit.context import FakeContext

KEY = "credentials/dev"


@pytest.fixture
def store(opened: Any) -> Any:
    backend = opened()
    backend.put(KEY, Secret("1"))
    return backend


@pytest.fixture
def backup(store: Any, path: Any, tmp_path: Path) -> Any:
    """A backup of the first write; two more follow it."""
    target = tmp_path / "backup.vlt"
    write_copy(target, path.read_bytes(), overwrite=False)
    store.put(KEY, Secret("2"))
    store.put(KEY, Secret("3"))
    return target


@pytest.fixture
def changing(path: Any) -> Any:
    """A context that records the file's bytes when it is entered and left."""
    seen = []

    def look() -> Any:
        return path.read_bytes() if path.exists() else None

    @contextmanager
    def around() -> Iterator[None]:
        seen.append(look())
        yield
        seen.append(look())

    return around, seen


def epoch(path: Any) -> Any:
    return vlt_file.parse(path.read_bytes()).epoch


def restored(store: Any, backup: Any, changing: Any = nullcontext) -> Any:
    return maintenance.restore(store.store, backup, lambda: True, changing())


def test_restore_epoch_exceeds_current_file(store: Any, backup: Any, path: Any, changing: Any) -> None:
    around, seen = changing
    before = path.read_bytes()
    state, kept = restored(store, backup, around)
    assert (state.epoch, epoch(path)) == (4, 4)
    assert kept.read_bytes() == before
    assert seen == [before, path.read_bytes()]


def test_restore_epoch_exceeds_anchor_without_valid_file(store: Any, backup: Any, path: Any) -> None:
    path.unlink()
    assert restored(store, backup)[0].epoch == 4
    path.write_bytes(b"damaged")
    assert restored(store, backup)[0].epoch == 5


def test_restore_epoch_exceeds_file_without_anchor(
    store: Any, backup: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    other = FileBackend(FakeContext(tmp_path / "new", store="file", passphrases=["right"]), path.parent)
    assert restored(other, backup)[0].epoch == 4


def test_restore_epoch_ignores_different_store(backup: Any, opened: Any, path: Any, tmp_path: Path, store: Any) -> None:
    path.unlink()
    stranger = FileBackend(FakeContext(tmp_path / "x", store="file", passphrases=["right"]), path.parent)
    for number in range(9):
        stranger.put(KEY, Secret(str(number)))
    here = opened()
    assert restored(here, backup)[0].epoch == 4
    assert opened().get(KEY).value == Secret("1")


def test_restore_without_store_never_asks(store: Any, backup: Any, path: Any) -> None:
    path.unlink()
    maintenance.restore(store.store, backup, lambda: pytest.fail("asked"), nullcontext())
    assert path.exists()


def test_accept_runs_inside_store_change(store: Any, backup: Any, path: Any, opened: Any, changing: Any) -> None:
    path.write_bytes(backup.read_bytes())
    around, seen = changing
    for wrong in (RollbackStatus.FORK, RollbackStatus.REPLACED):
        with pytest.raises(StorageConflict, match="but older"):
            maintenance.accept(opened().store, wrong, around())
    assert seen == []
    assert "(write 1)" in maintenance.accept(opened().store, RollbackStatus.OLDER, around())
    assert len(seen) == 2
    assert "nothing to accept" in maintenance.accept(opened().store, RollbackStatus.OLDER, around())
    path.unlink()
    with pytest.raises(StorageConflict, match="but gone"):
        maintenance.accept(opened().store, RollbackStatus.OLDER, around())
    assert "is forgotten" in maintenance.accept(opened().store, RollbackStatus.REPLACED, around())
    assert len(seen) == 4
    assert opened().get(KEY) is None


def test_accept_repairs_damaged_anchor(store: Any, opened: Any, ctx: FakeContext, path: Any) -> None:
    file = opened().store.rollback_guard._newest_of(vlt_file.parse(path.read_bytes()).table.store).path
    good = file.read_bytes()
    file.write_bytes(b"{}")
    maintenance.accept(opened().store, RollbackStatus.FORK, nullcontext())
    assert file.read_bytes() == good


def test_backup_target_must_not_be_store_or_folder(store: Any, path: Any, tmp_path: Path) -> None:
    link = tmp_path / "link"
    os.link(path, link)
    for target, says in ((path, "is the store itself"), (link, "is the store itself"), (tmp_path, "is a folder")):
        with pytest.raises(StorageError, match=says):
            maintenance.check_backup_target(store.store, target)
    link.unlink()
    maintenance.check_backup_target(store.store, link)


def test_damaged_backup_hint_does_not_suggest_restore(store: Any, backup: Any, path: Any) -> None:
    data = backup.read_bytes()
    backup.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    before = path.read_bytes()
    for use in (lambda: restored(store, backup), lambda: maintenance.open_copy(store.store, backup)):
        with pytest.raises(StorageCorrupt) as caught:
            use()
        assert caught.value.hint == maintenance.ANOTHER_BACKUP
    assert path.read_bytes() == before


# -- the store itself --------------------------------------------------------------------------------------------------


def test_open_with_wrong_key_is_refused(store: Any, opened: Any) -> None:
    table = store.slots()
    with pytest.raises(StorageCorrupt, match="the known data key does not open"):
        opened().store.open_with(Secret(bytes(32)))
    unlocked = opened()
    unlocked.store.open_with(unlock.open_table(store._ctx, table, "x"))
    assert unlocked.get(KEY).value == Secret("1")


def test_other_content_of_same_epoch_is_decrypted_again(store: Any, opened: Any, path: Any, tmp_path: Path) -> None:
    one = opened()
    assert one.get(KEY).value == Secret("1")
    fork = path.read_bytes()
    store.put(KEY, Secret("2"))
    second = path.read_bytes()
    path.write_bytes(fork)
    off = FileBackend(FakeContext(tmp_path / "o", passphrases=["right"], options={"anchor": False}), path.parent)
    off.put(KEY, Secret("other"))
    other = path.read_bytes()
    assert epoch(path) == vlt_file.parse(second).epoch
    reader = FileBackend(FakeContext(tmp_path / "p", passphrases=["right"], options={"anchor": False}), path.parent)
    assert reader.get(KEY).value == Secret("other")
    path.write_bytes(second)
    assert reader.get(KEY).value == Secret("2")
    path.write_bytes(other)
    assert reader.get(KEY).value == Secret("other")


def test_write_after_last_epoch_is_refused(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vlt_file, "MAX_EPOCH", 3)
    store.put(KEY, Secret("2"))
    store.put(KEY, Secret("3"))
    with pytest.raises(StorageError, match="cannot count any more writes"):
        store.put(KEY, Secret("4"))
    assert store.get(KEY).value == Secret("3")


@pytest.mark.parametrize("kept", [True, False])
def test_unconfirmed_write_reports_state_on_disk(
    store: Any, path: Any, monkeypatch: pytest.MonkeyPatch, kept: Any
) -> None:
    real = AtomicFile._replace

    def unconfirmed(self: Any, folder: Any, data: Any, name: Any = None) -> None:
        if kept:
            real(self, folder, data, name)
        raise Unconfirmed("Broken")

    monkeypatch.setattr(AtomicFile, "_replace", unconfirmed)
    with pytest.raises(StorageError, match="the new state" if kept else "the old state") as caught:
        store.put(KEY, Secret("2"))
    assert "(broken)" in caught.value.message


def exchanged_under_the_lock(monkeypatch: Any, path: Any, data: Any) -> None:
    """Put another file in place as soon as the lock is held."""
    real = LockedFile.read

    def read(self: Any) -> Any:
        if self._file.path == path:
            path.write_bytes(data)
        return real(self)

    monkeypatch.setattr(LockedFile, "read", read)


def test_older_file_found_under_lock_is_not_overwritten(
    store: Any, backup: Any, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = backup.read_bytes()
    exchanged_under_the_lock(monkeypatch, path, old)
    for change in (lambda: store.put(KEY, Secret("4")), lambda: store.delete(KEY)):
        with pytest.raises(StorageDenied, match="an older copy"):
            change()
    assert path.read_bytes() == old


def test_different_store_found_under_lock_is_not_overwritten(
    store: Any, path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = FileBackend(FakeContext(tmp_path / "x", store="file", passphrases=["right"]), tmp_path / "other")
    stranger.put(KEY, Secret("x"))
    data = (tmp_path / "other/store.vlt").read_bytes()
    exchanged_under_the_lock(monkeypatch, path, data)
    with pytest.raises(StorageDenied, match="a different store"):
        store.put(KEY, Secret("2"))
    assert path.read_bytes() == data


def test_store_created_meanwhile_is_kept(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Any
) -> None:
    real = StoreKeySlots.create
    made = []

    def create(self: Any) -> Any:
        if not made:
            made.append(1)
            maintenance.create(opened().store)
        return real(self)

    monkeypatch.setattr(StoreKeySlots, "create", create)
    with pytest.raises(StorageConflict, match="already"):
        maintenance.create(opened().store)
    assert epoch(path) == 1


def test_store_created_and_removed_meanwhile_is_not_recreated(
    opened: Any, monkeypatch: pytest.MonkeyPatch, path: Any
) -> None:
    """Its disk may have been unmounted: this machine has recorded the store by then."""
    real = StoreKeySlots.create
    made = []

    def create(self: Any) -> Any:
        if not made:
            made.append(1)
            maintenance.create(opened().store)
            path.unlink()
        return real(self)

    monkeypatch.setattr(StoreKeySlots, "create", create)
    with pytest.raises(StorageUnavailable, match="is gone"):
        maintenance.create(opened().store)
    assert not path.exists()


def test_state_without_folder_sync_is_not_recorded(
    store: Any, path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = FakeContext(tmp_path / "r", store="file", passphrases=["right"])
    monkeypatch.setattr(AtomicFile, "sync_folder", lambda _self: False)
    assert FileBackend(reader, path.parent).get(KEY).value == Secret("1")
    assert not reader.state_dir.joinpath("anchors").exists()


def test_backend_unlocks_again_after_rekey_by_another_process(store: Any, opened: Any, path: Any) -> None:
    reader, writer = opened(), opened()
    for one in (reader, writer):
        assert one.get(KEY).value == Secret("1")
    before = path.read_bytes()
    maintenance.rekey(opened().store, lambda _slots: False)
    assert not vlt_file.parse(path.read_bytes()).made_with(reader.store._key[1])
    assert path.read_bytes() != before
    assert reader.get(KEY).value == Secret("1")
    assert writer.put(KEY, Secret("2"))
    assert reader.get(KEY).value == Secret("2")


def test_close_forgets_key(store: Any) -> None:
    assert store.store._key
    store.close()
    assert (store.store._key, store.store._seen) == (None, None)


def test_entry_versions_differ_even_after_fork(store: Any, path: Any, tmp_path: Path) -> None:
    first = path.read_bytes()
    one = store.put(KEY, Secret("2"))
    path.write_bytes(first)
    off = FileBackend(FakeContext(tmp_path / "o", passphrases=["right"], options={"anchor": False}), path.parent)
    other = off.put(KEY, Secret("2"))
    assert one != other
    with pytest.raises(StorageConflict):
        off.put(KEY, Secret("3"), expect=one)
    assert off.put(KEY, Secret("3"), expect=other)
    with pytest.raises(StorageConflict):
        off.put(KEY, Secret("4"), expect=ABSENT)


@pytest.mark.parametrize("change", ["put", "delete"])
def test_expected_version_without_store_creates_nothing(opened: Any, path: Any, change: Any) -> None:
    with pytest.raises(StorageConflict, match="no longer exists"):
        opened().put(KEY, Secret("1"), expect="1-x") if change == "put" else opened().delete(KEY, expect="1-x")
    assert not path.parent.exists()


def test_each_rollback_status_is_reported_once(
    store: Any, backup: Any, path: Any, opened: Any, ctx: FakeContext
) -> None:
    path.write_bytes(backup.read_bytes())
    ctx.notes.clear()
    one = opened()
    for _ in range(3):
        assert one.get(KEY).value == Secret("1")
    assert len([note for note in ctx.notes if "older copy" in note]) == 1
    blind = FakeContext(path.parents[1], store="file", passphrases=["right"], attended=False)
    with pytest.raises(StorageDenied):
        opened(blind).get(KEY)


def test_state_accepted_during_compare_is_not_suspected(
    store: Any, backup: Any, path: Any, opened: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(backup.read_bytes())
    ctx.notes.clear()
    one = opened()
    real, looks = one.store.rollback_guard.read, []

    def read(identity: Any = None) -> Any:
        memory = real(identity)
        looks.append(identity)
        if looks == [None]:
            maintenance.accept(opened().store, RollbackStatus.OLDER, nullcontext())
        return memory

    monkeypatch.setattr(one.store.rollback_guard, "read", read)
    assert one.get(KEY).value == Secret("1")
    assert not any("older copy" in note for note in ctx.notes)


def test_store_state_has_identity_epoch_and_mac(store: Any, path: Any) -> None:
    state = store.store.read()
    envelope = vlt_file.parse(path.read_bytes())
    assert state.store_state == StoreState(envelope.table.store, envelope.epoch, envelope.mac)
    assert state._replace(epoch=9).store_state.epoch == 9
