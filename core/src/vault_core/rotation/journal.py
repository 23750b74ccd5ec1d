"""The journal of a rotation: one small file for each stored key, without a secret.

It names the keys that a rotation may delete or deactivate without asking. A damaged file names none.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vault_core import files
from vault_core.errors import StorageConflict, StorageError

_LIMIT = 1 << 14
"""Bytes; an entry has some four hundred."""
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a rotation has done so far. Times are seconds since the epoch."""

    old: str
    """The id of the key that the vault held when the rotation began."""
    user: str
    """The name of the IAM user."""
    account: str
    """Of the user, whom a new key has to belong to; twelve digits."""
    known: tuple[str, ...]
    """The ids of all keys that the user had before the new one was made."""
    started: float
    leaked: bool = False
    """A thief may have the old key: it is deleted without a grace time."""
    revoke: bool = False
    """The sessions of the user are to be revoked."""
    new: str | None = None
    """The id of the key that the rotation made."""
    created: float | None = None
    """When the new key was made."""
    deactivated: float | None = None
    """When the old key was made inactive."""
    revoked: float | None = None
    """When the sessions were revoked."""

    @property
    def is_waiting(self) -> bool:
        """The rotation is over, and the old key waits, inactive, for its deletion."""
        return self.new is not None and self.deactivated is not None and not self.leaked


class Journal:
    """The journal of one stored key.

    :param folder: of all journals; made when needed.
    :param store: the identity of the store.
    :param name: the name of the key in it.
    """

    def __init__(self, folder: Path, store: str, name: str, *, shared: bool = False) -> None:
        digest = hashlib.sha256(json.dumps([store, name, shared]).encode()).hexdigest()
        self._path = folder / f"{digest}.json"
        self._lock = folder / f"{digest}.lock"
        self._store, self._name = store, name

    def of(self, name: str) -> Journal:
        """The journal of another key of the same store, which is not shared."""
        return Journal(self._path.parent, self._store, name)

    def held(self) -> AbstractContextManager[object]:
        """Keep other processes from rotating the key.

        :raises StorageConflict: another process does.
        :raises StorageError: the state folder cannot be used.
        """
        try:
            return files.held(self._lock, timeout=0)
        except TimeoutError:
            raise StorageConflict(
                f"another process rotates the key of {self._name!r}; nothing was changed here",
                hint="wait for its end, then repeat the command",
            ) from None
        except OSError as error:
            raise self._unusable(error) from None

    def read(self) -> Entry | None:
        """The entry; None if there is none, or if it makes no sense."""
        try:
            return _entry(json.loads(files.read_private(self._path, limit=_LIMIT)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None

    def is_damaged(self) -> bool:
        """Whether there is a journal that makes no sense."""
        return self._path.exists() and self.read() is None

    def write(self, entry: Entry) -> None:
        """Replace the entry. It survives a loss of power after this call returns.

        :raises StorageError: it cannot be written; the entry is as before.
        """
        data = json.dumps({"version": _VERSION, "name": self._name, **asdict(entry)}, indent=1)
        try:
            files.replace(self._path, data.encode(), durable=True)
            files.sweep_temporary(self._path.parent)
        except OSError as error:
            raise self._unusable(error) from None

    def remove(self) -> None:
        """Remove the entry: the rotation is over.

        :raises StorageError: it cannot be removed.
        """
        try:
            with suppress(FileNotFoundError):
                self._path.unlink()
                files.sync_folder(self._path.parent)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StorageError:
        return StorageError(
            f"the journal of rotations in {self._path.parent} cannot be written: {error.strerror or error}",
            hint="check the folder and the space on its disk",
        )


def _entry(found: Any) -> Entry:
    """:raises ValueError: it is not an entry."""
    if not isinstance(found, dict) or found.pop("version", None) != _VERSION:
        raise ValueError("of another version")
    found.pop("name", None)
    known = found.pop("known")
    entry = Entry(known=tuple(known), **found)
    texts = (entry.old, entry.user, entry.account, *entry.known, *([entry.new] if entry.new is not None else []))
    times = (entry.started, *(time for time in (entry.created, entry.deactivated, entry.revoked) if time is not None))
    if not (
        isinstance(known, list)
        and all(isinstance(text, str) and text and text.isprintable() for text in texts)
        and all(isinstance(time, int | float) and not isinstance(time, bool) for time in times)
        and isinstance(entry.leaked, bool)
        and isinstance(entry.revoke, bool)
        and entry.new != entry.old
        and (entry.new is None) == (entry.created is None)
    ):
        raise ValueError("not an entry")
    return entry
