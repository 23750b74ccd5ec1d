"""The receipt of a copy: which state of a plain file was copied, so that only that one is ever changed.

It holds no secret, only a digest of the file and profile names, and lies in the state folder. Losing it costs a
repetition of the copy, which then finds every key there already.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vault_core import files
from vault_core.errors import StorageUnavailable

_LARGEST = 1 << 24
"""Bytes; a hundred thousand names have room."""


def digest(raw: bytes) -> str:
    """Names a state of a file. It tells nobody the keys in it: each has more than 200 random bits."""
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was copied."""

    digest: str
    profiles: frozenset[str]
    """Those whose key is in the vault."""


class Receipts:
    """The receipts of one user on this machine.

    :param folder: of their own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: Path) -> Receipt | None:
        """The receipt of a file; None where there is none that makes sense."""
        try:
            found = json.loads(files.read_private(self._file(path), limit=_LARGEST))
            return Receipt(found["sha256"], frozenset(found["profiles"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def write(self, path: Path, raw: bytes, profiles: Iterable[str]) -> None:
        """Note that a state of a file is copied.

        :raises StorageUnavailable: the state folder takes no file.
        """
        target = self._file(path)
        text = json.dumps({"path": str(path), "sha256": digest(raw), "profiles": sorted(profiles)})
        try:
            files.make_folder(self._folder)
            files.replace(target, text.encode())
        except OSError as error:
            raise StorageUnavailable(
                f"cannot note what was copied in {target}: {(error.strerror or str(error)).lower()}",
                hint="make room or make it writable, then repeat the command",
            ) from None

    def _file(self, path: Path) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"
