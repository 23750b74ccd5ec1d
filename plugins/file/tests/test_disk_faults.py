"""S9, S11, S12: locks, failing and full disks, and what they leave behind."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.busy import seconds
from vault_core.api import Cancelled, Secret, StorageError, StorageUnavailable
from vault_core.testing.context import FakeContext
from vault_plugin_file import disk
from vault_plugin_file.backend import FileBackend

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the children here start no threads

KEY = "credentials/dev"
NOBODY = 65_534


@pytest.fixture
def made(opened, folder):
    """A store with one entry; its path."""
    opened().put(KEY, Secret("x"))
    return folder / "store.vlt"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def both(store):
    """A read and a write."""
    return (lambda: store.get(KEY), lambda: store.put(KEY, Secret("y")))


# -- locks -------------------------------------------------------------------------------------------------------------


HOLDER = """
import sys, time, pathlib
from vault_plugin_file.disk import SafeFile
with SafeFile(pathlib.Path(sys.argv[1]), "store.vlt", limit=1 << 24).locked(lambda: None):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(made, folder):
    """A process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}
    )
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_s12_a_stopped_holder_is_named(holder, opened, monkeypatch):
    monkeypatch.setattr(disk, "LOCK_SECONDS", 0.3)
    holder.send_signal(signal.SIGSTOP)
    assert opened().get(KEY).value == Secret("x")  # readers need no lock
    with pytest.raises(StorageUnavailable, match=f"has been locked by process {holder.pid} for") as caught:
        opened().put(KEY, Secret("y"))
    assert f"process {holder.pid}" in caught.value.hint


def test_a_killed_holder_leaves_no_lock(holder, opened):
    holder.kill()
    holder.wait()
    started = time.monotonic()
    opened().put(KEY, Secret("y"))
    assert time.monotonic() - started < seconds(2)


def test_waiting_can_be_cancelled(holder, opened, ctx, monkeypatch):
    def cancel():
        raise Cancelled("interrupted")

    monkeypatch.setattr(ctx, "check", cancel)
    with pytest.raises(Cancelled):
        opened().put(KEY, Secret("y"))


def test_the_limit_is_ten_seconds():
    assert disk.LOCK_SECONDS == 10


# -- S9, S11: failing writes -------------------------------------------------------------------------------------------

STALE = ".store.vlt.1234.0123456789abcdef.tmp"


def test_stale_temporary_files_are_swept_and_no_others(made, opened, folder):
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
def test_s9_errors_before_the_rename_change_nothing(made, opened, folder, snapshot, monkeypatch, call, error):
    before, real, failed = snapshot(), getattr(os, call), []

    def fail(*args, **more):
        first = args[0]
        ours = ".tmp" in str(first) if call == "open" else _is_temp(first)
        if ours and not failed:
            failed.append(first)
            if call == "close":
                real(first)
            raise OSError(error, os.strerror(error))
        return real(*args, **more)

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StorageError, match=r"store.vlt cannot be written, and is as it was: ") as caught:
        opened().put(KEY, Secret("y"))
    assert failed
    assert caught.value.hint
    assert os.strerror(error).lower() in caught.value.message
    assert snapshot() == before
    opened().put(KEY, Secret("z"))
    assert names(folder) == ["store.vlt", "store.vlt.lock"]


def _is_temp(fd):
    try:
        return Path(f"/proc/self/fd/{fd}").readlink().suffix == ".tmp"
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _needs_proc(request):
    if "s9_errors_before" in request.node.name and not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell descriptors apart")


def test_s9_short_writes(made, opened, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:100]))
    opened().put(KEY, Secret("y" * 5000))
    monkeypatch.undo()
    assert opened().get(KEY).value == Secret("y" * 5000)


def test_s9_the_order_of_calls(made, opened, monkeypatch):
    """Write, fsync of the file, rename, fsync of the folder: nothing else makes a write durable."""
    log = []
    for name in ("write", "fsync", "rename", "unlink"):
        real = getattr(os, name)

        def noted(*args, _name=name, _real=real, **more):
            kind = stat.S_ISDIR(os.fstat(args[0]).st_mode) if _name == "fsync" else None
            log.append({True: "fsync folder", False: "fsync file", None: _name}[kind])
            return _real(*args, **more)

        monkeypatch.setattr(os, name, noted)
    opened().put(KEY, Secret("y"))
    assert log == ["write", "fsync file", "rename", "fsync folder"] * 2  # the store, and only then its anchor


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EROFS, errno.EIO])
def test_s9_a_failing_rename_tells_what_is_on_disk(made, opened, snapshot, monkeypatch, error):
    before = snapshot()

    def fail(*args, **more):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(StorageUnavailable, match=r"failed at the end .*: the old state is on disk"):
        opened().put(KEY, Secret("y"))
    assert snapshot() == before


def test_s9_a_failing_fsync_of_the_folder_tells_what_is_on_disk(made, opened, monkeypatch):
    real = os.fsync

    def fail(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageUnavailable, match=re.escape("the new state (write 2) is on disk")):
        opened().put(KEY, Secret("y"))
    monkeypatch.undo()
    assert made.exists()


def test_s9_an_interrupt_leaves_no_temporary_file(made, opened, snapshot, monkeypatch):
    before = snapshot()

    def interrupt(fd):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        opened().put(KEY, Secret("y"))
    assert snapshot() == before


def test_s11_a_full_disk_loses_nothing(made, opened, folder, tmp_path, child):
    """A limit on the size of files stands for the full disk: no root is needed for it."""
    small = made.stat().st_size

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (small + 100, resource.RLIM_INFINITY))
        store = FileBackend(FakeContext(tmp_path, passphrases=["right"]), folder)
        try:
            store.put("credentials/large", Secret("x" * 5000))
        except StorageUnavailable as error:
            told = "cannot be written, and is as it was: file too large" in error.message
            return told and error.hint == "free some space, then repeat the command"
        return False

    before = made.read_bytes()
    assert child(work) == 0
    assert made.read_bytes() == before
    assert names(folder) == ["store.vlt", "store.vlt.lock"]
    assert opened().delete(KEY) is True


def fill(store):
    """Put entries until the disk is full; how many went in, and what was said then."""
    for count in range(100):
        try:
            store.put(f"credentials/{count}", Secret("x" * 400))
        except StorageUnavailable as error:
            return count, error.message
    return pytest.fail("it never was full")


def test_s11_a_small_file_system(tmp_path, ctx):
    mount = tmp_path / "small"
    mount.mkdir(mode=0o700)
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24k,mode=0700", "tmpfs", mount], capture_output=True
        ).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root")
    try:
        count, message = fill(FileBackend(ctx, mount))
        assert "cannot be written, and is as it was: no space left on device" in message
        fresh = FileBackend(ctx, mount)
        assert len(list(fresh.keys())) == count > 3
        assert names(mount) == ["store.vlt", "store.vlt.lock"]
        assert fresh.delete("credentials/0") is True
        assert len(list(FileBackend(ctx, mount).keys())) == count - 1
    finally:
        subprocess.run(["umount", mount], check=True)
