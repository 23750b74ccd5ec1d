"""The open files that a child of ``exec`` inherits: those that the caller gave to awsv, without those of secrets.

With a live session, a passphrase stays unread in its pipe. Which open file a variable names is decided by device and
inode, not by spelling: ``/dev/stdin``, ``/proc/self/fd/3`` and ``/dev//fd/3`` can be the same pipe.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from types import MappingProxyType

from vault_core.child_env import is_identity, is_secret_variable
from vault_core.errors import UsageError
from vault_core.records import dataclass
from vault_core.settings import PREFIX

Identity = tuple[int, int]
"""Device and inode: the same for every descriptor of a pipe, a socket or a file."""

_OPEN_FILES = next((path for path in ("/proc/self/fd", "/dev/fd") if os.path.isdir(path)), None)  # noqa: PTH112 - cheap
"""The folder where the system lists them; None where it does not."""
_STANDARD = (0, 1, 2)
_HOLDS = (stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK)
"""Types of files that can deliver a secret; terminals and other devices do not."""
_OURS = (PREFIX, "VAULT_", "BAO_")
"""Prefixes of the variables that plugins take paths from."""
_NUMBER = r"(?a)\d{1,9}"
_LINKS = 40
"""Linux follows at most this many chained symbolic links."""


@dataclass(frozen=True)
class Inherited:
    """The files that were open before a plugin ran, and those of them that the settings name.

    :param given: the file of each descriptor that a child inherits.
    :param naming: the open file that each variable names; None if it cannot hold a secret.
    :param configured: the same for flags and for ``config.toml``.
    """

    given: Mapping[int, Identity]
    naming: Mapping[str, Identity | None]
    configured: Mapping[str, Identity | None] = field(default_factory=dict)

    @classmethod
    def now(
        cls,
        environ: Mapping[str, str],
        configured: Mapping[str, str] = MappingProxyType({}),
        given: Mapping[int, Identity] | None = None,
    ) -> Inherited:
        """The open files of this process.

        :param configured: the texts of flags and of ``config.toml``, by their origin.
        :param given: the result of :func:`open_files` at the start; None: as now.
        """
        if given is None:
            given = open_files()
        return cls(given, _open_ones(_ours(environ), environ), _open_ones(configured, environ))

    def secret(self, kept: Collection[str]) -> dict[int, str]:
        """The descriptors with a secret, each with the name of the variable (or setting) that names its file.

        :param kept: the variables that the child keeps, with the files that they name.
        :raises UsageError: a secret is on the child's standard output or error.
        """
        passed = {identity for name, identity in self.naming.items() if name in kept}
        everything = {**self.configured, **self.naming}
        secrets = {identity: name for name, identity in everything.items() if identity and identity not in passed}
        found = {number: secrets[identity] for number, identity in self.given.items() if identity in secrets}
        for number in (1, 2):
            if number in found:
                raise UsageError(
                    f"descriptor {number} has the secret of {found[number]}, and the command would write to it",
                    hint="pass the secret on as another one, as in: awsv ... 3< passphrase-file",
                )
        return found

    def hand_over(self, secret: Collection[int]) -> None:
        """Just before ``execve``: the child inherits what was given, as it was, except ``secret``."""
        for number in _numbers():
            if number in secret or self.given.get(number) != _of_descriptor(number):
                with suppress(OSError):
                    os.set_inheritable(number, False)
        for number in _STANDARD:
            if number in self.given and self.given[number] != _of_descriptor(number):
                _empty(number)


def open_files() -> dict[int, Identity]:
    """The descriptors that a child would inherit now, with their files."""
    return {number: found for number in _numbers() if (found := _of_descriptor(number))}


def named_paths(environ: Mapping[str, str], configured: Mapping[str, str]) -> list[str]:
    """The paths that variables and settings name, or may name: where a link to an open file could be.

    :param configured: as for :meth:`Inherited.now`.
    """
    texts = {**configured, **_ours(environ)}
    return [_path(text, environ) for name, text in texts.items() if _may_name(name, text)]


def _ours(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if name.startswith(_OURS) or is_identity(name)}


def _empty(number: int) -> None:
    """Open ``/dev/null`` as this descriptor: else the next file that a program opens would get its number."""
    empty = os.open(os.devnull, os.O_RDWR)
    os.dup2(empty, number)
    if empty != number:
        os.close(empty)
    os.set_inheritable(number, True)


def _numbers() -> list[int]:
    """The numbers of the descriptors that may be open."""
    if _OPEN_FILES is None:
        return list(range(1024))
    return sorted(int(name) for name in os.listdir(_OPEN_FILES))  # noqa: PTH208 - at the price of a few system calls


def _of_descriptor(number: int) -> Identity | None:
    """Its file, if a child inherits it."""
    try:
        return _identity(os.fstat(number)) if os.get_inheritable(number) else None
    except OSError:
        return None


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _open_ones(texts: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, Identity | None]:
    """The names whose text names an open file, with that file."""
    found = {}
    for name, text in texts.items():
        if name.endswith("_FD"):
            with suppress(ValueError):
                found[name] = _holding(int(text))
        elif _may_name(name, text) and _is_descriptor(path := _path(text, environ)):
            found[name] = _holding(path)
    return found


def _may_name(name: str, text: str) -> bool:
    """Whether the text may name a file, even if the variable's name does not say so. False for the text of a secret."""
    if name.endswith(("_FILE", "-file")):
        return True
    return text.startswith(("/", "~/")) and not (is_secret_variable(name) or is_identity(name))


def _path(text: str, environ: Mapping[str, str]) -> str:
    """The path that a variable names, with ``~/`` expanded, as its reader may do."""
    home = environ.get("HOME", "")
    return str(Path(home + text[1:] if text.startswith("~/") else text))  # without a "/" or "/." at the end


def _holding(file: str | int) -> Identity | None:
    """The file of a path or a descriptor, if it can deliver a secret."""
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
            if re.fullmatch(_NUMBER, name) and os.stat(folder).st_dev == device:  # noqa: PTH116 - as above
                return True
            path = os.path.join(folder, os.readlink(os.path.join(folder, name)))  # noqa: PTH115, PTH118 - text
    return False
