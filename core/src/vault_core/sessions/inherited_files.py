"""The open files that a child of ``exec`` gets: those that the caller gave to awsv, without those of secrets.

A live session leaves a passphrase unread in its pipe. Which open file a variable names is told by what the file is, not
by how the variable spells it: ``/dev/stdin``, ``/proc/self/fd/3`` and ``/dev//fd/3`` are ways to the same pipe.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from vault_core.child_env import is_identity
from vault_core.errors import UsageError
from vault_core.settings import PREFIX, is_secret_variable

Identity = tuple[int, int]
"""Device and inode: the same for every descriptor of a pipe, a socket or a file."""

_OPEN_FILES = next((path for path in ("/proc/self/fd", "/dev/fd") if os.path.isdir(path)), None)  # noqa: PTH112 - cheap
"""Where the system lists them; None where it does not."""
_STANDARD = (0, 1, 2)
_HOLDS = (stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK)
"""Types of files that a secret comes in; terminals and other devices hold none."""
_OURS = (PREFIX, "VAULT_", "BAO_")
"""How the variables begin that plugins take paths from."""
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_LINKS = 40
"""How many symbolic links behind one another Linux follows."""


@dataclass(frozen=True)
class Inherited:
    """What was open before anything of a plugin ran, and what of it awsv was told to read.

    :param given: descriptor to what it is, of those that a child gets.
    :param naming: variable to what it names, of those variables that name an open file; None if that holds nothing.
    :param told: the same of flags and of ``config.toml``.
    """

    given: Mapping[int, Identity]
    naming: Mapping[str, Identity | None]
    told: Mapping[str, Identity | None] = field(default_factory=dict)

    @classmethod
    def now(
        cls,
        environ: Mapping[str, str],
        told: Mapping[str, str] = MappingProxyType({}),
        given: Mapping[int, Identity] | None = None,
    ) -> Inherited:
        """A look at this process.

        :param told: what flags and ``config.toml`` say, by the name of who says it.
        :param given: what :func:`open_files` found at the start; None: now is the start.
        """
        if given is None:
            given = open_files()
        ours = {name: text for name, text in environ.items() if name.startswith(_OURS) or is_identity(name)}
        return cls(given, _open_ones(ours, environ), _open_ones(told, environ))

    def secret(self, kept: Collection[str]) -> dict[int, str]:
        """Descriptors that hold a secret to the name of the variable that says so.

        :param kept: variables that the child is to have, with what they name.
        :raises UsageError: it is the child's standard output or error.
        """
        passed = {identity for name, identity in self.naming.items() if name in kept}
        everything = {**self.told, **self.naming}
        secrets = {identity: name for name, identity in everything.items() if identity and identity not in passed}
        found = {number: secrets[identity] for number, identity in self.given.items() if identity in secrets}
        for number in (1, 2):
            if number in found:
                raise UsageError(
                    f"descriptor {number} is what {found[number]} names, and where the command would write",
                    hint="pass the secret on as another one, as in: awsv ... 3< passphrase-file",
                )
        return found

    def hand_over(self, secret: Collection[int]) -> None:
        """Just before ``execve``: leave to the child what was given, as it was, but nothing of ``secret``."""
        for number in _numbers():
            if number in secret or self.given.get(number) != _of_descriptor(number):
                with suppress(OSError):
                    os.set_inheritable(number, False)
        for number in _STANDARD:
            if number in self.given and self.given[number] != _of_descriptor(number):
                _empty(number)


def open_files() -> dict[int, Identity]:
    """The descriptors that a child would get now, and what they are."""
    return {number: found for number in _numbers() if (found := _of_descriptor(number))}


def _empty(number: int) -> None:
    """Open ``/dev/null`` as this descriptor: a program that found it closed would take its next file for it."""
    empty = os.open(os.devnull, os.O_RDWR)
    os.dup2(empty, number)
    if empty != number:
        os.close(empty)
    os.set_inheritable(number, True)


def _numbers() -> list[int]:
    """Of the descriptors that may be open."""
    if _OPEN_FILES is None:
        return list(range(1024))
    return sorted(int(name) for name in os.listdir(_OPEN_FILES))  # noqa: PTH208 - at the price of a few system calls


def _of_descriptor(number: int) -> Identity | None:
    """What it is, if a child gets it."""
    try:
        return _identity(os.fstat(number)) if os.get_inheritable(number) else None
    except OSError:
        return None


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _open_ones(texts: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, Identity | None]:
    """Those that name an open file, with what that is."""
    found = {}
    for name, text in texts.items():
        if name.endswith("_FD"):
            with suppress(ValueError):
                found[name] = _holding(int(text))
        elif _may_name(name, text) and _is_descriptor(path := _path(text, environ)):
            found[name] = _holding(path)
    return found


def _may_name(name: str, text: str) -> bool:
    """Whether it may name a file, as a client's key does whose name says nothing of a file. No secret is looked up."""
    if name.endswith(("_FILE", "-file")):
        return True
    return text.startswith(("/", "~/")) and not (is_secret_variable(name) or is_identity(name))


def _path(text: str, environ: Mapping[str, str]) -> str:
    """The path that a variable names, as whoever reads it may understand it."""
    home = environ.get("HOME", "")
    return str(Path(home + text[1:] if text.startswith("~/") else text))  # without a "/" or "/." at the end


def _holding(file: str | int) -> Identity | None:
    """What a path leads to or a descriptor is, if a secret can come in it."""
    try:
        found = os.stat(file)  # noqa: PTH116 - of the path as it is written
    except (OSError, ValueError, OverflowError):
        return None
    return _identity(found) if stat.S_IFMT(found.st_mode) in _HOLDS else None


def _is_descriptor(path: str) -> bool:
    """Whether the path leads to an open file, of this process or of another: through ``/dev/fd``, in any spelling."""
    with suppress(OSError, ValueError):
        device = os.stat(_OPEN_FILES or "/dev/fd").st_dev  # noqa: PTH116 - as above
        for _ in range(_LINKS):
            folder, name = os.path.split(path)
            folder = os.path.realpath(folder or ".")
            if _NUMBER.fullmatch(name) and os.stat(folder).st_dev == device:  # noqa: PTH116 - as above
                return True
            path = os.path.join(folder, os.readlink(os.path.join(folder, name)))  # noqa: PTH115, PTH118 - text
    return False
