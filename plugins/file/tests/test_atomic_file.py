"""S13, S14: one file without a store in it: what is used, what is left behind, in which order it is durable."""

from __future__ import annotations

import os
import signal
import socket
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest

from vault_core.api import StorageConflict, StorageCorrupt, StorageDenied, StorageUnavailable
from vault_plugin_file import atomic_file
from vault_plugin_file.atomic_file import AtomicFile, Unconfirmed
from vault_plugin_file.backup import read_copy, write_copy

LIMIT = 64


@pytest.fixture
def file(folder):
    folder.mkdir(mode=0o700)
    return AtomicFile(folder, "it", limit=LIMIT, patience=0.0)


def written(file, data=b"data", check=lambda: None):
    with file.locked(check) as locked:
        locked.replace(data)


def descriptors():
    return len(list(Path("/dev/fd").iterdir()))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("mode", [0o700, 0o610, 0o620, 0o640, 0o601, 0o602, 0o604])
def test_every_bit_of_others_refuses_the_file_and_none_of_its_owner(file, mode):
    written(file)
    file.path.chmod(mode)
    if mode == 0o700:
        assert file.read() == b"data"
        return
    with pytest.raises(StorageDenied, match="its group" if mode & 0o070 else "other users"):
        file.read()


@pytest.mark.parametrize("mode", [0o710, 0o720, 0o740, 0o701, 0o702, 0o704])
def test_every_bit_of_others_refuses_the_folder(file, mode):
    written(file)
    file.folder.chmod(mode)
    for use in (file.read, lambda: written(file)):
        with pytest.raises(StorageDenied, match="is accessible to"):
            use()


def test_a_folder_that_is_a_link_is_refused(file, tmp_path):
    written(file)
    link = tmp_path / "link"
    link.symlink_to(file.folder)
    for use in (AtomicFile(link, "it", limit=LIMIT).read, lambda: written(AtomicFile(link, "it", limit=LIMIT))):
        with pytest.raises(StorageDenied, match="is a symbolic link"):
            use()


def test_a_link_in_the_place_of_the_file_is_refused_and_replaced_by_a_write(file, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"other")
    target.chmod(0o600)
    file.path.symlink_to(target)
    with pytest.raises(StorageDenied, match="is a symbolic link"):
        file.read()
    written(file)
    assert (file.read(), target.read_bytes()) == (b"data", b"other")


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(file, alarm):
    os.mkfifo(file.path, 0o600)
    with alarm(), pytest.raises(StorageDenied, match="is a named pipe"):
        file.read()


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_another_user_is_refused(file, monkeypatch, what):
    written(file)
    if what == "file":
        monkeypatch.setattr(atomic_file.AtomicFile, "_open_folder", _unchecked(file))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StorageDenied, match="belongs to user id"):
        file.read()


def _unchecked(file):
    @contextmanager
    def opened(_self):
        fd = os.open(file.folder, os.O_RDONLY)
        try:
            yield fd
        finally:
            os.close(fd)

    return opened


def test_a_second_name_is_refused(file):
    written(file)
    os.link(file.path, file.folder / "other")
    with pytest.raises(StorageDenied, match="a second name"):
        file.read()


def test_as_many_bytes_as_the_limit_are_read_and_one_more_is_not(file):
    written(file, b"x" * LIMIT)
    assert file.read() == b"x" * LIMIT
    written(file, b"x" * (LIMIT + 1))
    with pytest.raises(StorageCorrupt, match=f"{LIMIT + 1} bytes, at most {LIMIT}"):
        file.read()


def test_a_file_that_is_far_too_long_is_not_read_at_all(file, monkeypatch):
    written(file, b"x" * (3 * 2**20))
    monkeypatch.setattr(os, "read", lambda fd, size: pytest.fail("it was read"))
    with pytest.raises(StorageCorrupt, match=f"{3 * 2**20} bytes"):
        file.read()


def test_a_file_that_grows_while_it_is_read_has_the_same_limit(file, monkeypatch):
    written(file)
    parts = [b"x" * 40, b"x" * 40, b"x" * 40, b""]
    monkeypatch.setattr(os, "read", lambda fd, size: parts.pop(0))
    with pytest.raises(StorageCorrupt, match="80 bytes"):
        file.read()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "socket"])
def test_a_lock_that_is_no_plain_file_is_refused_and_left(file, tmp_path, kind):
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


def test_the_lock_is_private_and_names_its_last_holder_only(file):
    lock = file.folder / "it.lock"
    lock.write_text("123456789012\n")
    lock.chmod(0o600)
    written(file)
    assert lock.read_text() == f"{os.getpid()}\n"
    lock.unlink()
    written(file)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


@pytest.mark.parametrize(("text", "holder"), [("", "another process"), ("12 3", "another process"), ("77\n", "77")])
def test_who_waits_learns_of_the_holder_and_looks_meanwhile_whether_to_go_on(file, text, holder):
    looked = []
    with file.locked(lambda: None):
        (file.folder / "it.lock").write_text(text)
        with pytest.raises(StorageUnavailable, match=f"locked by (process )?{holder} for more than 0 s"):
            written(file, check=lambda: looked.append(1))
    assert looked


def test_nothing_stays_open_and_the_lock_is_free_afterwards(file):
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


def test_only_what_a_writer_of_this_very_file_left_is_swept(file):
    stale = ".it.12.0123456789abcdef.tmp"
    others = [f"x{stale}", f"{stale}x", ".it.12.0123456789ABCDEF.tmp", ".other.12.0123456789abcdef.tmp", ".it.12.tmp"]
    for name in (stale, *others):
        (file.folder / name).touch()
    written(file)
    assert names(file.folder) == sorted([*others, "it", "it.lock"])


@pytest.mark.parametrize("at", ["write", "rename"])
def test_a_write_that_fails_leaves_no_temporary_file_and_the_old_content(file, monkeypatch, at):
    written(file, b"old")

    def fail(*_args, **_kwargs):
        raise OSError(5, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, at, fail)
        if at == "write":
            patch.setattr(os, "pwrite", lambda *_: 0)
        with pytest.raises(StorageUnavailable if at == "write" else Unconfirmed):
            written(file, b"new")
    assert file.read() == b"old"
    assert names(file.folder) == ["it", "it.lock"]


def test_a_short_write_goes_on_with_the_rest(file, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:3]))
    written(file, b"0123456789")
    assert file.read() == b"0123456789"


@pytest.fixture
def order(monkeypatch):
    """What is made durable, renamed and removed, in this order."""
    seen = []

    def durable(fd):
        mode = os.fstat(fd).st_mode
        seen.append("folder" if stat.S_ISDIR(mode) else f"file of {os.fstat(fd).st_size}")

    monkeypatch.setattr(atomic_file, "make_durable", durable)
    monkeypatch.setattr("vault_plugin_file.backup.make_durable", durable)
    for name in ("rename", "unlink", "link"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _n=name, _r=real, **k: (seen.append(_n), _r(*a, **k))[1])
    return seen


def test_the_content_is_durable_before_the_rename_and_the_folder_after_it(file, order):
    written(file)
    assert order == ["file of 4", "rename", "folder"]


def test_a_removal_is_durable(file, order):
    written(file)
    order.clear()
    with file.locked(lambda: None) as locked:
        locked.remove()
        locked.remove()
    assert order == ["unlink", "folder"] * 2


def test_every_new_folder_is_durable_in_the_one_above_it_and_private(tmp_path, order):
    file = AtomicFile(tmp_path / "a/b/c", "it", limit=LIMIT)
    mask = os.umask(0)
    try:
        with file.locked(lambda: None):
            pass
    finally:
        os.umask(mask)
    assert order == ["folder"] * 3
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")} == {0o700}


def test_what_cannot_be_made_durable_is_not_settled(file, monkeypatch):
    assert file.sync_folder()

    def fail(_fd):
        raise OSError(5, "broken")

    monkeypatch.setattr(atomic_file, "make_durable", fail)
    assert not file.sync_folder()


# -- backups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_backup_is_durable_private_and_leaves_no_other_name(tmp_path, order, overwrite):
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
def test_a_name_that_is_taken_by_a_link_to_nowhere_is_taken_without_links_too(tmp_path, monkeypatch, overwrite):
    def none(*_args, **_kwargs):
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
def test_a_pipe_in_the_place_of_a_backup_is_not_waited_for(tmp_path, alarm, written):
    os.mkfifo(tmp_path / "b")
    keeps = os.open(tmp_path / "b", os.O_RDWR) if written else None
    with alarm():
        assert read_copy(tmp_path / "b") == b""
    if keeps is not None:
        os.close(keeps)


def test_of_a_backup_no_more_is_read_than_shows_that_it_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("vault_plugin_file.vlt_file.MAX_FILE", 10)
    (tmp_path / "b").write_bytes(b"x" * 50)
    assert len(read_copy(tmp_path / "b")) == 11


@pytest.fixture
def alarm():
    """A context in which nothing may wait for a second."""

    def late(*_):
        raise AssertionError("it waits")

    @contextmanager
    def limited():
        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 2.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return limited
