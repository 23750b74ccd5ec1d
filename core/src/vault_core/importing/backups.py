"""Plain files as they were before keys were removed from them, kept as one sealed item each, and given back.

The item is written, and read back, before the file is touched; so whatever stops the command, either the file is as it
was, or the item has it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from vault_core.errors import StorageCorrupt, StorageUnavailable
from vault_core.importing.record import digest
from vault_core.secret import Secret
from vault_core.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Original:
    """One file as it was."""

    content: Secret
    mode: int
    """Its permissions."""
    left: str
    """The :func:`digest` of what it was replaced by."""


class Originals:
    """The originals of one file, the latest last: there are several where it was edited between removals.

    :param vault: keeps them.
    """

    def __init__(self, vault: Vault, path: Path) -> None:
        self._vault = vault
        self._path = path
        self._name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]

    def read(self) -> list[Original]:
        """All of them.

        :raises StorageCorrupt: the item is none of ours.
        """
        value = self._vault.original(self._name)
        if value is None:
            return []
        try:
            return [
                Original(Secret(base64.b64decode(one["content"], validate=True)), int(one["mode"]), str(one["left"]))
                for one in json.loads(value.reveal())["originals"]
            ]
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise StorageCorrupt(
                f"the item with the original of {self._path} in {self._vault.store.place} is damaged",
                hint="restore the store from a backup",
            ) from None

    def push(self, content: bytes, mode: int, left: bytes) -> None:
        """Keep the file as it is now, before it is replaced.

        A removal that goes on where the last one ended keeps the first original: one ``undo`` takes both back.

        :param left: what is going to be in its place.
        :raises StorageError: it could not be written, or reads back as something else; the file must stay.
        """
        kept = self.read()
        now = Original(Secret(content), mode, digest(left))
        if kept and digest(content) in (kept[-1].left, digest(kept[-1].content.reveal())):
            now = Original(kept[-1].content, kept[-1].mode, digest(left))
            kept.pop()
        self.write([*kept, now])

    def write(self, originals: list[Original]) -> None:
        """Replace them; none forgets the item.

        :raises StorageError: as for :meth:`push`.
        """
        if not originals:
            self._vault.keep_original(self._name, None)
            return
        fields = [
            {"content": base64.b64encode(one.content.reveal()).decode(), "mode": one.mode, "left": one.left}
            for one in originals
        ]
        value = {"path": os.fsencode(self._path).decode("utf-8", "backslashreplace"), "originals": fields}
        self._vault.keep_original(self._name, Secret(json.dumps(value, ensure_ascii=True)))
        if self.read() != originals:
            raise StorageUnavailable(
                f"the original of {self._path} reads back from {self._vault.store.place} as something else",
                hint="nothing was removed: look after the store first",
            )
