"""Write a config file: all of it or nothing, and only over what was read.

A symbolic link is followed and stays; the file keeps its owner and mode; what is new is for its owner alone.
"""

from __future__ import annotations

import glob
import os
import shlex
import stat
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from vault_core.errors import ConfigError

LOCK_SECONDS = 10.0
"""How long to wait for another writer; a write takes milliseconds."""


def save(path: Path, before: bytes, after: bytes, *, mode: int | None = None) -> None:
    """Replace a file. It is durable when this returns.

    :param before: what was read; empty also means that there was no file.
    :param mode: the permissions that it gets; None: those it had, and 0600 where there was none.
    :raises ConfigError: it has changed since, is read-only, or cannot be written; it is as it was.
    """
    target = Path(os.path.realpath(path))
    try:
        # 0700: nobody else reads, or replaces, what the AWS tools take as their configuration.
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not target.exists():
            _create(target, before, after, mode)
        elif target.is_file():
            _replace(target, before, after, mode)
        else:  # such as /dev/null, which a rename would destroy
            raise ConfigError(f"cannot write {path}: it is no ordinary file", hint="set AWS_CONFIG_FILE to a file")
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}", hint="make it writable, or apply the change by hand"
        ) from None


def _replace(target: Path, before: bytes, after: bytes, mode: int | None) -> None:
    with target.open("rb") as file:
        # Keeps out other awsv processes. Whoever else writes is noticed unless in the instant before the rename.
        _lock(file, target)
        status = os.fstat(file.fileno())
        if not status.st_mode & 0o222:  # asked of the mode, because root may write everything
            raise ConfigError(
                f"cannot write {target}: it is read-only", hint="make it writable, or apply the change by hand"
            )
        if not os.access(target, os.W_OK):
            raise PermissionError(0, "permission denied")
        if target.stat().st_ino != status.st_ino:  # replaced while we waited, so the lock is not the new file's
            raise _changed(target)
        _sweep(target)
        temporary = _written(target, after, status, mode)
        try:
            if file.read() != before or target.stat().st_ino != status.st_ino:
                raise _changed(target)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    _sync_folder(target.parent)


def _lock(file: BinaryIO, target: Path) -> None:
    """Whoever can read the file can lock it, so nobody waits for the lock longer than :data:`LOCK_SECONDS`."""
    import fcntl

    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise ConfigError(
                    f"another process has locked {target} for more than {LOCK_SECONDS:g} s",
                    hint=f"let it finish, or look who it is: fuser {shlex.quote(str(target))}",
                ) from None
            time.sleep(0.05)


def _create(target: Path, before: bytes, after: bytes, mode: int | None) -> None:
    temporary = _written(target, after, None, mode)
    try:
        if before:
            raise _changed(target)
        os.link(temporary, target)  # unlike a rename, fails where somebody was faster
    except FileExistsError:
        raise _changed(target) from None
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _sweep(target: Path) -> None:
    """Remove what a killed process left, while the lock keeps the living ones out."""
    for left in target.parent.glob(f"{glob.escape(_prefix(target))}*"):
        left.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    return f".{target.name}.awsv-"


def _written(target: Path, after: bytes, status: os.stat_result | None, mode: int | None) -> Path:
    """A new file beside the target, complete and on the disk, for its owner alone or like the one it replaces."""
    descriptor, name = tempfile.mkstemp(prefix=_prefix(target), dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            if status is not None:
                own = os.fstat(descriptor)
                if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
                    os.fchown(descriptor, status.st_uid, status.st_gid)
                mode = stat.S_IMODE(status.st_mode) if mode is None else mode
            if mode is not None:
                os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _changed(target: Path) -> ConfigError:
    return ConfigError(f"{target} has been changed by another program meanwhile", hint="repeat the command")
