"""S9, S11, S12, S14: locks, failing, full and read-only disks, and what they leave behind."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.busy import seconds
from support.file_store import content, names
from vault_core import vlt
from vault_core.api import Cancelled, Secret, StorageDenied, StorageError, StorageUnavailable, WrongSecret
from vault_core.keyslots import new_slot
from vault_plugin_file import atomic_file, maintenance
from vault_plugin_file.backend import FileBackend
from vault_plugin_file.backup import write_copy
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the children here start no threads

KEY = "credentials/dev"
NOBODY = 65_534


# -- locks -------------------------------------------------------------------------------------------------------------


HOLDER = """
import sys, time, pathlib
from vault_plugin_file.atomic_file import AtomicFile
with AtomicFile(pathlib.Path(sys.argv[1]), "store.vlt", limit=1 << 24).locked(lambda: None):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(one_entry: Any, folder: Any) -> Iterator[Any]:
    """A process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}
    )
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_s12_lock_timeout_names_stopped_holder(holder: Any, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic_file, "LOCK_SECONDS", 0.3)
    holder.send_signal(signal.SIGSTOP)
    assert opened().get(KEY).value == Secret("x")  # readers need no lock
    with pytest.raises(StorageUnavailable, match=f"has been locked by process {holder.pid} for") as caught:
        opened().put(KEY, Secret("y"))
    assert f"process {holder.pid}" in (caught.value.hint or "")


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_s14_file_system_without_locks_is_refused_with_hint(
    one_entry: Any, opened: Any, snapshot: Any, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    """As on some network file systems: reads work, a write reports the reason and changes nothing."""

    def fail(fd: Any, operation: Any) -> Any:
        raise OSError(error, os.strerror(error))

    before = snapshot()
    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(StorageUnavailable, match=f"store cannot be locked: {os.strerror(error).lower()}") as caught:
        opened().put(KEY, Secret("y"))
    assert "on a network file system without locks, set AWS_VAULT_FILE_DIR" in (caught.value.hint or "")
    assert opened().get(KEY).value == Secret("x")
    assert snapshot() == before


def test_hint_about_permissions_can_be_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "it's mine"
    hint = atomic_file.failure(PermissionError(errno.EACCES, ""), folder, "cannot be opened").hint
    command, _, quoted = str(hint).partition(": ")
    assert command == "check its permissions"
    assert shlex.split(quoted) == ["ls", "-ld", str(folder)]


def test_lock_is_tried_again_after_a_pause(
    one_entry: Any, opened: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in a loop that takes a processor for as long as another process writes."""
    log: list[object] = []

    def busy(fd: int, operation: int) -> None:
        log.append("tried")
        if log.count("tried") < 3:
            raise BlockingIOError

    monkeypatch.setattr(atomic_file.fcntl, "flock", busy)  # type: ignore[attr-defined]  # its import
    monkeypatch.setattr(atomic_file.time, "sleep", log.append)  # type: ignore[attr-defined]  # as above
    opened().put(KEY, Secret("y"))
    assert log[:5] == ["tried", atomic_file._POLL, "tried", atomic_file._POLL, "tried"]


def test_lock_is_released_when_holder_is_killed(holder: Any, opened: Any) -> None:
    holder.kill()
    holder.wait()
    started = time.monotonic()
    opened().put(KEY, Secret("y"))
    assert time.monotonic() - started < seconds(2)


def test_wait_for_lock_can_be_cancelled(
    holder: Any, opened: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel() -> Any:
        raise Cancelled("interrupted")

    monkeypatch.setattr(ctx, "check", cancel)
    with pytest.raises(Cancelled):
        opened().put(KEY, Secret("y"))


def test_lock_timeout_is_ten_seconds() -> None:
    assert atomic_file.LOCK_SECONDS == 10


# -- S9, S11: failing writes -------------------------------------------------------------------------------------------

STALE = ".store.vlt.1234.0123456789abcdef.tmp"


def test_write_sweeps_only_stale_temporary_files(one_entry: Any, opened: Any, folder: Any) -> None:
    (folder / STALE).write_bytes(b"left by a killed writer")
    others = [".store.vlt.1234.tmp", "notes.txt", ".store.vlt.12.0123456789ABCDEF.tmp", STALE + "~"]
    for name in others:
        (folder / name).write_text("mine")
    opened().get(KEY)
    assert (folder / STALE).exists()  # readers change nothing
    opened().put(KEY, Secret("y"))
    assert names(folder) == sorted([*others, "store.vlt", "store.vlt.lock"])


@pytest.mark.parametrize("call", ["open", "fchmod", "write", "fsync", "close"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_s9_error_before_rename_changes_nothing(
    one_entry: Any, opened: Any, folder: Any, snapshot: Any, monkeypatch: pytest.MonkeyPatch, call: Any, error: Any
) -> None:
    before, real, failed = snapshot(), getattr(os, call), []

    def fail(*args: Any, **more: Any) -> Any:
        first = args[0]
        ours = ".tmp" in str(first) if call == "open" else _is_temp(first)
        if ours and not failed:
            failed.append(first)
            if call == "close":
                real(first)
            raise OSError(error, os.strerror(error))
        return real(*args, **more)

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StorageError, match=r"store.vlt cannot be written, and was not changed: ") as caught:
        opened().put(KEY, Secret("y"))
    assert failed
    assert caught.value.hint
    assert os.strerror(error).lower() in caught.value.message
    assert snapshot() == before
    opened().put(KEY, Secret("z"))
    assert names(folder) == ["store.vlt", "store.vlt.lock"]


def _is_temp(fd: Any) -> Any:
    try:
        return Path(f"/proc/self/fd/{fd}").readlink().suffix == ".tmp"
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _needs_proc(request: pytest.FixtureRequest) -> None:
    if "s9_errors_before" in request.node.name and not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell descriptors apart")


def test_s9_short_writes_are_continued(one_entry: Any, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:100]))
    opened().put(KEY, Secret("y" * 5000))
    monkeypatch.undo()
    assert opened().get(KEY).value == Secret("y" * 5000)


def test_s9_write_makes_system_calls_in_order(one_entry: Any, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write, fsync of the file, rename, fsync of the folder: a durable write needs them in this order."""
    log = []
    for name in ("write", "fsync", "rename", "unlink"):
        real = getattr(os, name)

        def noted(*args: Any, _name: Any = name, _real: Any = real, **more: Any) -> Any:
            kind = stat.S_ISDIR(os.fstat(args[0]).st_mode) if _name == "fsync" else None
            log.append({True: "fsync folder", False: "fsync file", None: _name}[kind])
            return _real(*args, **more)

        monkeypatch.setattr(os, name, noted)
    opened().put(KEY, Secret("y"))
    assert log == ["write", "fsync file", "rename", "fsync folder"] * 2  # the store, and only then its anchor


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EROFS, errno.EIO])
def test_s9_failed_rename_reports_state_on_disk(
    one_entry: Any, opened: Any, snapshot: Any, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    before = snapshot()

    def fail(*args: Any, **more: Any) -> Any:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(StorageUnavailable, match=r"failed at the end .*: the old state is on disk"):
        opened().put(KEY, Secret("y"))
    assert snapshot() == before


def test_s9_failed_folder_fsync_reports_state_on_disk(
    one_entry: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fail(fd: Any) -> Any:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageUnavailable, match=re.escape("the new state (write 2) is on disk")):
        opened().put(KEY, Secret("y"))
    monkeypatch.undo()
    assert one_entry.exists()


def test_s9_interrupted_write_leaves_no_temporary_file(
    one_entry: Any, opened: Any, snapshot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot()

    def interrupt(fd: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        opened().put(KEY, Secret("y"))
    assert snapshot() == before


def fill(store: Any) -> Any:
    """Put entries until the disk is full; return their number and the error."""
    for count in range(100):
        try:
            store.put(f"credentials/{count}", Secret("x" * 400))
        except StorageUnavailable as error:
            return count, error
    return pytest.fail("it never was full")


def passwd(store: Any, passphrase: Any) -> None:
    """Change the passphrase, as the command does."""
    chosen = FakeContext(store.store.file.folder.parent, passphrases=[passphrase])
    new = new_slot.passphrase(
        store.slots().store, lambda key_id, derive, _: chosen.unlock(key_id, derive), cost=vlt.Argon2id(19_456, 2, 1)
    )
    store.change_slots(lambda slots, dek: slots.replace(dek, slots.slots[0].id, new))


def full_disk(folder: Any, root: Any) -> Any:
    """On a disk that lacks one block for the next entry, whichever limit is reached.

    :returns: the figure.
    """
    context = FakeContext(root, passphrases=["right", "other"])
    count, error = fill(FileBackend(context, folder))
    assert "cannot be written, and was not changed: " in error.message
    assert error.hint == "free some space, then repeat the command"
    assert names(folder) == ["store.vlt", "store.vlt.lock"]
    assert len(content(FileBackend(context, folder))) == count > 3
    for number in range(count):
        assert FileBackend(context, folder).delete(f"credentials/{number}") is True
        assert len(content(FileBackend(context, folder))) == count - number - 1
        if number == 0:
            passwd(FileBackend(context, folder), "other")
            with pytest.raises(WrongSecret):
                FileBackend(FakeContext(root, passphrases=["right"]), folder).get("credentials/0")
    FileBackend(context, folder).put("credentials/again", Secret("x" * 400))
    return f"full after {count} entries; {count} deletions and passwd went through, no temporary file left"


def test_s11_file_size_limit_keeps_store_usable(folder: Any, tmp_path: Path, child: Any, figure: Any) -> None:
    """A stand-in for a full disk that does not need root."""

    def work() -> Any:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))
        return bool(full_disk(folder, tmp_path))

    assert child(work) == 0
    figure("the same at a limit of 9,000 bytes a file, without root")


root = pytest.mark.root("only root can mount a file system")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Any]:
    """A function that mounts a small file system with these options at a folder, until the end of the test."""
    one_entry = []

    def mount(options: Any) -> Any:
        place = tmp_path / f"mount-{len(one_entry)}"
        place.mkdir(mode=0o700)
        words = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", place]
        if subprocess.run(words, capture_output=True).returncode:  # type: ignore[arg-type]  # words and paths
            pytest.skip("root may not mount a tmpfs here")
        one_entry.append(place)
        return place

    yield mount
    for place in one_entry:
        subprocess.run(["umount", place], check=True)


@root
def test_s11_full_small_file_system_keeps_store_usable(mounted: Any, tmp_path: Path, figure: Any) -> None:
    figure(full_disk(mounted("size=24k"), tmp_path))


@root
def test_s11_full_disk_fails_write_and_keeps_store(mounted: Any, tmp_path: Path, ctx: FakeContext) -> None:
    """No new file fits, and even a deletion needs one. It is an error, and the store can be read."""
    place = mounted("size=24k")
    store = FileBackend(ctx, place)
    store.put(KEY, Secret("x"))
    with (place / "film").open("wb") as film, contextlib.suppress(OSError):
        film.write(bytes(1 << 20))
    before = (place / "store.vlt").read_bytes()
    for call in (lambda: store.delete(KEY), lambda: store.put(KEY, Secret("y")), lambda: passwd(store, "other")):
        with pytest.raises(StorageUnavailable, match="was not changed: no space left on device") as caught:
            call()
        assert caught.value.hint == "free some space, then repeat the command"
    assert (place / "store.vlt").read_bytes() == before
    assert FileBackend(ctx, place).get(KEY).value == Secret("x")
    (place / "film").unlink()
    assert store.delete(KEY) is True


@root
def test_s11_backup_to_full_disk_fails_without_partial_file(mounted: Any, one_entry: Any) -> None:
    place = mounted("size=24k")
    (place / "film").write_bytes(bytes(20_000))
    (place / "older.vlt").write_bytes(b"older")
    for name, overwrite in (("new.vlt", False), ("older.vlt", True)):
        with pytest.raises(StorageUnavailable, match=f"{name} cannot be written: no space left on device") as caught:
            write_copy(place / name, one_entry.read_bytes() * 4, overwrite=overwrite)
        assert caught.value.hint == "free some space, then repeat the command"
    assert names(place) == ["film", "older.vlt"]
    assert (place / "older.vlt").read_bytes() == b"older"


@root
def test_s14_read_only_file_system_is_readable_and_refuses_writes(mounted: Any, opened: Any, ctx: FakeContext) -> None:
    """Reads work, writes report the reason; the anchor, on another file system, is written."""
    place = mounted("size=1m")
    FileBackend(ctx, place).put(KEY, Secret("x"))
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    store = FileBackend(ctx, place)
    assert store.get(KEY).value == Secret("x")
    for call in (
        lambda: store.put(KEY, Secret("y")),
        lambda: store.delete(KEY),
        lambda: passwd(store, "other"),
        lambda: maintenance.rekey(store.store, lambda slots: True),
    ):
        with pytest.raises(StorageDenied, match=f"{place} cannot be written: read-only file system") as caught:
            call()
        assert caught.value.hint == "set AWS_VAULT_FILE_DIR to a writable folder"
    assert store.get(KEY).value == Secret("x")
