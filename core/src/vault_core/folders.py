"""Whether a folder can hold private files: this user owns it, and no other user can change what is in it."""

import errno
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from vault_core import consulted

_LINKS = 40
"""How many chained symbolic links Linux follows."""
_PASSWD, _GROUP = "/etc/passwd", "/etc/group"


class Untrusted(OSError):
    """Another user could have made a folder, or can change it; the text names the folder and the reason."""

    def __init__(self, text: str) -> None:
        super().__init__(None, text)


def check(folder: Path, *, secret: bool = False, roots: bool = False) -> None:
    """Check a folder, if it exists, and every folder above it.

    A user who can rename an entry of a folder can exchange everything below it. So each folder above must belong to
    this user or to root, and may be writable for others only with the sticky bit, as ``/tmp`` is.

    :param secret: the folder holds keys: no other user may read it, and it must not be a symbolic link.
    :param roots: root may own the folder.
    :raises Untrusted: another user could have made it or can change it.
    :raises OSError: it cannot be examined.
    """
    check_way(folder)
    if os.path.lexists(folder):
        _check_ours(folder, secret=secret, roots=roots)
    else:
        consulted.note("n", folder, None)


def check_way(path: Path) -> None:
    """Check every folder and symbolic link that decides where a path leads.

    :raises Untrusted: another user can make it lead elsewhere.
    :raises OSError: it cannot be examined.
    """
    for above in dict.fromkeys(_above(path)):
        _check_above(above)


def note_way(path: Path) -> None:
    """Note as consulted what decides where a path leads (:mod:`vault_core.consulted`); its content is not. A path that
    leads nowhere because its links form a cycle prevents a memo."""
    try:
        for above in _above(path):
            consulted.look("n", above)
    except OSError:
        consulted.prevent()
    consulted.look("t", path)


def _above(path: Path) -> Iterator[Path]:
    """Every folder and symbolic link that decides where a path leads, except the last folder.

    :raises OSError: its symbolic links form a cycle.
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
        except OSError:  # not readable for us: using it fails later
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
        left += reversed(there.readlink().parts)  # the first part of an absolute target is the root


def _check_above(folder: Path) -> None:
    found = folder.lstat()
    consulted.note("n", folder, found)
    if stat.S_ISLNK(found.st_mode):
        if _is_foreign(found.st_uid) and folder not in _above_home():
            raise Untrusted(f"{folder} is a symbolic link of another user")
        return
    others = found.st_mode & 0o002 or (found.st_mode & 0o020 and not _is_personal(found.st_gid))
    changeable = others and not found.st_mode & stat.S_ISVTX
    if (changeable or _is_foreign(found.st_uid)) and folder not in _above_home():
        raise Untrusted(f"{folder} is owned or writable by another user")


def _check_ours(folder: Path, *, secret: bool, roots: bool) -> None:
    found = folder.lstat() if secret else folder.stat()
    consulted.note("n" if secret else "f", folder, found)
    if not stat.S_ISDIR(found.st_mode):
        raise Untrusted(f"{folder} is not a directory")
    if found.st_uid != os.geteuid() and not (roots and found.st_uid == 0):
        raise Untrusted(f"{folder} belongs to user id {found.st_uid}, and you are {os.geteuid()}")
    if found.st_mode & (0o077 if secret else 0o022):
        raise Untrusted(f"{folder} is open to other users (mode {stat.S_IMODE(found.st_mode):04o})")


def _is_foreign(owner: int) -> bool:
    """Whether the owner is another user. Root is not, even where a container shows its files as ``nobody``'s."""
    return owner not in (os.geteuid(), 0) and owner != _unmapped()


def _unmapped() -> int:
    """The user id that a container shows for users of its host; -1 outside a container."""
    try:
        words = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
        overflow = int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return -1
    spans = [(int(first), int(count)) for first, count in zip(words[::3], words[2::3], strict=True)]
    return -1 if any(first <= overflow < first + count for first, count in spans) else overflow


def _above_home() -> Collection[Path]:
    """The folders that lead to the home of the account: a user who can change them has the account already."""
    import pwd

    try:
        home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
        consulted.look("f", _PASSWD)
    except KeyError:  # a container without names
        return ()
    if not home.is_absolute():
        return ()
    try:
        return frozenset(_above(home))
    except OSError:
        return ()


def _is_personal(group: int) -> bool:
    """Whether the group has no member but this user, as the personal groups of many systems."""
    if group == 0:
        return True
    import grp
    import pwd

    for decides in (_PASSWD, _GROUP):
        consulted.look("f", decides)
    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name}
