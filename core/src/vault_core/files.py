"""Files of this user: read one safely, replace one atomically, hold a lock, make a private folder.

Nothing here follows an environment variable or the umask: a private file is 0600 and a folder is 0700. Whether other
users could exchange a folder is checked in :mod:`vault_core.folders`.
"""

import os
import stat
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from vault_core import consulted, folders

_ABANDONED_AFTER = 60.0
"""Seconds after which a temporary file belongs to a process that was killed: a write takes milliseconds."""
_PART = 1 << 16
"""Bytes to read at a time beyond a file's size; the size in /proc is 0."""
_POLL = 0.02
"""Seconds between two attempts to take a lock."""


def read(
    path: Path, *, limit: int, check: Callable[[os.stat_result], None] = lambda _: None, follow: bool = True
) -> bytes:
    """The content of an ordinary file; the null device is empty. The call never waits for a named pipe.

    :param limit: the maximum size in bytes.
    :param check: called with the status of the open file before it is read; may raise.
    :param follow: follow a symbolic link in the last component of the path.
    :raises FileNotFoundError: the file does not exist.
    :raises OSError: it cannot be read, is not an ordinary file, or is too large; ``strerror`` has the reason.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        consulted.note("n", path, None)
        raise
    except OSError:
        consulted.look("f" if follow else "n", path)
        raise
    try:
        status = os.fstat(descriptor)
        consulted.note("f" if follow else "n", path, status)
        check(status)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == Path(os.devnull).stat().st_rdev:
            return b""
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not an ordinary file"
            raise OSError(None, f"it is {kind}", str(path))
        data = b"" if status.st_size > limit else _content(descriptor, status.st_size, limit + 1)
        if status.st_size > limit or len(data) > limit:  # the size in /proc is 0
            size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit} bytes"
            raise OSError(None, f"it is larger than {size}", str(path))
        return data
    finally:
        os.close(descriptor)


def _content(descriptor: int, expected: int, most: int) -> bytes:
    """What can be read of a file, up to so many bytes: a file object would ask the system as often again."""
    data = os.read(descriptor, min(expected + 1, most))
    while len(data) < most and (more := os.read(descriptor, min(_PART, most - len(data)))):
        data += more
    return data


def read_private(path: Path, *, limit: int) -> bytes:
    """The content of a file that only this user can open. A symbolic link is refused.

    :param limit: the maximum size in bytes.
    :raises FileNotFoundError: the file does not exist.
    :raises OSError: as :func:`read`; or another user owns the file or may open it.
    """

    def check(status: os.stat_result) -> None:
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise OSError(None, "it is open to other users", str(path))

    return read(path, limit=limit, check=check, follow=False)


def dangling_link(path: Path) -> Path | None:
    """The symbolic link without a target because of which a file does not exist; None where there is none."""
    return next((link for link in (path, *path.parents) if link.is_symlink() and not link.exists()), None)


def replace(
    path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False, modified: float | None = None
) -> None:
    """Write a file atomically: a reader sees the old content or the new one. A symbolic link is replaced, and the
    folder is made.

    :param mode: the permissions, whatever the umask.
    :param durable: the new content survives a loss of power after this call returns.
    :param modified: the file's time of modification, in seconds since 1970; default: now.
    :raises OSError: it cannot be written; the old content is unchanged.
    """
    _write(path, data, mode, durable, Path.replace, modified)


def create(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Write a new file as :func:`replace` does.

    :raises FileExistsError: the path exists; it is unchanged.
    :raises OSError: it cannot be written.
    """
    _write(path, data, mode, durable, os.link)


def _write(
    path: Path,
    data: bytes,
    mode: int,
    durable: bool,
    place: Callable[[Path, Path], object],
    modified: float | None = None,
) -> None:
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            if modified is not None:
                os.utime(descriptor, (modified, modified))
            if durable:
                os.fsync(descriptor)
        place(temporary, path)
    finally:
        with suppress(FileNotFoundError):  # it was renamed
            temporary.unlink()
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable, after a rename for example."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_temporary(folder: Path) -> None:
    """Remove the temporary files of processes that were killed during :func:`replace` or :func:`create`."""
    for path in folder.glob(".*.tmp"):
        if is_older(path, _ABANDONED_AFTER):
            with suppress(OSError):
                path.unlink()


def is_older(path: Path, seconds: float) -> bool:
    """Whether a file exists and was last written more than ``seconds`` ago."""
    try:
        return path.lstat().st_mtime < time.time() - seconds
    except OSError:
        return False


def make_folder(folder: Path, *, secret: bool = False) -> None:
    """Make a folder and its missing parents with mode 0700, whatever the umask, and check it.

    :param secret: see :func:`vault_core.folders.check`.
    :raises vault_core.folders.Untrusted: another user could have made the folder, or can change it.
    :raises OSError: it cannot be made.
    """
    folders.check(folder, secret=secret)
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    for path in reversed(missing):
        _make_folder(path)
    if missing:  # another process may have made one of them first
        folders.check(folder, secret=secret)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    # Through a descriptor: a link that replaces the folder meanwhile is not followed.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def held(
    path: Path, *, timeout: float | None, check: Callable[[], None] = lambda: None
) -> AbstractContextManager[object]:
    """Take a lock file exclusively among the processes of this user, until the end of the ``with`` block. The death of
    the process releases it, too.

    :param path: the lock file, 0600; its folder is made. It is not removed afterwards.
    :param timeout: how long to wait for another holder, in seconds; 0 tries once, None waits for ever.
    :param check: called on each attempt; what it raises ends the waiting.
    :raises TimeoutError: another process, or another thread, still holds the lock.
    :raises OSError: the folder is not private, or the file system cannot lock.
    """
    from filelock import FileLock

    def cancelled() -> bool:
        check()
        return False

    make_folder(path.parent)
    # A soft lock, which filelock would use where the system cannot lock, outlives its holder.
    lock = FileLock(path, mode=0o600, poll_interval=_POLL, fallback_to_soft=False)
    return lock.acquire(timeout=-1 if timeout is None else max(timeout, 0), cancel_check=cancelled)
