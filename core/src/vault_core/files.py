"""Private files: each is written whole or not at all, for its owner alone, and read only if it is that.

The folder is the caller's to choose, and to make or look at (:mod:`vault_core.folders`).
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vault_core import folders

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LEFT_AFTER = 60.0
"""Seconds after which a temporary file is nobody's any more: a write takes milliseconds."""


def read(path: Path, *, limit: int) -> bytes:
    """What a private file holds. Nothing else than a file is waited for, and no link is followed.

    :param limit: the most bytes that make sense.
    :raises FileNotFoundError: there is none.
    :raises OSError: it is no file, somebody else's, open to others, or longer.
    """
    # O_NONBLOCK: a pipe in its place must not hang us
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(None, f"{path} is no file")
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise OSError(None, f"{path} is open to others")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise OSError(None, f"{path} is longer than {limit} bytes")
    return content


def write(path: Path, content: bytes, *, replace: bool = True, durable: bool = False) -> None:
    """Write a private file, 0600 whatever the umask: its old content or its new one is there, whatever happens.

    :param replace: False: only where there is none.
    :param durable: it survives a loss of power from when this returns.
    :raises FileExistsError: there is one, and it is not to be replaced.
    :raises OSError: it cannot be written; what was there is there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)
    finally:
        with suppress(FileNotFoundError):  # it is in its place
            temporary.unlink()
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make durable what was renamed into a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_temporary(folder: Path) -> None:
    """Remove what killed processes left of :func:`write`."""
    for path in folder.glob(".*.tmp"):
        if older(path, _LEFT_AFTER):
            with suppress(OSError):
                path.unlink()


def older(path: Path, seconds: float) -> bool:
    """Whether a file is there and was last written longer ago than this."""
    try:
        return path.lstat().st_mtime < time.time() - seconds
    except OSError:
        return False


def lock(path: Path) -> BaseFileLock:
    """A lock among the processes of this user, which the death of its holder releases; its folder is made.

    :raises OSError: the folder cannot be made, or is not ours alone.
    """
    from filelock import FileLock

    folders.make(path.parent)
    return FileLock(path, mode=0o600, fallback_to_soft=False)  # a soft one outlives us
