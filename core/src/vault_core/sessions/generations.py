"""Which generation of a stored key, of a profile and of everything is current on this machine.

Generations are part of every cache key. Every change of a stored key through awsv draws a new one for the key, and
``clear`` one for a profile or for everything. So what was made before is never served afterwards, whatever the order
of events: not by a process that is just making it, and not where its file could not be read and so not be removed.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path

from vault_core import files

WHOLE = ""
"""In the place of a key's name, which is never empty: all keys of a store."""

MANY = 200
"""So many old generations are put together to one, which costs every profile one new session."""

_DAY = 24 * 3600.0
_ALL = "all"


class Generations:
    """The generations, one small file each in the state folder.

    :param folder: made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def current(self, store: str, name: str) -> str:
        """The generation of a key and of its whole store; empty where this machine never changed either."""
        return self._current(_digest(store, name), _digest(store, WHOLE))

    def of_profile(self, name: str) -> str:
        """The generation of a profile's sessions; empty where they were never cleared."""
        return self._current(_digest(name))

    def advance(self, store: str, name: str) -> None:
        """Make every session of a stored key stale.

        :param name: :data:`WHOLE`: of every key of the store.
        :raises OSError: it cannot be written.
        """
        self._advance(_digest(store, name))

    def advance_profile(self, name: str) -> None:
        """Make every session of a profile, and every one that stands on it, stale.

        :raises OSError: it cannot be written.
        """
        self._advance(_digest(name))

    def advance_all(self) -> None:
        """Make every session stale.

        :raises OSError: it cannot be written.
        """
        self._advance(_ALL)

    def _current(self, *files: str) -> str:
        # That of everything last: where another one is gone because many were put together, this one is the new one.
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
        # Something is there and cannot be told: no session was made under it, and none is found again.
        return secrets.token_hex(8)

    def _advance(self, file: str) -> None:
        files.make_folder(self._folder)
        # Durable: a generation that a loss of power takes back would take back sessions of a removed key.
        files.replace(self._folder / file, secrets.token_hex(8).encode(), durable=True)
        files.sweep_temporary(self._folder)
        if file != _ALL:
            self._put_together()

    def _put_together(self) -> None:
        """Remove old generations where there are many: what they made stale, a new one of everything does.

        The order matters: a process that finds one missing has the new generation of everything. And only old ones
        go, because a young one may be that of a change which is not over.
        """
        old = [path for path in self._folder.iterdir() if path.name != _ALL and files.is_older(path, _DAY)]
        if len(old) < MANY:
            return
        self.advance_all()
        for path in old:
            if files.is_older(path, _DAY):  # nor what another process has drawn since we looked
                with suppress(OSError):
                    path.unlink()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
