"""Private files: whole or not at all, for their owner alone, and read only if they are that."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from vault_core import files
from vault_core.folders import Untrusted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_what_is_written_is_read(path: Path) -> None:
    for content in (b"one", b"", b"another"):
        files.write(path, content)
        assert files.read(path, limit=7) == content
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o377])
def test_a_file_is_for_its_owner_alone_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.write(path, b"x")
        with files.lock(path.with_name("lock")):
            pass
    finally:
        os.umask(before)
    assert [stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()] == [0o600] * 2


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_file_that_others_can_open_is_not_read(path: Path, mode: int) -> None:
    files.write(path, b"x")
    path.chmod(mode)
    with pytest.raises(OSError, match="is open to others"):
        files.read(path, limit=9)


@pytest.mark.root("only root can give a file away")
def test_a_file_of_somebody_else_is_not_read(path: Path) -> None:
    files.write(path, b"x")
    os.chown(path, 65534, 65534)
    with pytest.raises(OSError, match="is open to others"):
        files.read(path, limit=9)


@pytest.mark.parametrize("what", ["pipe", "folder", "link"])
def test_what_is_no_file_is_neither_read_nor_waited_for(path: Path, what: str) -> None:
    if what == "pipe":
        os.mkfifo(path, 0o600)
    elif what == "folder":
        path.mkdir(mode=0o700)
    else:
        files.write(path.with_name("real"), b"x")
        path.symlink_to("real")
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it was waited for"))
    signal.setitimer(signal.ITIMER_REAL, 5)
    try:
        with pytest.raises(OSError, match="file"):
            files.read(path, limit=9)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_file_that_is_too_long_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)
    path.chmod(0o600)
    with pytest.raises(OSError, match="longer than 9 bytes"):
        files.read(path, limit=9)


def test_nothing_stays_open_of_what_is_read_or_refused(path: Path) -> None:
    files.write(path, b"x")
    before = len(list(Path("/dev/fd").iterdir()))
    files.read(path, limit=1)
    path.chmod(0o644)
    with pytest.raises(OSError, match="is open to others"):
        files.read(path, limit=1)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_link_is_replaced_and_not_written_through(path: Path) -> None:
    path.with_name("victim").write_bytes(b"theirs")
    path.symlink_to("victim")
    files.write(path, b"ours")
    assert (path.with_name("victim").read_bytes(), path.is_symlink()) == (b"theirs", False)


def test_only_where_there_is_none(path: Path) -> None:
    files.write(path, b"first", replace=False)
    with pytest.raises(FileExistsError):
        files.write(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("durable", [True, False])
def test_the_order_of_calls(path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool, durable: bool) -> None:
    log = calls(monkeypatch)
    files.write(path, b"x", replace=replace, durable=durable)
    placed = "rename" if replace else "link"
    assert log == (["fsync file", placed, "fsync folder"] if durable else [placed])


def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the system calls that decide what is on the disk after a loss of power, as they happen."""
    log: list[str] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def synced(descriptor: int) -> None:
        log.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", lambda *names, **more: (log.append("link"), link(*names, **more)))
    monkeypatch.setattr(os, "replace", lambda *names: (log.append("rename"), replace(*names)))
    return log


def test_all_of_it_is_there_when_it_is_made_durable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    files.write(path, b"x" * 100, durable=True)
    assert sizes[0] == 100


def test_two_writers_of_one_file_do_not_share_a_temporary_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (names.append(Path(old).name), replace(old, new)))
    files.write(path, b"x")
    files.write(path, b"y")
    assert len(set(names)) == 2
    assert all(name.startswith(f".file.{os.getpid()}.") and name.endswith(".tmp") for name in names)


def test_what_somebody_puts_in_the_place_of_a_temporary_file_is_not_written_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "guessed")  # type: ignore[attr-defined]
    other = path.with_name("other")
    other.write_bytes(b"theirs")
    for plant in (lambda at: at.symlink_to(other), lambda at: at.hardlink_to(other)):
        planted = path.with_name(f".file.{os.getpid()}.guessed.tmp")
        plant(planted)
        with pytest.raises(FileExistsError):
            files.write(path, b"secret")
        planted.unlink()
        assert other.read_bytes() == b"theirs"


def test_the_age_of_a_link_is_its_own_and_what_is_absent_is_not_old(path: Path) -> None:
    path.symlink_to("absent")
    os.utime(path, (time.time() - 120,) * 2, follow_symlinks=False)
    assert files.older(path, 60)
    assert not files.older(path.with_name("absent"), 60)
    files.write(path.with_name("absent"), b"x")
    assert files.older(path, 60)


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(path: Path) -> None:
    for name, age in ((".file.1.aa.tmp", 120), (".file.2.bb.tmp", 0), ("file.tmp", 120), (".file", 120)):
        path.with_name(name).touch()
        os.utime(path.with_name(name), (time.time() - age,) * 2)
    files.sweep_temporary(path.parent)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".file", ".file.2.bb.tmp", "file.tmp"]


def test_a_write_that_fails_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "broken")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="broken"):
        files.write(path, b"new", durable=True)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_lock_keeps_others_out_until_it_is_let_go(path: Path) -> None:
    with files.lock(path), pytest.raises(TimeoutError):
        files.lock(path).acquire(timeout=0)
    with files.lock(path).acquire(timeout=0):
        pass


def test_a_lock_lies_in_a_private_folder(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Untrusted):
        files.lock(tmp_path / "open/lock")


def test_where_the_system_has_no_locks_there_is_none_that_outlives_its_holder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that stands for a lock would keep everybody out once its maker was killed."""

    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", missing)
    lock = files.lock(path)
    with pytest.raises(OSError, match="not implemented"):
        lock.acquire(timeout=0)
    assert not lock.is_locked
