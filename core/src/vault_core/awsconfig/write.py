"""Write a config file: all of it or nothing, and only over what was read.

A symbolic link is followed and stays; a file keeps its owner and mode; a new file is private. The file may contain
plain keys, so no copy of it is left behind: the new content is written to a file without a name, which gets a temporary
one only in the instant before it replaces the old file. If the file system has no such files, or the process dies in
that instant, :func:`sweep` removes the temporary file.
"""

import errno
import os
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from vault_core import files
from vault_core.errors import ConfigError

LOCK_SECONDS = 10.0
"""How long to wait for another writer; a write takes milliseconds."""

_UNNAMED = getattr(os, "O_TMPFILE", 0)
_HAS_NONE_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
"""The errors of file systems and old kernels that have no files without a name."""


def save(path: Path, before: bytes, after: bytes, *, locks: Path, mode: int | None = None) -> None:
    """Replace a file. It is durable when this returns.

    :param before: what was read; empty also means that there was no file.
    :param locks: a folder of the user's own, made when it is needed, for the lock that writers share: any user who
        can read the file itself could lock it, and keep the lock.
    :param mode: the new permissions; None: those of the old file, or 0600 if there was none.
    :raises ConfigError: it has changed since, is read-only, or cannot be written; it is as it was.
    """
    target = Path(os.path.realpath(path))
    try:
        # 0700: nobody else reads, or replaces, what the AWS tools take as their configuration.
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(target, locks):
            _sweep(target)
            if not target.exists():
                _create(target, before, after, mode)
            elif target.is_file():
                _replace(target, before, after, mode)
            else:  # such as /dev/null, which a rename would destroy
                raise ConfigError(
                    f"cannot write {path}: it is not an ordinary file", hint="set AWS_CONFIG_FILE to a file"
                )
            files.sync_folder(target.parent)
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}", hint="make it writable, or apply the change by hand"
        ) from None


def sweep(path: Path, *, locks: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote a file: they may contain plain keys.

    The temporary file of a running process stays, and so does one that cannot be removed now.
    """
    target = Path(os.path.realpath(path))
    if _left(target):
        with suppress(OSError), files.held(_lock_file(target, locks), timeout=0):
            _sweep(target)


def _replace(target: Path, before: bytes, after: bytes, mode: int | None) -> None:
    with target.open("rb") as file:
        status = os.fstat(file.fileno())
        if not status.st_mode & 0o222:  # asked of the mode, because root may write everything
            raise ConfigError(
                f"cannot write {target}: it is read-only", hint="make it writable, or apply the change by hand"
            )
        if not os.access(target, os.W_OK):
            raise PermissionError(0, "permission denied")
        with _written(target, after, status, mode) as (descriptor, temporary):
            # Another writer is noticed, except in the instant before the rename.
            if file.read() != before or target.stat().st_ino != status.st_ino:
                raise _changed(target)
            _name(descriptor, temporary, temporary)
            temporary.replace(target)


def _create(target: Path, before: bytes, after: bytes, mode: int | None) -> None:
    if before:
        raise _changed(target)
    with _written(target, after, None, mode) as (descriptor, temporary):
        try:
            _name(descriptor, temporary, target)  # unlike a rename, fails if another process was faster
        except FileExistsError:
            raise _changed(target) from None


def alone(target: Path, locks: Path, purpose: str = "") -> AbstractContextManager[object]:
    """Exclude other awsv processes of this user.

    :param purpose: of an operation of several writes; each purpose has a lock of its own.
    :raises ConfigError: another process holds the lock for longer than :data:`LOCK_SECONDS`, or it cannot be made.
    """
    lock = _lock_file(target, locks, purpose)
    try:
        return files.held(lock, timeout=LOCK_SECONDS)
    except TimeoutError:
        raise ConfigError(
            f"another process of yours has been writing {target} for more than {LOCK_SECONDS:g} s",
            hint=f"let it finish, or find out which process it is: fuser {shlex.quote(str(lock))}",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot write {target}: cannot create its lock: {lock}: {error.strerror or error}",
            hint="make room or make that folder writable, then repeat the command",
        ) from None


def _lock_file(target: Path, locks: Path, purpose: str = "") -> Path:
    import hashlib  # loads OpenSSL, and most runs find nothing to do

    return locks / f"{hashlib.sha256(os.fsencode(target)).hexdigest()[:32]}{purpose}.lock"


def _sweep(target: Path) -> None:
    """Called with the lock, so that no running process is writing."""
    for left in _left(target):
        with suppress(OSError):
            left.unlink()


def _left(target: Path) -> list[Path]:
    prefix = _prefix(target)
    with suppress(OSError):  # no folder
        names = [path.name for path in target.parent.iterdir() if path.name.startswith(prefix)]
        # And not a file with a similar name.
        return [target.with_name(name) for name in names if re.fullmatch("[0-9a-f]{8}", name.removeprefix(prefix))]
    return []


def _prefix(target: Path) -> str:
    return f".{target.name}.awsv-"


@contextmanager
def _written(target: Path, after: bytes, status: os.stat_result | None, mode: int | None) -> Iterator[tuple[int, Path]]:
    """A complete new file on the disk, private or with the mode of the file that it replaces; and a name beside it.

    The file has no name if the system supports that, else that name. The name is removed at the end.
    """
    temporary = target.with_name(f"{_prefix(target)}{os.urandom(4).hex()}")
    descriptor = _open(temporary)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            if status is not None:
                own = os.fstat(descriptor)
                if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
                    os.fchown(descriptor, status.st_uid, status.st_gid)
                mode = stat.S_IMODE(status.st_mode) if mode is None else mode
            os.fchmod(descriptor, 0o600 if mode is None else mode)  # whatever the umask
            os.fsync(descriptor)
            yield descriptor, temporary
    finally:
        temporary.unlink(missing_ok=True)


def _open(temporary: Path) -> int:
    flags = os.O_WRONLY | os.O_CLOEXEC
    if _UNNAMED and Path("/proc/self/fd").is_dir():  # by which it gets its name
        try:
            return os.open(temporary.parent, flags | _UNNAMED, 0o600)
        except OSError as error:
            if error.errno not in _HAS_NONE_UNNAMED:
                raise
    return os.open(temporary, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def _name(descriptor: int, temporary: Path, name: Path) -> None:
    """Give a file its name.

    :raises FileExistsError: something has it.
    """
    if os.fstat(descriptor).st_nlink == 0:
        # With a folder's descriptor, which an absolute path does without: only then is the link in /proc followed.
        os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor)
    elif name != temporary:
        os.link(temporary, name)


def _changed(target: Path) -> ConfigError:
    return ConfigError(f"{target} has been changed by another program meanwhile", hint="repeat the command")
