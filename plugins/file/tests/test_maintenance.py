"""Create, verify, rekey, back up and restore: the old state or the new one, and no backup is lost."""

from __future__ import annotations

import os
import random
import re
import signal
import stat
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from support.file_store import content, spoil
from support.security import sample
from vault_core import vlt
from vault_core.api import (
    Cancelled,
    Secret,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    StorageError,
    StorageUnavailable,
    WrongSecret,
)
from vault_plugin_file import atomic_file, maintenance, rollback_guard, vlt_file
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.backup import read_copy, write_copy
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the children here start no threads

ENTRIES = {"credentials/a": "one", "credentials/b": "two", "seeds/c": "three"}
KILLS = sample(15, 300)


@pytest.fixture
def made(opened: Any, path: Any) -> Any:
    """A store with three entries; its backend."""
    store = opened()
    for key, value in ENTRIES.items():
        store.put(key, Secret(value))
    return store


@pytest.fixture
def backup(made: Any, path: Any, tmp_path: Path) -> Any:
    """A backup of it."""
    target = tmp_path / "backup.vlt"
    write_copy(target, path.read_bytes(), overwrite=False)
    return target


def yes(*_: Any) -> Any:
    return True


def no(*_: Any) -> Any:
    return False


# -- init --------------------------------------------------------------------------------------------------------------


def test_create_makes_empty_store_once(opened: Any, path: Any, snapshot: Any, ctx: FakeContext) -> None:
    state = maintenance.create(opened().store)
    assert (state.epoch, state.entries, path.stat().st_mode & 0o777) == (1, {}, 0o600)
    assert content(opened()) == {}
    before, asked = snapshot(), len(ctx.unlocked)
    with pytest.raises(StorageConflict, match="there is already a store at") as caught:
        maintenance.create(opened().store)
    assert caught.value.exit_code == 4
    assert snapshot() == before
    assert len(ctx.unlocked) == asked


def test_create_loses_race_with_conflict(
    opened: Any, folder: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another process creates the store while the user types a passphrase: that store is kept."""
    real = ctx.unlock

    def late(key_id: Any, derive: Any, *, create: bool = False, source: Any = None) -> Any:
        if create:
            FileBackend(FakeContext(tmp_path, passphrases=["right"]), folder).put("a/first", Secret("1"))
        return real(key_id, derive, create=create, source=source)

    monkeypatch.setattr(ctx, "unlock", late)
    with pytest.raises(StorageConflict):
        maintenance.create(opened().store)
    assert content(opened()) == {"a/first": "1"}


def test_create_refuses_folder_of_aws_vault(opened: Any, folder: Any) -> None:
    folder.mkdir(mode=0o700)
    (folder / "item").write_bytes(b"eyJhbGciOiJQQkVTMi1IUzI1NiIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d")
    with pytest.raises(StorageDenied, match="of aws-vault"):
        maintenance.create(opened().store)
    assert [found.name for found in folder.iterdir()] == ["item"]


# -- verify ------------------------------------------------------------------------------------------------------------


def test_s7_verify_names_every_damaged_entry(made: Any, path: Any) -> None:
    assert maintenance.damaged_entries(made.store.read()) == []
    maintenance.require_whole(made.store.read(), "it", "a hint")
    spoil(made, "credentials/b")
    spoil(made, "seeds/c")
    with pytest.raises(StorageCorrupt, match=r"2 of 3 entries do not open: credentials/b, seeds/c") as caught:
        maintenance.require_whole(made.store.read(), str(path), "a hint")
    assert caught.value.exit_code == 4
    assert made.get("credentials/a").value == Secret("one")


def test_open_copy_verifies_backup(made: Any, backup: Any, ctx: FakeContext) -> None:
    assert maintenance.open_copy(made.store, backup).entries.keys() == ENTRIES.keys()
    data = backup.read_bytes()
    wrap = vlt.to_base64(made.slots().slots[0].wrap).encode()
    for damaged, reason in (
        (data[:-1], "truncated"),
        (data[:-1] + bytes([data[-1] ^ 1]), "payload"),
        (data.replace(wrap, wrap[::-1]), "does not hold the store's key"),
        (b"text", "not an awsv store"),
    ):
        backup.write_bytes(damaged)
        with pytest.raises(StorageCorrupt, match=reason) as caught:
            maintenance.open_copy(made.store, backup)
        assert str(backup) in caught.value.message
        assert caught.value.hint == "try a different backup file"


# -- backup ------------------------------------------------------------------------------------------------------------


def test_backup_has_bytes_of_store_and_is_private(made: Any, path: Any, child: Any, tmp_path: Path) -> None:
    target = tmp_path / "backup.vlt"
    assert child(lambda: write_copy(target, path.read_bytes(), overwrite=False) is None, umask=0) == 0
    assert target.read_bytes() == path.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.stat().st_nlink == 1


def test_backup_replaces_file_only_with_overwrite(
    backup: Any, tmp_path: Path, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = backup.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(backup)
    for taken in (backup, link):
        with pytest.raises(StorageConflict, match="exists already; it was not changed"):
            write_copy(taken, b"new", overwrite=False)
    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(StorageConflict, match="exists already; it was not changed"):
        write_copy(backup, b"new", overwrite=False)
    assert backup.read_bytes() == before
    write_copy(tmp_path / "free", b"new", overwrite=False)
    assert (tmp_path / "free").read_bytes() == b"new"
    write_copy(backup, b"new", overwrite=True)
    assert backup.read_bytes() == b"new"
    assert sorted(found.name for found in tmp_path.glob(".*")) == []


def no_links(*_: Any, **__: Any) -> Any:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("where", ["missing/backup.vlt", "store", "store/store.vlt/backup.vlt"])
def test_backup_to_invalid_path_is_refused(made: Any, tmp_path: Path, where: Any, snapshot: Any) -> None:
    before = snapshot()
    with pytest.raises(StorageError) as caught:
        write_copy(tmp_path / where, b"data", overwrite=True)
    assert caught.value.exit_code == 4
    assert str(tmp_path / where) in caught.value.message
    assert snapshot() == before
    assert not list(tmp_path.glob(".*"))


def test_backup_over_store_is_refused(made: Any, path: Any, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    for target in (path, tmp_path / "link"):
        with pytest.raises(StorageError, match="is the store itself"):
            maintenance.check_backup_target(made.store, target)


def test_backup_to_folder_has_hint_with_file_name(made: Any, tmp_path: Path) -> None:
    target = tmp_path / "my backups"
    target.mkdir()
    with pytest.raises(StorageError, match="my backups is a folder") as caught:
        maintenance.check_backup_target(made.store, target)
    assert caught.value.hint == f"name a file in it: awsv file backup '{target}/store.vlt'"


def test_backup_on_failing_disk_leaves_no_partial_file(
    made: Any, path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_file, "make_durable", broken)
    with pytest.raises(StorageUnavailable, match=r"backup.vlt cannot be written: no space left"):
        write_copy(tmp_path / "backup.vlt", path.read_bytes(), overwrite=False)
    assert not (tmp_path / "backup.vlt").exists()
    assert not list(tmp_path.glob(".*"))


def test_read_copy_refuses_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match=re.escape(f"there is no file {tmp_path}/")):
        read_copy(tmp_path / "none")
    with pytest.raises(StorageError, match="cannot be read: is a directory"):
        read_copy(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert read_copy(tmp_path / "pipe") == b""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 34)
    assert len(read_copy(tmp_path / "sparse")) == vlt_file.MAX_FILE + 1


# -- restore -----------------------------------------------------------------------------------------------------------


def test_restore_is_newest_write_and_keeps_old_file(
    made: Any, backup: Any, opened: Any, path: Any, ctx: FakeContext, folder: Any
) -> None:
    made.put("credentials/a", Secret("changed"))
    made.delete("seeds/c")
    old = path.read_bytes()
    state, kept = maintenance.restore(opened().store, backup, yes, nullcontext())
    assert content(opened()) == ENTRIES
    assert state.epoch == 6  # three writes, two more, and this one: no machine takes it for an older copy
    assert kept.read_bytes() == old
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    opened().put("credentials/d", Secret("four"))
    assert ctx.notes == []
    assert {found.name for found in folder.iterdir()} == {"store.vlt", "store.vlt.lock", kept.name}


def test_restore_declined_changes_nothing(made: Any, backup: Any, opened: Any, snapshot: Any) -> None:
    made.put("credentials/a", Secret("changed"))
    before = snapshot()
    with pytest.raises(Cancelled):
        maintenance.restore(opened().store, backup, no, nullcontext())
    assert snapshot() == before


@pytest.mark.parametrize("gone", ["file", "folder"])
def test_restore_recreates_missing_store(
    made: Any, backup: Any, opened: Any, path: Any, folder: Any, gone: Any, ctx: FakeContext
) -> None:
    import shutil

    path.unlink() if gone == "file" else shutil.rmtree(folder)
    state, kept = maintenance.restore(opened().store, backup, no, nullcontext())  # nothing to replace: nothing to ask
    assert (content(opened()), state.epoch, kept) == (ENTRIES, 4, None)
    assert ctx.notes == []


@pytest.mark.parametrize("damage", [b"", b"text", None])
def test_restore_replaces_damaged_store(made: Any, backup: Any, opened: Any, path: Any, damage: Any) -> None:
    made.put("credentials/a", Secret("changed"))
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    old = path.read_bytes()
    _, kept = maintenance.restore(opened().store, backup, yes, nullcontext())
    assert content(opened()) == ENTRIES
    assert kept.read_bytes() == old


def test_restore_of_damaged_backup_changes_nothing(
    made: Any, backup: Any, opened: Any, path: Any, snapshot: Any
) -> None:
    good = path.read_bytes()
    spoil(made, "credentials/b")
    half = path.read_bytes()
    path.write_bytes(good)
    before = snapshot()
    for data in (half, half[:-1], half[:5000], b"", b"text", bytes(20_000)):
        backup.write_bytes(data)
        with pytest.raises(StorageCorrupt) as caught:
            maintenance.restore(opened().store, backup, yes, nullcontext())
        assert str(backup) in caught.value.message
    assert snapshot() == before


def test_restore_with_wrong_passphrase_changes_nothing(
    made: Any, backup: Any, opened: Any, tmp_path: Path, snapshot: Any
) -> None:
    before = snapshot()
    with pytest.raises(WrongSecret):
        maintenance.restore(opened(FakeContext(tmp_path, passphrases=["wrong"])).store, backup, yes, nullcontext())
    assert snapshot() == before


def test_restore_of_different_store_raises_no_alarm(
    made: Any, backup: Any, tmp_path: Path, opened: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a new machine, on which 'awsv add' ran first: the restored store is recorded. No crash raises an alarm."""
    there = tmp_path / "there"
    FileBackend(ctx, there).put("credentials/z", Secret("new"))
    for owner, name, found in (
        (maintenance.StoreFile, "write", {"credentials/z": "new"}),  # type: ignore[attr-defined]  # as the module has it: it does not export it
        (rollback_guard.RollbackGuard, "pin", ENTRIES),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                maintenance.restore(FileBackend(ctx, there).store, backup, yes, nullcontext())
        assert content(FileBackend(ctx, there)) == found
    assert ctx.notes == []


def test_restore_of_different_store_during_read_raises_no_alarm(
    made: Any, backup: Any, tmp_path: Path, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader has read the anchor of the old store and then reads the new file: it reads both again."""
    there = tmp_path / "there"
    reader = FileBackend(ctx, there)
    reader.put("credentials/z", Secret("new"))
    real = reader.store.file.read

    def late() -> Any:
        monkeypatch.setattr(reader.store.file, "read", real)
        maintenance.restore(FileBackend(ctx, there).store, backup, yes, nullcontext())
        return real()

    monkeypatch.setattr(reader.store.file, "read", late)
    assert content(reader) == ENTRIES
    assert ctx.notes == []


def interrupted(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_restore_twice_keeps_both_old_files(
    made: Any, backup: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda *_: "20260101T000000Z")
    kept = {maintenance.restore(opened().store, backup, yes, nullcontext())[1] for _ in range(3)}
    assert len(kept) == 3
    assert all(maintenance.open_copy(made.store, path).entries for path in kept)  # type: ignore[arg-type]  # each of them is a path


# -- killed ------------------------------------------------------------------------------------------------------------


def in_a_loop(folder: Any, work: Any, report: Any) -> None:
    """In a child: repeat the work, and print a line each time."""
    while True:
        work()
        os.write(report, b"done\n")


@pytest.mark.parametrize("what", ["rekey", "restore", "backup"])
def test_s10_killed_operation_keeps_old_or_new_state(
    made: Any, opened: Any, folder: Any, tmp_path: Path, backup: Any, what: Any, figure: Any
) -> None:
    target = tmp_path / "copy.vlt"
    works = {
        "rekey": lambda: maintenance.rekey(opened().store, no),
        "restore": lambda: maintenance.restore(opened().store, backup, yes, nullcontext()),
        "backup": lambda: write_copy(target, (folder / "store.vlt").read_bytes(), overwrite=True),
    }
    chance, done = random.Random(7), 0
    for _ in range(KILLS):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                in_a_loop(folder, works[what], write)
            finally:
                os._exit(1)
        os.close(write)
        with os.fdopen(read) as report:
            heard = [report.readline() for _ in range(chance.randrange(3))]
            time.sleep(chance.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            done += len(heard) + len(report.read().splitlines())
        assert content(opened()) == ENTRIES
        for copy in (backup, *([target] if target.exists() else [])):
            maintenance.require_whole(maintenance.open_copy(made.store, copy), "it", "a hint")
    figure(f"{KILLS} times kill -9, {done} acknowledged, 0 lost; every backup whole")
    opened().put("credentials/d", Secret("four"))
    assert not [found for found in folder.iterdir() if found.name.endswith(".tmp")]
