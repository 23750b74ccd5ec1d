"""Files of this user: reading them safely, replacing them atomically, and locks."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vault_core import files
from vault_core.folders import Untrusted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def open_descriptors() -> int:
    return count_descriptors()


def count_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@contextmanager
def no_waiting() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.setitimer(signal.ITIMER_REAL, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "is_read"), [(0, True), (63, True), (64, True), (65, False), (1000, False)])
def test_read_file_above_limit_is_refused(size: int, is_read: bool, path: Path, open_descriptors: int) -> None:
    path.write_bytes(b"x" * size)
    if is_read:
        assert files.read(path, limit=64) == b"x" * size
    else:
        with pytest.raises(OSError, match="larger than 64 bytes"):
            files.read(path, limit=64)
    assert count_descriptors() == open_descriptors


def test_read_large_limit_is_named_in_mebibytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(OSError, match="larger than 2 MiB"):
        files.read(path, limit=2 << 20)


def test_read_file_that_grows_after_check_is_refused(path: Path) -> None:
    path.write_bytes(b"x")
    with pytest.raises(OSError, match="larger than 64 bytes"):
        files.read(path, limit=64, check=lambda _: path.write_bytes(b"x" * 100) and None)  # type: ignore[arg-type]  # what it returns is not used


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_read_proc_file_with_size_zero_is_limited() -> None:
    """Files below /proc report size 0, and some never end."""
    with pytest.raises(OSError, match="larger than 64 bytes"):
        files.read(Path("/proc/self/status"), limit=64)


def test_read_check_that_raises_closes_file(path: Path, open_descriptors: int) -> None:
    path.write_bytes(b"x")
    path.chmod(0o640)

    def refuse(status: os.stat_result) -> None:
        raise PermissionError(f"{status.st_mode & 0o777:o}")

    with pytest.raises(PermissionError, match="640"):
        files.read(path, limit=64, check=refuse)
    assert count_descriptors() == open_descriptors


def test_read_null_device_is_empty_other_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert files.read(Path(os.devnull), limit=64) == b""
    for special in (Path("/dev/zero"), tmp_path / "pipe"):
        with no_waiting(), pytest.raises(OSError, match="not an ordinary file"):
            files.read(special, limit=64)
    with pytest.raises(OSError, match="a directory"):
        files.read(tmp_path, limit=64)


def test_read_follows_link_unless_forbidden(path: Path) -> None:
    path.with_name("real").write_bytes(b"x")
    path.symlink_to("real")
    assert files.read(path, limit=1) == b"x"
    with pytest.raises(OSError, match="symbolic links"):
        files.read(path, limit=1, follow=False)


def test_dangling_link_names_link_without_target(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "good").symlink_to("folder")
    (tmp_path / "bad").symlink_to("gone")
    assert files.dangling_link(tmp_path / "absent") is None
    assert files.dangling_link(tmp_path / "good/absent") is None
    assert files.dangling_link(tmp_path / "bad") == tmp_path / "bad"
    assert files.dangling_link(tmp_path / "bad/file") == tmp_path / "bad"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_read_private_file_open_to_others_is_refused(path: Path, mode: int, open_descriptors: int) -> None:
    files.replace(path, b"x")
    path.chmod(mode)
    with pytest.raises(OSError, match="open to other users"):
        files.read_private(path, limit=9)
    assert count_descriptors() == open_descriptors


@pytest.mark.root("only root can give a file away")
def test_read_private_file_of_another_user_is_refused(path: Path) -> None:
    files.replace(path, b"x")
    os.chown(path, 65534, 65534)
    with pytest.raises(OSError, match="open to other users"):
        files.read_private(path, limit=9)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_read_private_special_file_is_refused_without_waiting(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir(mode=0o700)
    else:
        files.replace(path.with_name("real"), b"x")
        path.symlink_to("real")
    with no_waiting(), pytest.raises(OSError, match="file"):
        files.read_private(path, limit=9)


def test_read_private_file_above_limit_is_refused(path: Path) -> None:
    files.replace(path, b"x" * 10)
    with pytest.raises(OSError, match="larger than 9 bytes"):
        files.read_private(path, limit=9)


# -- writing -----------------------------------------------------------------------------------------------------------


def test_replace_then_read_returns_content(path: Path) -> None:
    for content in (b"one", b"", b"another"):
        files.replace(path, content)
        assert files.read_private(path, limit=7) == content
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o377])
def test_modes_are_private_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.replace(path, b"x")
        files.create(path.with_name("new"), b"x")
        files.replace(path.with_name("program"), b"x", mode=0o755)
        with files.held(path.with_name("lock"), timeout=0):
            pass
    finally:
        os.umask(before)
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert modes == {"file": 0o600, "new": 0o600, "program": 0o755, "lock": 0o600}


def test_replace_link_does_not_write_through_it(path: Path) -> None:
    path.with_name("victim").write_bytes(b"theirs")
    path.symlink_to("victim")
    files.replace(path, b"ours")
    assert (path.with_name("victim").read_bytes(), path.is_symlink()) == (b"theirs", False)


def test_create_existing_file_is_refused(path: Path) -> None:
    files.create(path, b"first")
    with pytest.raises(FileExistsError):
        files.create(path, b"second")
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("durable", [True, False])
def test_write_durable_syncs_file_and_then_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch, create: bool, durable: bool
) -> None:
    log = record_calls(monkeypatch)
    (files.create if create else files.replace)(path, b"x", durable=durable)
    placed = "link" if create else "rename"
    assert log == (["fsync file", placed, "fsync folder"] if durable else [placed])


def record_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The system calls that decide what is on the disk after a loss of power, in their order."""
    log: list[str] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def synced(descriptor: int) -> None:
        log.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", lambda *names, **more: (log.append("link"), link(*names, **more)))
    monkeypatch.setattr(os, "replace", lambda *names: (log.append("rename"), replace(*names)))
    return log


def test_write_durable_syncs_complete_content(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    files.replace(path, b"x" * 100, durable=True)
    assert sizes[0] == 100


def test_write_temporary_names_differ(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (names.append(Path(old).name), replace(old, new)))
    files.replace(path, b"x")
    files.replace(path, b"y")
    assert len(set(names)) == 2
    assert all(name.startswith(f".file.{os.getpid()}.") and name.endswith(".tmp") for name in names)


def test_write_planted_temporary_file_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    other = path.with_name("other")
    other.write_bytes(b"theirs")
    for plant in (lambda at: at.symlink_to(other), lambda at: at.hardlink_to(other)):
        planted = path.with_name(f".file.{os.getpid()}.00000000.tmp")
        plant(planted)
        with pytest.raises(FileExistsError):
            files.replace(path, b"secret")
        planted.unlink()
        assert other.read_bytes() == b"theirs"


def test_write_that_fails_keeps_old_content(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.replace(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "broken")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="broken"):
        files.replace(path, b"new", durable=True)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_is_older_looks_at_link_and_not_at_target(path: Path) -> None:
    path.symlink_to("absent")
    os.utime(path, (time.time() - 120,) * 2, follow_symlinks=False)
    assert files.is_older(path, 60)
    assert not files.is_older(path.with_name("absent"), 60)
    files.replace(path.with_name("absent"), b"x")
    assert files.is_older(path, 60)


def test_sweep_removes_abandoned_temporary_files_only(path: Path) -> None:
    for name, age in ((".file.1.aa.tmp", 120), (".file.2.bb.tmp", 0), ("file.tmp", 120), (".file", 120)):
        path.with_name(name).touch()
        os.utime(path.with_name(name), (time.time() - age,) * 2)
    files.sweep_temporary(path.parent)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".file", ".file.2.bb.tmp", "file.tmp"]


# -- locks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, 0.1, -1])
def test_held_lock_excludes_others_until_released(path: Path, timeout: float) -> None:
    with files.held(path, timeout=0), pytest.raises(TimeoutError), files.held(path, timeout=timeout):
        pytest.fail("held twice")
    with files.held(path, timeout=0):
        pass


def test_held_lock_is_released_by_exception(path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), files.held(path, timeout=0):
        raise ValueError("inside")
    with files.held(path, timeout=0):
        pass


def test_held_without_timeout_waits_for_holder(path: Path) -> None:
    order: list[str] = []

    def wait() -> None:
        with files.held(path, timeout=None):
            order.append("second")

    with files.held(path, timeout=0):
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.15)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_held_check_ends_waiting(path: Path) -> None:
    calls: list[float] = []

    def check() -> None:
        calls.append(time.monotonic())
        if len(calls) == 5:
            raise KeyError

    with files.held(path, timeout=0), pytest.raises(KeyError), files.held(path, timeout=20, check=check):
        pytest.fail("held twice")
    assert calls[-1] - calls[0] < 4  # at least once a second
    with files.held(path, timeout=0):
        pass


def test_held_lock_is_released_by_death(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from vault_core import files\n"
        "with files.held(Path(sys.argv[1]), timeout=0): print(flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program, path], stdin=pipe, stdout=pipe, env={}) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(TimeoutError), files.held(path, timeout=0):
            pytest.fail("held twice")
        holder.kill()
        with files.held(path, timeout=5):
            pass


def test_held_lock_in_open_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Untrusted), files.held(tmp_path / "open/lock", timeout=0):
        pytest.fail("held")


def test_held_lock_link_is_refused(path: Path) -> None:
    path.symlink_to("target")
    with pytest.raises(OSError, match="symbolic links"), files.held(path, timeout=0):
        pytest.fail("held")
    assert not path.with_name("target").exists()


def test_held_without_system_locks_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that stands for a lock would keep everybody out after its maker was killed."""

    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", missing)
    with pytest.raises(OSError, match="not implemented"), files.held(path, timeout=0):
        pytest.fail("held")
