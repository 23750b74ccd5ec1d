"""Which generation of a stored key is current on this machine.

Every change of a stored key through awsv draws a new generation, which is part of the cache key of everything that
was made from the key. So a session that another process is just making from the old key is never served afterwards,
whatever the order of events.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

WHOLE = ""
"""In the place of a key's name, which is never empty: all keys of a store."""


class Generations:
    """The generations, one small file a key in the state folder.

    :param folder: made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, store: str, name: str) -> Path:
        return self._folder / hashlib.sha256(f"{store}\0{name}".encode()).hexdigest()

    def current(self, store: str, name: str) -> str:
        """The generation of a key and of its whole store; empty where this machine never changed either."""
        return self._read(store, name) + self._read(store, WHOLE)

    def _read(self, store: str, name: str) -> str:
        try:
            return self._path(store, name).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return ""

    def advance(self, store: str, name: str) -> None:
        """Make every session of the key stale.

        :param name: :data:`WHOLE`: of every key of the store.
        :raises OSError: it cannot be written.
        """
        path = self._path(store, name)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        temporary.write_text(secrets.token_hex(8), encoding="ascii")
        temporary.replace(path)
