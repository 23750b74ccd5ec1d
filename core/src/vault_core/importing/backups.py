"""Backups of plain files: each file as it was before keys were removed from it, sealed in the vault.

A backup is written and read back before the file is touched. If the command is stopped at any point, either the file
is unchanged, or the vault has the backup.
"""

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
class Backup:
    """One state of a file."""

    content: Secret
    mode: int
    """The permissions of the file."""
    left: str
    """The :func:`digest` of the content that replaced it."""


class Backups:
    """The backups of one file, the latest last. There are several if the file was edited between removals.

    :param vault: holds the backups, all of one file in one item.
    """

    def __init__(self, vault: Vault, path: Path) -> None:
        self._vault = vault
        self._path = path
        self._name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]

    def read(self) -> list[Backup]:
        """All backups of the file.

        :raises StorageCorrupt: the item is damaged.
        """
        value = self._vault.backup(self._name)
        if value is None:
            return []
        try:
            return [
                Backup(
                    Secret(base64.b64decode(fields["content"], validate=True)), int(fields["mode"]), str(fields["left"])
                )
                for fields in json.loads(value.reveal())["originals"]
            ]
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise StorageCorrupt(
                f"the item with the backup of {self._path} in {self._vault.store.place} is damaged",
                hint="restore the store from a backup",
            ) from None

    def push(self, content: bytes, mode: int, left: bytes) -> None:
        """Back up the file as it is now, before it is replaced.

        A removal that continues from the last one keeps the first backup, so that one ``undo`` reverts both.

        :param left: the content that will replace it.
        :raises StorageError: the backup could not be written, or reads back differently; do not change the file.
        """
        backups = self.read()
        new = Backup(Secret(content), mode, digest(left))
        if backups and digest(content) in (backups[-1].left, digest(backups[-1].content.reveal())):
            new = Backup(backups[-1].content, backups[-1].mode, digest(left))
            backups.pop()
        self.write([*backups, new])

    def write(self, backups: list[Backup]) -> None:
        """Replace all backups of the file; an empty list deletes the item.

        :raises StorageError: as for :meth:`push`.
        """
        if not backups:
            self._vault.keep_backup(self._name, None)
            return
        fields = [
            {"content": base64.b64encode(backup.content.reveal()).decode(), "mode": backup.mode, "left": backup.left}
            for backup in backups
        ]
        value = {"path": os.fsencode(self._path).decode("utf-8", "backslashreplace"), "originals": fields}
        self._vault.keep_backup(self._name, Secret(json.dumps(value, ensure_ascii=True)))
        if self.read() != backups:
            raise StorageUnavailable(
                f"the backup of {self._path} reads back differently from {self._vault.store.place}",
                hint="nothing was removed: check the store first",
            )
