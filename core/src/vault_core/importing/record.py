"""The import record: which state of a plain file was copied into the vault, so that no other state is ever changed.

A record holds no secret, only a digest of the file and profile names, and is kept in the state folder. If it is lost,
the copy has to be repeated; it then finds every key in the vault.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vault_core import files
from vault_core.errors import StorageUnavailable

_MAX_BYTES = 1 << 24
"""Enough for a hundred thousand profile names."""


def digest(raw: bytes) -> str:
    """Identify a state of a file. It does not reveal the keys in it: each has more than 200 random bits."""
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """What was copied from one file."""

    digest: str
    profiles: frozenset[str]
    """The profiles whose key is in the vault."""


class ImportRecords:
    """The import records of one user on this machine.

    :param folder: holds nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: Path) -> ImportRecord | None:
        """The record of a file; None if there is none, or it is damaged."""
        try:
            fields = json.loads(files.read_private(self._file(path), limit=_MAX_BYTES))
            return ImportRecord(fields["sha256"], frozenset(fields["profiles"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def copied(self, path: Path, raw: bytes) -> frozenset[str]:
        """The profiles that were copied from a file; empty if the file was changed since."""
        record = self.read(path)
        return record.profiles if record is not None and record.digest == digest(raw) else frozenset()

    def write(self, path: Path, raw: bytes, profiles: Iterable[str]) -> None:
        """Record that a state of a file was copied.

        :raises StorageUnavailable: the state folder cannot be written.
        """
        target = self._file(path)
        text = json.dumps({"path": str(path), "sha256": digest(raw), "profiles": sorted(profiles)})
        try:
            files.replace(target, text.encode())
        except OSError as error:
            raise StorageUnavailable(
                f"cannot write the import record {target}: {(error.strerror or str(error)).lower()}",
                hint="free disk space or make the folder writable, then repeat the command",
            ) from None

    def _file(self, path: Path) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"
