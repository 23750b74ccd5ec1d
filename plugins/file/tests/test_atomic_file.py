"""S13, S14: an atomic file without a store: accepted files, left-over files, and the order of its syncs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.file_store import names
from vault_core.api import StorageConflict, StorageCorrupt, StorageDenied, StorageUnavailable
from vault_plugin_file import atomic_file
from vault_plugin_file.atomic_file import AtomicFile, Unconfirmed
from vault_plugin_file.backup import read_copy, write_copy

LIMIT = 64


@pytest.fixture
def file(folder: Any) -> Any:
    folder.mkdir(mode=0o700)
    return AtomicFile(folder, "it", limit=LIMIT, patience=0.0)


def written(file: Any, data: bytes = b"data", check: Any = lambda: None) -> None:
    with file.locked(check) as locked:
        locked.replace(data)


def descriptors() -> Any:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("mode", [0o700, 0o610, 0o620, 0o640, 0o601, 0o602, 0o604])
def test_read_refuses_file_with_any_permission_of_others(file: Any, mode: Any) -> None:
    written(file)
    file.path.chmod(mode)
    if mode == 0o700:
        assert file.read() == b"data"
        return
    with pytest.raises(StorageDenied, match="its group" if mode & 0o070 else "other users"):
        file.read()


@pytest.mark.parametrize("mode", [0o710, 0o720, 0o740, 0o701, 0o702, 0o704])
def test_folder_with_any_permission_of_others_is_refused(file: Any, mode: Any) -> None:
    written(file)
    file.folder.chmod(mode)
    for use in (file.read, lambda: written(file)):
        with pytest.raises(StorageDenied, match="is accessible to"):
            use()


def test_folder_that_is_a_symlink_is_refused(file: Any, tmp_path: Path) -> None:
    written(file)
    link = tmp_path / "link"
    link.symlink_to(file.folder)
    for use in (AtomicFile(link, "it", limit=LIMIT).read, lambda: written(AtomicFile(link, "it", limit=LIMIT))):
        with pytest.raises(StorageDenied, match="is a symbolic link"):
            use()


def test_symlink_is_refused_by_read_and_replaced_by_write(file: Any, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"other")
    target.chmod(0o600)
    file.path.symlink_to(target)
    with pytest.raises(StorageDenied, match="is a symbolic link"):
        file.read()
    written(file)
    assert (file.read(), target.read_bytes()) == (b"data", b"other")


def test_read_of_named_pipe_does_not_block(file: Any, alarm: Any) -> None:
    os.mkfifo(file.path, 0o600)
    with alarm(), pytest.raises(StorageDenied, match="is a named pipe"):
        file.read()


@pytest.mark.parametrize("what", ["folder", "file"])
def test_file_or_folder_of_another_user_is_refused(file: Any, monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    written(file)
    if what == "file":
        monkeypatch.setattr(atomic_file.AtomicFile, "_open_folder", _unchecked(file))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StorageDenied, match="belongs to user id"):
        file.read()


def _unchecked(file: Any) -> Any:
    @contextmanager
    def opened(_self: Any) -> Iterator[Any]:
        fd = os.open(file.folder, os.O_RDONLY)
        try:
            yield fd
        finally:
            os.close(fd)

    return opened


def test_file_with_hard_link_is_refused(file: Any) -> None:
    written(file)
    os.link(file.path, file.folder / "other")
    with pytest.raises(StorageDenied, match="a second name"):
        file.read()


def test_read_accepts_limit_and_refuses_one_byte_more(file: Any) -> None:
    written(file, b"x" * LIMIT)
    assert file.read() == b"x" * LIMIT
    written(file, b"x" * (LIMIT + 1))
    with pytest.raises(StorageCorrupt, match=f"{LIMIT + 1} bytes, at most {LIMIT}"):
        file.read()


def test_read_of_far_too_large_file_reads_nothing(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written(file, b"x" * (3 * 2**20))
    monkeypatch.setattr(os, "read", lambda fd, size: pytest.fail("it was read"))
    with pytest.raises(StorageCorrupt, match=f"{3 * 2**20} bytes"):
        file.read()


def test_read_limits_file_that_grows_meanwhile(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written(file)
    parts = [b"x" * 40, b"x" * 40, b"x" * 40, b""]
    monkeypatch.setattr(os, "read", lambda fd, size: parts.pop(0))
    with pytest.raises(StorageCorrupt, match="80 bytes"):
        file.read()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "socket"])
def test_lock_that_is_not_a_regular_file_is_refused_and_kept(file: Any, tmp_path: Path, kind: Any) -> None:
    lock, target = file.folder / "it.lock", tmp_path / "target"
    match kind:
        case "link":
            lock.symlink_to(target)
        case "folder":
            lock.mkdir()
        case "pipe":
            os.mkfifo(lock)
        case "socket":
            if len(os.fsencode(lock)) > 100:
                pytest.skip("the path is too long for a socket")
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(lock))
    before = lock.lstat().st_mode, descriptors()
    with pytest.raises(StorageDenied, match="is not a regular file"):
        written(file)
    assert (lock.lstat().st_mode, descriptors()) == before
    assert not target.exists()
    assert not file.path.exists()


def test_lock_file_is_private_and_names_last_holder(file: Any) -> None:
    lock = file.folder / "it.lock"
    lock.write_text("123456789012\n")
    lock.chmod(0o600)
    written(file)
    assert lock.read_text() == f"{os.getpid()}\n"
    lock.unlink()
    written(file)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


@pytest.mark.parametrize(("text", "holder"), [("", "another process"), ("12 3", "another process"), ("77\n", "77")])
def test_lock_timeout_names_holder_and_calls_check(file: Any, text: Any, holder: Any) -> None:
    looked = []
    with file.locked(lambda: None):
        (file.folder / "it.lock").write_text(text)
        with pytest.raises(StorageUnavailable, match=f"locked by (process )?{holder} for more than 0 s"):
            written(file, check=lambda: looked.append(1))
    assert looked


def test_lock_is_released_and_descriptors_are_closed(file: Any) -> None:
    written(file)
    before = descriptors()
    for _ in range(3):
        file.read()
        written(file)
        with pytest.raises(RuntimeError), file.locked(lambda: None):
            raise RuntimeError
    with file.locked(lambda: None) as locked:
        locked.remove()
    assert file.read() is None
    assert descriptors() == before


def test_sweep_removes_only_temporary_files_of_this_file(file: Any) -> None:
    stale = ".it.12.0123456789abcdef.tmp"
    others = [f"x{stale}", f"{stale}x", ".it.12.0123456789ABCDEF.tmp", ".other.12.0123456789abcdef.tmp", ".it.12.tmp"]
    for name in (stale, *others):
        (file.folder / name).touch()
    written(file)
    assert names(file.folder) == sorted([*others, "it", "it.lock"])


@pytest.mark.parametrize("at", ["write", "rename"])
def test_failed_write_keeps_old_content_and_no_temporary_file(
    file: Any, monkeypatch: pytest.MonkeyPatch, at: Any
) -> None:
    written(file, b"old")

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise OSError(5, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, at, fail)
        if at == "write":
            patch.setattr(os, "pwrite", lambda *_: 0)
        with pytest.raises(StorageUnavailable if at == "write" else Unconfirmed):
            written(file, b"new")
    assert file.read() == b"old"
    assert names(file.folder) == ["it", "it.lock"]


def test_short_write_is_continued(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:3]))
    written(file, b"0123456789")
    assert file.read() == b"0123456789"


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The calls that sync, rename and remove, in order."""
    seen = []

    def durable(fd: Any) -> None:
        mode = os.fstat(fd).st_mode
        seen.append("folder" if stat.S_ISDIR(mode) else f"file of {os.fstat(fd).st_size}")

    monkeypatch.setattr(atomic_file, "make_durable", durable)
    monkeypatch.setattr("vault_plugin_file.backup.make_durable", durable)
    for name in ("rename", "unlink", "link"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _n=name, _r=real, **k: (seen.append(_n), _r(*a, **k))[1])
    return seen


def test_replace_syncs_content_before_and_folder_after_rename(file: Any, order: Any) -> None:
    written(file)
    assert order == ["file of 4", "rename", "folder"]


def test_remove_syncs_folder(file: Any, order: Any) -> None:
    written(file)
    order.clear()
    with file.locked(lambda: None) as locked:
        locked.remove()
        locked.remove()
    assert order == ["unlink", "folder"] * 2


def test_new_folders_are_private_and_synced_in_parent(tmp_path: Path, order: Any) -> None:
    file = AtomicFile(tmp_path / "a/b/c", "it", limit=LIMIT)
    mask = os.umask(0)
    try:
        with file.locked(lambda: None):
            pass
    finally:
        os.umask(mask)
    assert order == ["folder"] * 3
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")} == {0o700}


def test_sync_folder_returns_false_on_error(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.sync_folder()

    def fail(_fd: Any) -> Any:
        raise OSError(5, "broken")

    monkeypatch.setattr(atomic_file, "make_durable", fail)
    assert not file.sync_folder()


# -- backups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_write_copy_is_private_synced_and_leaves_no_temporary_file(tmp_path: Path, order: Any, overwrite: Any) -> None:
    target = tmp_path / "out" / "b"
    target.parent.mkdir()
    before = descriptors()
    mask = os.umask(0)
    try:
        write_copy(target, b"data", overwrite=overwrite)
    finally:
        os.umask(mask)
    assert order[:3] == ["file of 4", "rename" if overwrite else "link", "folder"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (names(target.parent), descriptors()) == (["b"], before)


@pytest.mark.parametrize("overwrite", [False, True])
def test_write_copy_without_hard_links_refuses_dangling_symlink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: Any
) -> None:
    def none(*_args: Any, **_kwargs: Any) -> Any:
        raise OSError(95, "no links here")

    monkeypatch.setattr(os, "link", none)
    target = tmp_path / "b"
    target.symlink_to(tmp_path / "nowhere")
    if overwrite:
        write_copy(target, b"new", overwrite=True)
        assert target.read_bytes() == b"new"
        assert not target.is_symlink()
    else:
        with pytest.raises(StorageConflict):
            write_copy(target, b"new", overwrite=False)
        assert target.is_symlink()
    assert names(tmp_path) == ["b"]


@pytest.mark.parametrize("written", [False, True])
def test_read_copy_of_named_pipe_does_not_block(tmp_path: Path, alarm: Any, written: Any) -> None:
    os.mkfifo(tmp_path / "b")
    keeps = os.open(tmp_path / "b", os.O_RDWR) if written else None
    with alarm():
        assert read_copy(tmp_path / "b") == b""
    if keeps is not None:
        os.close(keeps)


def test_read_copy_reads_at_most_one_byte_over_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault_plugin_file.vlt_file.MAX_FILE", 10)
    (tmp_path / "b").write_bytes(b"x" * 50)
    assert len(read_copy(tmp_path / "b")) == 11


@pytest.fixture
def alarm() -> Any:
    """A context in which a wait of a second fails the test."""

    def late(*_: Any) -> Any:
        raise AssertionError("it waits")

    @contextmanager
    def limited() -> Iterator[None]:
        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 2.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return limited


@pytest.mark.parametrize("name", ["a" * 255, "北" * 85], ids=["ASCII", "three bytes each"])
def test_write_copy_to_the_longest_file_name_succeeds(name: str, tmp_path: Path) -> None:
    write_copy(tmp_path / name, b"data", overwrite=False)
    assert (tmp_path / name).read_bytes() == b"data"


def test_temporary_file_of_a_killed_writer_is_swept_by_the_next(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    written(file)
    with monkeypatch.context() as patch, contextlib.suppress(BaseException):
        patch.setattr(os, "rename", killed)
        patch.setattr(os, "unlink", killed)
        written(file)
    assert [path.suffix for path in file.folder.iterdir() if path.suffix == ".tmp"] == [".tmp"]
    written(file)
    assert [path.name for path in file.folder.iterdir() if path.suffix == ".tmp"] == []
