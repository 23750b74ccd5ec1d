"""Whether a folder is one to keep private files in: ours, and nobody else can put or move anything there."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def check(folder: Path, *, secret: bool = False) -> None:
    """Look at a folder, or where there is none yet, at the one that it will be made in.

    :param secret: keys lie in it: nobody else may even read it, and it may be no symbolic link.
    :raises OSError: somebody else could have made it or could change it; the text says why.
    """
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    above = folder.parent if existing == folder else existing
    if existing != folder or secret:
        found = above.stat()
        if found.st_uid not in (os.geteuid(), 0) or (found.st_mode & 0o002 and not found.st_mode & stat.S_ISVTX):
            raise OSError(None, f"{above} is in the hands of others")
    if existing == folder:
        _check_ours(folder, secret=secret)


def make(folder: Path, *, secret: bool = False) -> None:
    """Make a folder (0700) where there is none, and look at it: another may have been faster.

    :raises OSError: as :func:`check`.
    """
    check(folder, secret=secret)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_ours(folder, secret=secret)


def _check_ours(folder: Path, *, secret: bool) -> None:
    found = folder.lstat() if secret else folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise OSError(None, f"{folder} is no folder")
    if found.st_uid != os.geteuid():
        raise OSError(None, f"{folder} belongs to user id {found.st_uid}, and you are {os.geteuid()}")
    if found.st_mode & (0o077 if secret else 0o022):
        raise OSError(None, f"{folder} is open to others (mode {stat.S_IMODE(found.st_mode):04o})")
