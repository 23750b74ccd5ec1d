"""S8: an older, a forked and a different file in place of the store, and a missing store; and no false alarms."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import Secret, StorageConflict, StorageCorrupt, StorageDenied, StorageUnavailable
from vault_plugin_file import maintenance
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.rollback_guard import RollbackGuard, RollbackStatus
from vault_testkit.context import FakeContext

KEY = "credentials/dev"


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    """A function that makes the context of another machine that shares the file."""
    return lambda name, passphrase="right": FakeContext(tmp_path / name, store="file", passphrases=[passphrase])


def anchors(tmp_path: Any) -> Any:
    """The anchors of stores."""
    return sorted((tmp_path / "state/anchors").glob("store-*.json"))


def places(tmp_path: Any) -> Any:
    """The anchors of places."""
    return sorted(set((tmp_path / "state/anchors").glob("*.json")) - set(anchors(tmp_path)))


def reads(store: Any) -> Any:
    return (lambda: store.get(KEY), lambda: list(store.keys()))


def writes(store: Any) -> Any:
    return (
        lambda: store.put(KEY, Secret("x")),
        lambda: store.delete(KEY),
        lambda: store.change_slots(lambda table, dek: table),
    )


# -- no alarm ----------------------------------------------------------------------------------------------------------


def test_s8_unknown_store_is_recorded_without_warning(
    first_write: Any, opened: Any, machine: Any, path: Any, tmp_path: Path
) -> None:
    other = machine("other")
    assert opened(other).get(KEY).value == Secret("2")
    assert other.notes == []
    path.write_bytes(first_write)
    assert opened(other).get(KEY).value == Secret("1")
    assert len(other.notes) == 1  # what it read it remembers


def test_s8_write_of_another_machine_raises_no_alarm(
    first_write: Any, opened: Any, machine: Any, ctx: FakeContext
) -> None:
    for number in range(3):
        for context in (machine("other"), ctx):
            opened(context).put(KEY, Secret(f"{number}"))
            assert context.notes == []
    assert opened().get(KEY).value == Secret("2")


def test_s8_crash_before_anchor_write_raises_no_alarm(
    first_write: Any, opened: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (anchor,) = anchors(tmp_path)
    before = anchor.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(RollbackGuard, "pin", lambda self, mark: None)
        opened().put(KEY, Secret("3"))
    assert anchor.read_bytes() == before
    store = opened()
    assert store.get(KEY).value == Secret("3")
    store.put(KEY, Secret("4"))
    assert ctx.notes == []
    assert anchor.read_bytes() != before


def test_s8_late_reader_does_not_lower_anchor(first_write: Any, opened: Any, ctx: FakeContext, tmp_path: Path) -> None:
    store = opened()
    old = store.store.read().store_state
    opened().put(KEY, Secret("3"))
    (anchor,) = anchors(tmp_path)
    newest = anchor.read_bytes()
    store.store.rollback_guard.advance(old)
    assert anchor.read_bytes() == newest


def test_s8_write_between_two_reads_raises_no_alarm(
    first_write: Any, opened: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the anchor and the file are replaced between the reader's two reads, in either order."""
    reader = opened()
    for name, owner in (("read", reader.store.file), ("read", reader.store.rollback_guard)):
        real = getattr(owner, name)

        def late(*given: Any, _owner: Any = owner, _name: Any = name, _real: Any = real) -> Any:
            found = _real(*given)
            monkeypatch.setattr(_owner, _name, _real)
            opened().put(KEY, Secret("3"))
            return found

        monkeypatch.setattr(owner, name, late)
        reader.get(KEY)
    assert reader.get(KEY).value == Secret("3")
    assert ctx.notes == []


def test_s8_forged_epoch_is_not_recorded(first_write: Any, opened: Any, path: Any, tmp_path: Path) -> None:
    (anchor,) = anchors(tmp_path)
    before = anchor.read_bytes()
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"epoch":2', b'"epoch":9'))
    with pytest.raises(StorageCorrupt):
        opened().get(KEY)
    assert anchor.read_bytes() == before
    path.write_bytes(good)
    assert opened().put(KEY, Secret("3"))


def test_s8_folder_by_another_path_is_recognised(
    first_write: Any, folder: Any, ctx: FakeContext, tmp_path: Path, path: Any
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    store = FileBackend(ctx, tmp_path / "link" / folder.name)
    path.write_bytes(first_write)
    store.get(KEY)
    assert len(ctx.notes) == 1
    assert len(anchors(tmp_path)) == 1


# -- older, forked -----------------------------------------------------------------------------------------------------


def test_s8_older_copy_is_read_with_warning_and_not_written(
    first_write: Any, opened: Any, ctx: FakeContext, path: Any
) -> None:
    path.write_bytes(first_write)
    store = opened()
    for _ in range(2):
        for read in reads(store):
            read()
    assert store.get(KEY).value == Secret("1")
    (note,) = ctx.notes
    assert note.startswith(f"{path} is an older copy than this machine has seen")
    assert note.endswith("(awsv file accept --older)")
    asked = len(ctx.unlocked)
    for write in writes(opened()):
        with pytest.raises(StorageDenied, match=r"older copy .* nothing was changed") as caught:
            write()
        assert caught.value.exit_code == 4
        assert "awsv file accept --older" in (caught.value.hint or "")
    assert path.read_bytes() == first_write
    assert len(ctx.unlocked) == asked


def test_s8_hint_names_store(first_write: Any, opened: Any, ctx: FakeContext, path: Any) -> None:
    path.write_bytes(first_write)
    ctx.store = "office"
    with pytest.raises(StorageDenied) as caught:
        opened().put(KEY, Secret("x"))
    assert caught.value.hint.endswith("awsv file accept --older --backend office")


def test_s8_older_copy_found_under_lock_is_not_written(
    first_write: Any, opened: Any, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    store.get(KEY)
    real = store.store.file.locked

    def late(check: Any) -> Any:
        path.write_bytes(first_write)
        return real(check)

    monkeypatch.setattr(store.store.file, "locked", late)
    with pytest.raises(StorageDenied, match="older copy"):
        store.put(KEY, Secret("3"))
    assert path.read_bytes() == first_write


def test_s8_accepted_older_copy_is_written(first_write: Any, opened: Any, ctx: FakeContext, path: Any) -> None:
    path.write_bytes(first_write)
    assert "(write 1)" in maintenance.accept(opened().store, RollbackStatus.OLDER, nullcontext())
    opened().put(KEY, Secret("3"))
    assert opened().get(KEY).value == Secret("3")
    assert ctx.notes == []


@pytest.fixture
def forked(first_write: Any, opened: Any, machine: Any, path: Any, ctx: FakeContext) -> Any:
    """Two machines wrote the same file at the same time, and the write of the other machine won."""
    before = path.read_bytes()
    other = machine("other")
    opened(other).get(KEY)
    opened().put(KEY, Secret("ours"))
    path.write_bytes(before)
    opened(other).put(KEY, Secret("theirs"))
    return other


def test_s8_fork_is_read_with_warning_and_not_written(forked: Any, opened: Any, ctx: FakeContext, path: Any) -> None:
    data = path.read_bytes()
    store = opened()
    for read in reads(store):
        read()
    assert store.get(KEY).value == Secret("theirs")
    assert len(ctx.notes) == 1
    assert "not the copy that this machine saw last" in ctx.notes[0]
    assert ctx.notes[0].endswith("(awsv file accept --fork)")
    for write in writes(opened()):
        with pytest.raises(StorageDenied, match="a fork of it"):
            write()
    assert path.read_bytes() == data
    assert opened(forked).put(KEY, Secret("theirs, again"))  # on the machine whose write won all is well
    assert forked.notes == []


def test_s8_accepted_fork_is_written(forked: Any, opened: Any, ctx: FakeContext) -> None:
    with pytest.raises(StorageConflict, match="but fork") as caught:
        maintenance.accept(opened().store, RollbackStatus.OLDER, nullcontext())
    assert caught.value.hint.endswith("awsv file accept --fork")
    maintenance.accept(opened().store, RollbackStatus.FORK, nullcontext())
    assert opened().put(KEY, Secret("3"))
    assert ctx.notes == []


# -- replaced, gone ----------------------------------------------------------------------------------------------------


@pytest.fixture
def replaced(first_write: Any, opened: Any, ctx: FakeContext, path: Any, tmp_path: Path, machine: Any) -> None:
    """A different store, with its own passphrase, in place of the recorded one."""
    other = tmp_path / "elsewhere"
    FileBackend(machine("other", "theirs"), other).put(KEY, Secret("theirs"))
    shutil.copyfile(other / "store.vlt", path)


def test_s8_different_store_is_not_touched(replaced: Any, opened: Any, ctx: FakeContext, path: Any) -> None:
    data, asked = path.read_bytes(), len(ctx.unlocked)
    store = opened()
    for call in (*reads(store), *writes(store), store.slots, lambda: maintenance.need(store.store)):
        with pytest.raises(StorageDenied, match=r"store.vlt is a different store") as caught:
            call()
        assert caught.value.exit_code == 4
        assert caught.value.hint.endswith("awsv file accept --replaced")
    assert path.read_bytes() == data
    assert (len(ctx.unlocked), ctx.notes) == (asked, [])  # our passphrase is not tried on it


def test_s8_accepted_different_store_is_used(
    replaced: Any, opened: Any, machine: Any, tmp_path: Path, ctx: FakeContext
) -> None:
    theirs = FakeContext(tmp_path, store="file", passphrases=["theirs"])
    with pytest.raises(StorageConflict, match="but replaced"):
        maintenance.accept(opened(theirs).store, RollbackStatus.FORK, nullcontext())
    maintenance.accept(opened(theirs).store, RollbackStatus.REPLACED, nullcontext())
    assert opened(theirs).get(KEY).value == Secret("theirs")
    assert opened(theirs).put(KEY, Secret("x"))


def test_s8_accept_requires_right_passphrase(replaced: Any, opened: Any, ctx: FakeContext) -> None:
    from vault_core.api import WrongSecret

    with pytest.raises(WrongSecret):
        maintenance.accept(opened().store, RollbackStatus.REPLACED, nullcontext())
    with pytest.raises(StorageDenied):
        opened().get(KEY)


@pytest.mark.parametrize("whole_folder", [False, True])
def test_s8_missing_recorded_store_is_not_recreated(
    first_write: Any, opened: Any, ctx: FakeContext, folder: Any, path: Any, whole_folder: Any
) -> None:
    shutil.rmtree(folder) if whole_folder else path.unlink()
    store, asked = opened(), len(ctx.unlocked)
    for call in (*reads(store), *writes(store), store.slots, lambda: maintenance.create(store.store)):
        with pytest.raises(StorageUnavailable, match=r"store.vlt is gone") as caught:
            call()
        assert caught.value.exit_code == 4
        assert "awsv file restore" in (caught.value.hint or "")
        assert "awsv file accept --replaced" in (caught.value.hint or "")
    assert not path.exists()
    assert folder.exists() != whole_folder
    assert len(ctx.unlocked) == asked


def test_s8_store_removed_during_wait_is_not_recreated(
    first_write: Any, opened: Any, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    real = store.store.file.locked
    monkeypatch.setattr(store.store.file, "locked", lambda check: (path.unlink(), real(check))[1])
    with pytest.raises(StorageUnavailable, match="is gone"):
        store.put(KEY, Secret("3"))
    assert not path.exists()


def test_s8_accepted_missing_store_is_forgotten(
    first_write: Any, opened: Any, path: Any, tmp_path: Path, ctx: FakeContext
) -> None:
    path.unlink()
    assert "is forgotten" in maintenance.accept(opened().store, RollbackStatus.REPLACED, nullcontext())
    assert places(tmp_path) == []
    assert opened().get(KEY) is None
    opened().put(KEY, Secret("new"))
    assert opened().get(KEY).value == Secret("new")


def test_accept_of_recorded_state_does_nothing(first_write: Any, opened: Any, ctx: FakeContext, tmp_path: Path) -> None:
    (anchor,) = anchors(tmp_path)
    before = anchor.read_bytes()
    for flag in (RollbackStatus.OLDER, RollbackStatus.FORK, RollbackStatus.REPLACED):
        assert "nothing to accept" in maintenance.accept(opened().store, flag, nullcontext())
    assert anchor.read_bytes() == before
