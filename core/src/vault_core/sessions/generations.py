"""The current generations, on this machine, of each stored key, of each profile, and of all sessions.

Generations are part of every cache key. Each change of a stored key through awsv draws a new one for the key; ``clear``
draws one for a profile or for all sessions. So an earlier session is never served afterwards, whatever the order of
events: not by a process that is making it, and not if its file could not be read and so not be removed.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from vault_core import files

WHOLE = ""
"""In place of the name of a key, which is never empty: all keys of a store."""

MANY = 200
"""The number of old generations that are merged into one, which costs each profile one new session."""

_DAY = 24 * 3600.0
_ALL = "all"


class Generations:
    """The generations: one small file each, in the state folder.

    :param folder: created at the first need.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tidy = False

    def current(self, store: str, name: str) -> str:
        """Return the generation of a key and of its whole store; empty if neither ever changed on this machine."""
        return self._current(_digest(store, name), _digest(store, WHOLE))

    def of_profile(self, name: str) -> str:
        """Return the generation of the sessions of a profile; empty if they were never cleared."""
        return self._current(_digest(name))

    def advance(self, store: str, name: str) -> None:
        """Make every session of a stored key stale.

        :param name: :data:`WHOLE`: of every key of the store.
        :raises OSError: it cannot be written.
        """
        self._advance(_digest(store, name))

    def advance_profile(self, name: str) -> None:
        """Make every session of a profile, and every session that depends on it, stale.

        :raises OSError: it cannot be written.
        """
        self._advance(_digest(name))

    def advance_all(self) -> None:
        """Make every session stale.

        :raises OSError: it cannot be written.
        """
        self._advance(_ALL)

    def _current(self, *files: str) -> str:
        # That of all sessions last: if another one is gone because many were merged, this one is the new one.
        found = [self._read(file) for file in (*files, _ALL)]
        return ":".join(found) if any(found) else ""

    def _read(self, file: str) -> str:
        try:
            if found := files.read_private(self._folder / file, limit=64).decode("ascii"):
                return found
        except FileNotFoundError:
            return ""
        except (OSError, ValueError):
            pass
        # A file that cannot be read: no session was made under it, and none is found again.
        return os.urandom(8).hex()

    def _advance(self, file: str) -> None:
        # Durable: if a loss of power undid a generation, sessions of a removed key would be served again.
        files.replace(self._folder / file, os.urandom(8).hex().encode(), durable=True)
        if self._tidy:  # once a process: it looks at every file, and an import draws a generation for each key
            return
        self._tidy = True
        files.sweep_temporary(self._folder)
        if file != _ALL:
            self._merge()

    def _merge(self) -> None:
        """Remove old generations if there are many: a new one of all sessions makes the same ones stale.

        The order matters: a process that finds one missing finds the new generation of all sessions. Only old ones are
        removed, because a young one may belong to a change that is not over.
        """
        old = [path for path in self._folder.iterdir() if path.name != _ALL and files.is_older(path, _DAY)]
        if len(old) < MANY:
            return
        self.advance_all()
        for path in old:
            if files.is_older(path, _DAY):  # not one that another process has drawn meanwhile
                with suppress(OSError):
                    path.unlink()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
