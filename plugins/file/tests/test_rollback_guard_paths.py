"""S8: the newest state of a store is recorded for every path, and anchors of version 0.1.0 are used."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import Secret, StorageDenied, StorageError, StorageUnavailable
from vault_plugin_file import maintenance
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.backup import write_copy
from vault_plugin_file.rollback_guard import RollbackGuard, RollbackStatus
from vault_testkit.context import FakeContext

KEY = "credentials/dev"


@pytest.fixture
def home(tmp_path: Path) -> Any:
    """The folder of the store, in a folder that can be moved."""
    return tmp_path / "sync/sub/vault"


@pytest.fixture
def path(home: Any) -> Any:
    return home / "store.vlt"


@pytest.fixture
def at(ctx: FakeContext) -> Any:
    """A function that opens the store in a folder, with this context or another."""
    return lambda folder, context=ctx: FileBackend(context, folder)


@pytest.fixture
def made(at: Any, home: Any, path: Any) -> Any:
    """A store that was written three times; the bytes of the first write."""
    store = at(home)
    store.put(KEY, Secret("1"))
    first = path.read_bytes()
    store.put(KEY, Secret("2"))
    store.put(KEY, Secret("3"))
    return first


def anchors(tmp_path: Any) -> Any:
    return tmp_path / "state/anchors"


def told_and_not_written(store: Any, ctx: Any) -> Any:
    """It is an older copy: one warning, and a write is refused."""
    assert store.get(KEY).value == Secret("1")
    (note,) = ctx.notes
    assert "is an older copy than this machine has seen" in note
    with pytest.raises(StorageDenied, match="older copy"):
        store.put("credentials/other", Secret("x"))
    return True


def copied(path: Any, folder: Any) -> Any:
    folder.mkdir(mode=0o700, parents=True)
    shutil.copyfile(path, folder / "store.vlt")
    (folder / "store.vlt").chmod(0o600)
    return folder


# -- wherever it lies --------------------------------------------------------------------------------------------------


def test_s8_rollback_is_detected_behind_symlinked_parent(
    made: Any, at: Any, home: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    path.write_bytes(made)
    (tmp_path / "sync/sub").rename(tmp_path / "sync/sub2")
    (tmp_path / "sync/sub").symlink_to("sub2")
    assert told_and_not_written(at(home), ctx)


def test_s8_rollback_is_detected_in_renamed_folder(
    made: Any, at: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    path.write_bytes(made)
    (tmp_path / "sync").rename(tmp_path / "drive")
    assert told_and_not_written(at(tmp_path / "drive/sub/vault"), ctx)


def test_s8_rollback_is_detected_in_copied_folder(
    made: Any, at: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    path.write_bytes(made)
    assert told_and_not_written(at(copied(path, tmp_path / "copy")), ctx)


def test_s8_newest_copy_in_another_folder_is_recorded_without_warning(
    made: Any, at: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    copy = copied(path, tmp_path / "copy")
    assert at(copy).get(KEY).value == Secret("3")
    assert ctx.notes == []
    (copy / "store.vlt").unlink()
    with pytest.raises(StorageUnavailable, match="is gone"):
        at(copy).get(KEY)


def test_s8_symlink_to_different_store_is_detected(
    made: Any, at: Any, home: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    """Also if that store is recorded for the place to which the link leads."""
    at(tmp_path / "theirs/vault").put(KEY, Secret("theirs"))
    (tmp_path / "sync/sub").rename(tmp_path / "sync/sub2")
    (tmp_path / "sync/sub").symlink_to(tmp_path / "theirs")
    with pytest.raises(StorageDenied, match="a different store"):
        at(home).get(KEY)
    maintenance.accept(at(home).store, RollbackStatus.REPLACED, nullcontext())
    assert at(home).get(KEY).value == Secret("theirs")


def test_s8_older_copy_of_forgotten_store_is_detected(
    made: Any, at: Any, home: Any, path: Any, ctx: FakeContext
) -> None:
    path.unlink()
    maintenance.accept(at(home).store, RollbackStatus.REPLACED, nullcontext())
    path.write_bytes(made)
    path.chmod(0o600)
    assert told_and_not_written(at(home), ctx)


# -- copies that are meant ---------------------------------------------------------------------------------------------


def test_s8_accepted_copy_is_written_and_first_copy_raises_no_alarm(
    made: Any, at: Any, home: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    newest = path.read_bytes()
    path.write_bytes(made)
    copy = copied(path, tmp_path / "copy")
    path.write_bytes(newest)
    maintenance.accept(at(copy).store, RollbackStatus.OLDER, nullcontext())
    at(copy).put("credentials/other", Secret("x"))
    assert at(home).get(KEY).value == Secret("3")
    assert ctx.notes == []
    with pytest.raises(StorageDenied, match="older copy"):  # of the two the one with more writes is the newest
        at(copy).put("credentials/other", Secret("y"))


def test_s8_accepted_different_store_may_be_older(
    made: Any, at: Any, home: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    at(there).put(KEY, Secret("theirs"))
    (there / "store.vlt").write_bytes(made)
    said = maintenance.accept(at(there).store, RollbackStatus.REPLACED, nullcontext())
    assert said.endswith("too: awsv file accept --older")
    assert told_and_not_written(at(there), ctx)
    assert "(write 1)" in maintenance.accept(at(there).store, RollbackStatus.OLDER, nullcontext())
    at(there).put(KEY, Secret("4"))
    assert len(ctx.notes) == 1


def test_s8_verify_of_backup_changes_no_anchor(
    made: Any, at: Any, home: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    write_copy(tmp_path / "backup", made, overwrite=False)
    assert maintenance.open_copy(at(home).store, tmp_path / "backup").entries.keys() == {KEY}
    path.write_bytes(made)
    assert ctx.notes == []
    assert told_and_not_written(at(home), ctx)


@pytest.mark.parametrize("how", ["gone", "folder gone", "damaged", "elsewhere"])
def test_restored_store_is_newer_than_every_anchor(
    made: Any, at: Any, home: Any, path: Any, ctx: FakeContext, tmp_path: Path, how: Any
) -> None:
    """A damaged file has no epoch; no other machine may take the restored store for an older copy."""
    write_copy(tmp_path / "backup", made, overwrite=False)
    folder = tmp_path / "elsewhere" if how == "elsewhere" else home
    if how == "damaged":
        path.write_bytes(b"damaged")
    elif how == "folder gone":
        shutil.rmtree(home)
    else:
        path.unlink()
    state, _ = maintenance.restore(at(folder).store, tmp_path / "backup", lambda: True, nullcontext())
    assert state.epoch == 4
    assert at(folder).get(KEY).value == Secret("1")
    assert ctx.notes == []


# -- the two kinds of files --------------------------------------------------------------------------------------------


def test_s8_kill_between_anchor_writes_raises_no_alarm_and_hides_no_rollback(
    made: Any, at: Any, home: Any, path: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    """Whichever of the two was not written."""
    for pattern in ("store-*.json", "[!s]*.json"):
        for found in anchors(tmp_path).glob(pattern):
            found.unlink()
        assert at(home).get(KEY).value == Secret("3")
        assert ctx.notes == []
        assert len(list(anchors(tmp_path).glob("*.json"))) == 2  # a read completes them
    path.write_bytes(made)
    assert told_and_not_written(at(home), ctx)


@pytest.mark.parametrize("pattern", ["store-*.json", "[!s]*.json"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 5000])
def test_s8_damaged_anchor_warns_and_write_repairs_it(
    made: Any, at: Any, home: Any, path: Any, ctx: FakeContext, tmp_path: Path, pattern: Any, damage: Any
) -> None:
    (found,) = anchors(tmp_path).glob(pattern)
    found.write_bytes(damage)
    store = at(home)
    for _ in range(2):
        assert store.get(KEY).value == Secret("3")
    (note,) = ctx.notes
    assert str(found) in note
    at(home).put(KEY, Secret("4"))
    ctx.notes.clear()
    path.write_bytes(made)
    assert told_and_not_written(at(home), ctx)


def test_s8_late_writer_does_not_lower_anchor(made: Any, at: Any, home: Any, tmp_path: Path, path: Any) -> None:
    """Two copies have two locks, so the writer with fewer writes may be the last to record its state."""
    late = at(home).store
    mark = late.read().store_state
    at(home).put(KEY, Secret("4"))
    (anchor,) = anchors(tmp_path).glob("store-*.json")
    newest = anchor.read_bytes()
    late.rollback_guard.pin(mark)
    assert anchor.read_bytes() == newest


def test_s8_anchor_of_place_is_not_anchor_of_store(
    made: Any, at: Any, home: Any, ctx: FakeContext, tmp_path: Path
) -> None:
    """Before a file is authenticated, an attacker chooses its identity, which may be the name of another file."""
    (place,) = anchors(tmp_path).glob("[!s]*.json")
    before = place.read_bytes()
    memory = RollbackGuard(ctx, tmp_path / "elsewhere/store.vlt").read(bytes.fromhex(place.stem))
    assert memory.newest is None
    assert place.read_bytes() == before


# -- what version 0.1.0 remembered -------------------------------------------------------------------------------------


@pytest.fixture
def as_before(made: Any, at: Any, home: Any, tmp_path: Path) -> None:
    """The state folder as version 0.1.0 left it: one file, by the path, with the newest state."""
    mark = at(home).store.read().store_state
    shutil.rmtree(anchors(tmp_path))
    anchors(tmp_path).mkdir(mode=0o700)
    name = hashlib.sha256(os.fsencode(os.path.realpath(home) + "/store.vlt")).hexdigest()[:32]
    (anchors(tmp_path) / f"{name}.json").write_bytes(mark.to_bytes())
    (anchors(tmp_path) / f"{name}.json").chmod(0o600)


def test_s8_anchor_of_0_1_0_is_used(as_before: Any, at: Any, home: Any, path: Any, ctx: FakeContext, made: Any) -> None:
    path.write_bytes(made)
    assert told_and_not_written(at(home), ctx)


def test_s8_anchor_of_0_1_0_is_used_at_other_path(
    as_before: Any, at: Any, path: Any, ctx: FakeContext, made: Any, tmp_path: Path
) -> None:
    path.write_bytes(made)
    assert told_and_not_written(at(copied(path, tmp_path / "copy")), ctx)


def test_s8_anchor_of_0_1_0_is_migrated_by_read(
    as_before: Any, at: Any, home: Any, path: Any, ctx: FakeContext, made: Any, tmp_path: Path
) -> None:
    assert at(home).get(KEY).value == Secret("3")
    assert len(list(anchors(tmp_path).glob("store-*.json"))) == 1
    at(home).put(KEY, Secret("4"))
    assert ctx.notes == []
    path.write_bytes(made)
    assert told_and_not_written(at(home), ctx)


def test_s8_anchor_of_0_1_0_can_be_replaced_by_accept(
    as_before: Any, at: Any, home: Any, path: Any, ctx: FakeContext, made: Any
) -> None:
    path.write_bytes(made)
    maintenance.accept(at(home).store, RollbackStatus.OLDER, nullcontext())
    at(home).put(KEY, Secret("2"))
    assert ctx.notes == []


# -- where nobody sees the line ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fork", [False, True])
def test_s8_older_copy_is_refused_without_terminal(
    made: Any, at: Any, home: Any, path: Any, tmp_path: Path, fork: Any
) -> None:
    context = FakeContext(tmp_path, store="office", passphrases=["right"], attended=False)
    if fork:
        other = FakeContext(tmp_path / "other", store="file", passphrases=["right"])
        newest = path.read_bytes()
        at(home).put(KEY, Secret("ours"))
        path.write_bytes(newest)
        at(home, other).put(KEY, Secret("theirs"))
    else:
        path.write_bytes(made)
    store = at(home, context)
    for read in (lambda: store.get(KEY), lambda: list(store.keys())) * 2:
        with pytest.raises(StorageError) as caught:
            read()
        assert caught.value.exit_code == 4
        flag = "fork" if fork else "older"
        assert caught.value.hint == f"awsv file accept --{flag} --backend office"
    assert context.unlocked == []  # and nobody was asked for a passphrase first
