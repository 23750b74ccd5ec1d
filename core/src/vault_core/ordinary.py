"""Files that people write, read through one descriptor: what was looked at is what is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path


def read(path: Path, limit: int, look: Callable[[os.stat_result], None] = lambda _: None) -> bytes:
    """What an ordinary file holds; nothing for the null device. A named pipe keeps nobody waiting.

    :param limit: the most bytes.
    :param look: sees the owner and the mode of what is about to be read.
    :raises OSError: it cannot be read, is no ordinary file, or holds more; :attr:`~OSError.strerror` says why.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        look(found)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev:
            return b""
        if not stat.S_ISREG(found.st_mode):
            what = "a directory" if stat.S_ISDIR(found.st_mode) else "no ordinary file"
            raise OSError(None, f"it is {what}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = b"" if found.st_size > limit else file.read(limit + 1)
        if found.st_size > limit or len(data) > limit:
            raise OSError(None, f"it is larger than {limit >> 20} MiB")
        return data
    finally:
        os.close(descriptor)


def dangling(path: Path) -> Path | None:
    """The symbolic link to nothing because of which there is no such file; None where there is just no file."""
    return next((one for one in (path, *path.parents) if one.is_symlink() and not one.exists()), None)
