"""Whether a folder is one to keep private files in: ours, and nobody else can put or move anything there."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

_LINKS = 40
"""How many symbolic links behind one another Linux follows."""


class Untrusted(OSError):
    """A folder that others could have made or can change; the text says which, and why."""

    def __init__(self, text: str) -> None:
        super().__init__(None, text)


def check(folder: Path, *, secret: bool = False, roots: bool = False) -> None:
    """Look at a folder where there is one, and at all that it lies in.

    Whoever may rename an entry of a folder above can exchange everything below it, so each has to be ours or root's,
    and may only be writable for others where, as in ``/tmp``, nobody renames what is not theirs.

    :param secret: keys lie in it: nobody else may even read it, and it may be no symbolic link.
    :param roots: it may also be root's.
    :raises Untrusted: somebody else could have made it or can change it.
    :raises OSError: it cannot be looked at.
    """
    check_way(folder)
    if os.path.lexists(folder):
        _check_ours(folder, secret=secret, roots=roots)


def check_way(path: Path) -> None:
    """Look at what decides where a path leads: a link can be exchanged in the folder that it lies in, and so on.

    :raises Untrusted: somebody else could have it lead elsewhere.
    :raises OSError: it cannot be looked at.
    """
    for above in dict.fromkeys(_above(path)):
        _check_above(above)


def make(folder: Path, *, secret: bool = False) -> None:
    """Make a folder where there is none, 0700 whatever the umask, and look at it: another may have been faster.

    :raises Untrusted: as :func:`check`.
    :raises OSError: it cannot be made.
    """
    check(folder, secret=secret)
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    for path in reversed(missing):
        _make(path)
    if missing:
        check(folder, secret=secret)


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return  # another was faster: whose it is, is looked at when all of them are there
    # By a descriptor, which no link that takes the folder's place can lead elsewhere.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _above(path: Path) -> Iterator[Path]:
    """Every folder and symbolic link that decides where a path leads, but for the last folder itself.

    :raises OSError: its links go round in a circle.
    """
    here, left = Path(path.anchor or "."), list(reversed(path.parts))
    links = 0
    while left:
        part = left.pop()
        if part == "..":
            here = here.parent
            continue
        there = here / part
        try:
            is_link, exists = there.is_symlink(), os.path.lexists(there)
        except OSError:  # closed to us: who is to use what lies there finds out
            return
        if not is_link:
            if left and exists:
                yield there
            here = there
            continue
        yield there
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        left += reversed(there.readlink().parts)  # of an absolute one the first is the root


def _check_above(folder: Path) -> None:
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        if _is_foreign(found.st_uid) and folder not in _above_home():
            raise Untrusted(f"{folder} is a symbolic link of others")
        return
    others = found.st_mode & 0o002 or (found.st_mode & 0o020 and not _nobody_else_in(found.st_gid))
    changeable = others and not found.st_mode & stat.S_ISVTX
    if (changeable or _is_foreign(found.st_uid)) and folder not in _above_home():
        raise Untrusted(f"{folder} is in the hands of others")


def _check_ours(folder: Path, *, secret: bool, roots: bool) -> None:
    found = folder.lstat() if secret else folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise Untrusted(f"{folder} is no folder")
    if found.st_uid != os.geteuid() and not (roots and found.st_uid == 0):
        raise Untrusted(f"{folder} belongs to user id {found.st_uid}, and you are {os.geteuid()}")
    if found.st_mode & (0o077 if secret else 0o022):
        raise Untrusted(f"{folder} is open to others (mode {stat.S_IMODE(found.st_mode):04o})")


def _is_foreign(owner: int) -> bool:
    """Whether a folder's owner is another user; not root, even where a container shows root's files as nobody's."""
    return owner not in (os.geteuid(), 0) and owner != _unmapped()


def _unmapped() -> int:
    """The user id that stands for those of the host that have none in this container; -1 outside of one."""
    try:
        words = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
        overflow = int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return -1
    spans = [(int(first), int(count)) for first, count in zip(words[::3], words[2::3], strict=True)]
    return -1 if any(first <= overflow < first + count for first, count in spans) else overflow


def _above_home() -> Collection[Path]:
    """What leads to the account's home: whose that is, has the account anyway, and what it runs."""
    import pwd

    try:
        home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:  # a container without names
        return ()
    if not home.is_absolute():
        return ()
    try:
        return frozenset(_above(home))
    except OSError:
        return ()


def _nobody_else_in(group: int) -> bool:
    """Whether the group is its user's own, as many systems give one to each: what it may write, only we may."""
    if group == 0:
        return True
    import grp
    import pwd

    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name}
