"""A small file that is replaced atomically, in a private folder.

Readers take no lock and see the old file or the new one. A writer holds an OS lock, which is released when the process
dies; it writes a temporary file in the same folder, syncs it, renames it and syncs the folder. Symbolic links are not
followed. A file or folder that another user owns, or can read or write, is refused. The content is opaque here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shlex
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vault_core.api import StorageCorrupt, StorageDenied, StorageError, StorageUnavailable

LOCK_SECONDS = 10.0
"""How long a writer waits for the lock."""
_POLL = 0.02
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a FIFO must not block
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TEMP_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


class Unconfirmed(Exception):
    """The rename, or a step after it, failed: the new file may or may not be in place."""


class AtomicFile:
    """The file ``name`` in ``folder``.

    :param limit: the maximum size in bytes.
    :param patience: how long a writer waits for the lock, in seconds; None: :data:`LOCK_SECONDS`.
    """

    def __init__(self, folder: Path, name: str, *, limit: int, patience: float | None = None) -> None:
        self.folder = folder
        self.path = folder / name
        self._name = name
        self._limit = limit
        self._patience = patience

    def read(self) -> bytes | None:
        """The content; None if the file or its folder does not exist.

        :raises StorageDenied: it is not a regular file that only this user owns and can access.
        :raises StorageCorrupt: it is too large.
        :raises StorageUnavailable: the system cannot read it.
        """
        with self._open_folder() as folder:
            return None if folder is None else self._read(folder)

    @contextlib.contextmanager
    def locked(self, check: Callable[[], None]) -> Iterator[LockedFile]:
        """Hold the lock; create the folder (0700) if it does not exist.

        :param check: called while waiting; may raise.
        :raises StorageUnavailable: another process held the lock for the whole time.
        :raises StorageDenied: the folder is read-only, or another user owns it or has access.
        """
        self._make_folder()
        with self._open_folder() as folder:
            if folder is None:
                raise StorageUnavailable(f"{self.folder} disappeared", hint="repeat the command")
            with self._lock(folder, check):
                self._sweep(folder)
                yield LockedFile(self, folder)

    def sync_folder(self) -> bool:
        """Make a rename into the folder durable, also one by another process; False if that fails."""
        try:
            _make_entry_durable(self.path)
        except OSError:
            return False
        return True

    # -- folder --------------------------------------------------------------------------------------------------------

    def _make_folder(self) -> None:
        missing = [path for path in (self.folder, *self.folder.parents) if not os.path.lexists(path)]
        try:
            for path in reversed(missing):
                with contextlib.suppress(FileExistsError):  # another process may have created it
                    path.mkdir(mode=0o700)
                _make_entry_durable(path)
        except OSError as error:
            raise failure(error, self.folder, "cannot be created") from None

    @contextlib.contextmanager
    def _open_folder(self) -> Iterator[int | None]:
        try:
            fd = os.open(self.folder, _FOLDER_FLAGS)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise self._refused_folder(error) from None
        try:
            self._check_owner(_status(fd, self.folder), self.folder, "700")
            yield fd
        finally:
            _close(fd)

    def _refused_folder(self, error: OSError) -> StorageError:
        if os.path.islink(self.folder):  # noqa: PTH114 - Path.is_symlink raises if the parent folder is not accessible
            return StorageDenied(
                f"{self.folder} is a symbolic link, which the file store does not follow",
                hint=f"set its folder to the real one: AWS_VAULT_FILE_DIR={_quoted(os.path.realpath(self.folder))}",
            )
        if error.errno == errno.ENOTDIR:
            return StorageDenied(
                f"{self.folder} is not a folder",
                hint="set AWS_VAULT_FILE_DIR to a folder; it may not exist yet",
            )
        return failure(error, self.folder, "cannot be opened")

    def _check_owner(self, status: os.stat_result, path: Path, mode: str) -> None:
        if status.st_uid != os.geteuid():
            raise StorageDenied(
                f"{path} belongs to user id {status.st_uid}, and you are {os.geteuid()}",
                hint=f"run awsv as its owner, or: chown {os.geteuid()} {_quoted(path)}",
            )
        if others := stat.S_IMODE(status.st_mode) & 0o077:
            who = "other users" if others & 0o007 else "its group"
            raise StorageDenied(
                f"{path} is accessible to {who} (mode {stat.S_IMODE(status.st_mode):04o})",
                hint=f"make it private: chmod {mode} {_quoted(path)}",
            )

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, folder: int) -> bytes | None:
        try:
            fd = os.open(self._name, _READ_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._check_kind(folder)
            raise failure(error, self.path, "cannot be read") from None
        try:
            self._check_file(os.fstat(fd))
            return self._read_all(fd)
        except OSError as error:
            raise failure(error, self.path, "cannot be read") from None
        finally:
            _close(fd)

    def _check_kind(self, folder: int) -> None:
        """:raises StorageDenied: the file exists, and is not a regular file."""
        with contextlib.suppress(OSError):
            self._check_plain(os.stat(self._name, dir_fd=folder, follow_symlinks=False))

    def _check_plain(self, status: os.stat_result) -> None:
        if stat.S_ISREG(status.st_mode):
            return
        kind = next((name for matches, name in _KINDS if matches(status.st_mode)), "a device")
        if stat.S_ISLNK(status.st_mode):
            real = Path(os.path.realpath(self.path)).parent
            hint = f"set its folder to the real one: AWS_VAULT_FILE_DIR={_quoted(real)}"
        else:
            hint = "move it away, or set AWS_VAULT_FILE_DIR to another folder"
        raise StorageDenied(f"{self.path} is {kind}, not a regular file", hint=hint)

    def _check_file(self, status: os.stat_result) -> None:
        self._check_plain(status)
        self._check_owner(status, self.path, "600")
        if status.st_nlink > 1:  # 0: the file was replaced after it was opened, which is not an error
            raise StorageDenied(
                f"{self.path} has a second name (hard link)", hint=f"find it: find -samefile {_quoted(self.path)}"
            )
        if status.st_size > self._limit:
            raise self._too_large(status.st_size)

    def _read_all(self, fd: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := os.read(fd, 1_048_576):
            parts.append(part)
            size += len(part)
            if size > self._limit:
                raise self._too_large(size)
        return b"".join(parts)

    def _too_large(self, size: int) -> StorageCorrupt:
        return StorageCorrupt(
            f"{self.path} is too large for a store ({size} bytes, at most {self._limit})",
            hint="move it away, or restore it from a backup",
        )

    # -- locking -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _lock(self, folder: int, check: Callable[[], None]) -> Iterator[None]:
        """flock, as any close of the file in this process would release lockf. The lock file is never deleted."""
        fd = self._open_lock(folder)
        try:
            self._acquire(fd, check)
            with contextlib.suppress(OSError):  # only for the error message of a process that waits
                os.ftruncate(fd, 0)
                os.pwrite(fd, b"%d\n" % os.getpid(), 0)
            yield
        finally:
            _close(fd)

    def _open_lock(self, folder: int) -> int:
        path = self.folder / f"{self._name}.lock"
        try:
            fd = os.open(path.name, _LOCK_FLAGS, 0o600, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise StorageDenied(f"{path} is not a regular file", hint=f"remove it: rm {_quoted(path)}") from None
            raise failure(error, self.folder, "cannot be written") from None
        if not stat.S_ISREG(_status(fd, path).st_mode):
            _close(fd)
            raise StorageDenied(f"{path} is not a regular file", hint=f"remove it: rm {_quoted(path)}")
        return fd

    def _acquire(self, fd: int, check: Callable[[], None]) -> None:
        patience = LOCK_SECONDS if self._patience is None else self._patience
        deadline = time.monotonic() + patience
        while True:
            try:
                return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                check()
            except OSError as error:
                raise failure(error, self.folder, "cannot be locked") from None
            if time.monotonic() > deadline:
                raise self._lock_timeout(fd, patience)
            time.sleep(_POLL)

    def _lock_timeout(self, fd: int, patience: float) -> StorageUnavailable:
        text = b""
        with contextlib.suppress(OSError):
            text = os.pread(fd, 32, 0).strip()
        holder = f"process {int(text)}" if text.isdigit() else "another process"
        return StorageUnavailable(
            f"{self.path} has been locked by {holder} for more than {patience:.0f} s",
            hint=f"wait until {holder} finishes, or end it; then repeat the command",
        )

    # -- writing -------------------------------------------------------------------------------------------------------

    def _sweep(self, folder: int) -> None:
        """Remove temporary files of killed writers. Only under the lock, when no other writer is alive."""
        ours = re.compile(rf"\.{re.escape(self._name)}\.\d+\.[0-9a-f]{{16}}\.tmp")
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if ours.fullmatch(name):
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=folder)

    def _replace(self, folder: int, data: bytes, name: str | None = None) -> None:
        temp = f".{self._name}.{os.getpid()}.{os.urandom(8).hex()}.tmp"
        try:
            write_new(folder, temp, data)
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(temp, dir_fd=folder)
            if isinstance(error, OSError):
                raise failure(error, self.path, "cannot be written, and was not changed") from None
            raise
        try:
            os.rename(temp, name or self._name, src_dir_fd=folder, dst_dir_fd=folder)
            make_durable(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temp, dir_fd=folder)
            raise Unconfirmed(os.strerror(error.errno or 0)) from None


class LockedFile:
    """An :class:`AtomicFile` whose lock is held."""

    def __init__(self, file: AtomicFile, folder: int) -> None:
        self._file = file
        self._folder = folder

    def read(self) -> bytes | None:
        """See :meth:`AtomicFile.read`."""
        return self._file._read(self._folder)

    def replace(self, data: bytes) -> None:
        """Replace the content of the file; it is durable when this returns.

        :raises StorageUnavailable: it could not be written; the file was not changed. Also StorageDenied.
        :raises Unconfirmed: the file has the old content or the new one; read it to find out.
        """
        self._file._replace(self._folder, data)

    def keep(self, name: str, data: bytes) -> None:
        """Write ``data`` to another name in the same folder, like :meth:`replace`."""
        self._file._replace(self._folder, data, name)

    def remove(self) -> None:
        """Delete the file durably, if it exists.

        :raises StorageUnavailable: it cannot be deleted. Also StorageDenied.
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file.path.name, dir_fd=self._folder)
            make_durable(self._folder)
        except OSError as error:
            raise failure(error, self._file.path, "cannot be removed") from None


def _status(fd: int, path: Path) -> os.stat_result:
    try:
        return os.fstat(fd)
    except OSError as error:
        raise failure(error, path, "cannot be examined") from None


def _close(fd: int) -> None:
    """Close a descriptor to which nothing was written, so an error loses nothing."""
    with contextlib.suppress(OSError):
        os.close(fd)


def _make_entry_durable(path: Path) -> None:
    """Sync the folder above: if a crash removed a new folder, the store would be lost with it."""
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        make_durable(fd)
    finally:
        os.close(fd)


def write_new(folder: int, name: str, data: bytes) -> None:
    """Create a file (0600) that must not exist, and sync its content.

    :raises OSError: it cannot be written; a part of it may have been written.
    """
    fd = os.open(name, _TEMP_FLAGS, 0o600, dir_fd=folder)
    try:
        os.fchmod(fd, 0o600)  # regardless of the umask
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        make_durable(fd)
    finally:
        os.close(fd)


def make_durable(fd: int) -> None:
    """Sync a file's content, or a folder's entries, to the disk."""
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):  # not every file system supports it; fsync is the fallback
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


def failure(error: OSError, path: Path, what: str) -> StorageError:
    """A system error as a StorageError that names the path and the next step."""
    reason = os.strerror(error.errno).lower() if error.errno else type(error).__name__
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return StorageDenied(f"{path} {what}: {reason}", hint=f"check its permissions: ls -ld {_quoted(path)}")
        case errno.EROFS:
            return StorageDenied(f"{path} {what}: {reason}", hint="set AWS_VAULT_FILE_DIR to a writable folder")
        case errno.ENOLCK | errno.EOPNOTSUPP | errno.ENOSYS:
            hint = "on a network file system without locks, set AWS_VAULT_FILE_DIR to a local folder"
            return StorageUnavailable(f"{path} {what}: {reason}", hint=hint)
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return StorageUnavailable(f"{path} {what}: {reason}", hint="free some space, then repeat the command")
    return StorageUnavailable(f"{path} {what}: {reason}", hint="check the disk, then repeat the command")


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))
