"""S13, S14: owners, modes and kinds of the files in the folder, and folders that cannot be written."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from support.busy import seconds
from support.file_store import read_and_write
from vault_core.api import Secret, StorageCorrupt, StorageDenied, StorageUnavailable
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the children here start no threads

KEY = "credentials/dev"
NOBODY = 65_534


# -- S13: permissions and kinds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "umask",
    [
        *(0o000, 0o022, 0o077),
        pytest.param(0o777, marks=pytest.mark.root("under umask 0777 only root can go on with what it makes")),
    ],
)
def test_s13_created_modes_are_exact(child: Any, folder: Any, tmp_path: Path, umask: Any) -> None:
    def work() -> Any:
        FileBackend(FakeContext(tmp_path, passphrases=["right"]), folder / "deep").put(KEY, Secret("x"))
        return True

    assert child(work, umask=umask) == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    if umask == 0o777:
        assert modes["store.vlt"] == 0o600
    else:
        assert modes == {"store": 0o700, "deep": 0o700, "store.vlt": 0o600, "store.vlt.lock": 0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o601, 0o620])
def test_s13_file_accessible_to_others_is_refused(one_entry: Any, opened: Any, mode: Any, snapshot: Any) -> None:
    one_entry.chmod(mode)
    before = snapshot()
    for call in read_and_write(opened()):
        with pytest.raises(StorageDenied, match=f"store.vlt is accessible to .* \\(mode {mode:04o}\\)") as caught:
            call()
        assert caught.value.hint.endswith(f"chmod 600 {one_entry}")
        assert caught.value.exit_code == 4
    assert snapshot() == before


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_s13_folder_accessible_to_others_is_refused(one_entry: Any, opened: Any, folder: Any, mode: Any) -> None:
    folder.chmod(mode)
    for call in read_and_write(opened()):
        with pytest.raises(StorageDenied, match=f"{folder} is accessible to .* \\(mode {mode:04o}\\)") as caught:
            call()
        assert caught.value.hint.endswith(f"chmod 700 {folder}")


@pytest.mark.root("only root can give a file away")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_s13_file_or_folder_of_another_owner_is_refused(one_entry: Any, opened: Any, folder: Any, which: Any) -> None:
    path = one_entry if which == "file" else folder
    os.chown(path, NOBODY, -1)
    for call in read_and_write(opened()):
        with pytest.raises(StorageDenied, match=f"{path} belongs to user id {NOBODY}, and you are 0"):
            call()


@pytest.mark.root("only root can become another user")
def test_s13_store_is_unreadable_for_another_user(
    one_entry: Any, tmp_path: Path, child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # so that only the store's own folder can be what stops the other user

    def work() -> Any:
        try:
            FileBackend(FakeContext(tmp_path, passphrases=["right"]), Path("store")).get(KEY)
        except StorageDenied as error:
            return error.message == "store cannot be opened: permission denied"
        return False

    assert child(work, user=NOBODY) == 0


def test_s13_symlinked_file_is_refused(one_entry: Any, opened: Any, folder: Any, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.mkdir()
    one_entry.rename(real / "store.vlt")
    one_entry.symlink_to(real / "store.vlt")
    for call in read_and_write(opened()):
        with pytest.raises(StorageDenied, match="is a symbolic link") as caught:
            call()
        assert caught.value.hint.endswith(f"AWS_VAULT_FILE_DIR={real}")
    assert one_entry.is_symlink()


def test_s13_dangling_symlink_is_refused(folder: Any, opened: Any) -> None:
    folder.mkdir(mode=0o700)
    (folder / "store.vlt").symlink_to(folder / "nowhere")
    for call in read_and_write(opened()):
        with pytest.raises(StorageDenied, match="is a symbolic link"):
            call()
    assert not (folder / "nowhere").exists()


def test_s13_symlinked_folder_is_refused(one_entry: Any, ctx: FakeContext, folder: Any, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    for call in read_and_write(FileBackend(ctx, link)):
        with pytest.raises(StorageDenied, match=f"{link} is a symbolic link") as caught:
            call()
        assert caught.value.hint.endswith(f"AWS_VAULT_FILE_DIR={folder}")


def test_s13_lock_that_is_not_a_regular_file_is_refused(
    one_entry: Any, opened: Any, folder: Any, tmp_path: Path
) -> None:
    lock, target = folder / "store.vlt.lock", tmp_path / "target"
    target.write_text("precious")
    for make in (lambda: lock.symlink_to(target), lock.mkdir, lambda: os.mkfifo(lock)):
        lock.unlink() if not lock.is_dir() else lock.rmdir()
        make()
        with pytest.raises(StorageDenied, match=r"store.vlt.lock is not a regular file"):
            opened().put(KEY, Secret("y"))
        assert opened().get(KEY).value == Secret("x")
    assert target.read_text() == "precious"


def test_s13_symlinked_temporary_file_is_not_followed(
    one_entry: Any, opened: Any, folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attacker guesses its name and creates a symlink there: the target is not written."""
    target = tmp_path / "target"
    target.write_text("precious")
    real = os.urandom
    monkeypatch.setattr(os, "urandom", lambda count: bytes(8) if count == 8 else real(count))
    store = opened()
    store.get(KEY)
    real_open = os.open

    def planted(path: Any, flags: Any, *rest: Any, **more: Any) -> Any:
        if str(path).endswith(".tmp") and str(path).startswith(".store"):
            (folder / path).symlink_to(target)  # after old ones were swept away
        return real_open(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", planted)
    with pytest.raises(StorageUnavailable, match="was not changed: file exists"):
        store.put(KEY, Secret("y"))
    assert target.read_text() == "precious"
    assert opened().get(KEY).value == Secret("x")


def test_s13_hard_linked_file_is_refused(one_entry: Any, opened: Any, tmp_path: Path) -> None:
    os.link(one_entry, tmp_path / "second")
    for call in read_and_write(opened()):
        with pytest.raises(StorageDenied, match="has a second name"):
            call()


def listen(path: Any) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a named pipe"),
        (listen, "a socket"),
        pytest.param(
            lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5)),
            "a device",
            marks=pytest.mark.root("only root can make a device"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_s13_file_of_other_kind_is_refused(
    opened: Any, folder: Any, monkeypatch: pytest.MonkeyPatch, make: Any, kind: Any
) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)  # a socket's path may have some hundred bytes only
    make(folder / "store.vlt")
    for call in read_and_write(opened()):
        with pytest.raises(StorageDenied, match=f"store.vlt is {kind}, not a regular file"):
            call()


def test_s13_too_large_file_is_refused(one_entry: Any, opened: Any) -> None:
    with one_entry.open("r+b") as file:
        file.truncate(10 * 2**30)
    for call in read_and_write(opened()):
        started = time.monotonic()
        with pytest.raises(StorageCorrupt, match="is too large"):
            call()
        assert time.monotonic() - started < seconds(1)
    with one_entry.open("r+b") as file:
        file.truncate(vlt_file.MAX_FILE)
    with pytest.raises(StorageCorrupt, match="is damaged"):
        opened().get(KEY)


def test_s13_read_of_file_replaced_after_open_succeeds(
    one_entry: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced between open and fstat: the opened one has no name any more, and is still valid."""
    real, seen = os.fstat, []

    def late(fd: Any) -> Any:
        if not seen and os.path.samestat(real(fd), before):
            seen.append(fd)
            opened().put(KEY, Secret("newer"))
            assert real(fd).st_nlink == 0
        return real(fd)

    reader = opened()
    reader.get(KEY)
    before = one_entry.stat()
    monkeypatch.setattr(os, "fstat", late)
    assert reader.get(KEY).value == Secret("x")
    assert reader.get(KEY).value == Secret("newer")


# -- S14: where it cannot write ----------------------------------------------------------------------------------------


def test_s14_missing_folder_is_created_by_write_only(ctx: FakeContext, tmp_path: Path) -> None:
    """A read or a deletion creates nothing."""
    folder = tmp_path / "no" / "such"
    store = FileBackend(ctx, folder)
    assert (store.get(KEY), list(store.keys()), store.delete(KEY)) == (None, [], False)
    assert not folder.parent.exists()
    store.put(KEY, Secret("x"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder)] == [0o700, 0o700]


def test_s14_folder_that_is_a_file_is_refused(tmp_path: Path, ctx: FakeContext) -> None:
    (tmp_path / "file").write_text("x")
    for call in read_and_write(FileBackend(ctx, tmp_path / "file")):
        with pytest.raises(StorageDenied, match="file is not a folder"):
            call()


def test_s14_read_only_folder_is_readable_and_refuses_writes(
    one_entry: Any, folder: Any, tmp_path: Path, child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads work, writes report the reason; as an ordinary user, because permissions do not bind root."""
    user = None
    if os.geteuid() == 0:
        user = NOBODY
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        tmp_path.chmod(0o755)
    (folder / "store.vlt.lock").unlink()
    folder.chmod(0o500)

    monkeypatch.chdir(tmp_path)  # the folders above may be closed to the other user

    def work() -> Any:
        store = FileBackend(FakeContext(tmp_path, passphrases=["right"]), Path("store"))
        read = store.get(KEY).value == Secret("x")
        try:
            store.put(KEY, Secret("y"))
        except StorageDenied as error:
            return read and "cannot be written: permission denied" in error.message
        return False

    status = child(work, user=user)
    folder.chmod(0o700)
    assert status == 0


def test_s14_folder_removed_while_waiting_is_an_error(
    one_entry: Any, opened: Any, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is removed between the lock and the rename: an error, and no file elsewhere."""
    real = os.rename

    def late(*args: Any, **more: Any) -> Any:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        return real(*args, **more)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(StorageUnavailable, match="failed at the end"):
        opened().put(KEY, Secret("y"))
    assert not folder.exists()
