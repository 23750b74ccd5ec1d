"""The anchor: what this machine remembers of a store, so that an older or another file in its place is noticed.

An older copy of a whole file is authentic; only a memory outside of the file can tell. The anchor lies in the user's
state folder, one small file for each path of a store. It is written after the store's own write is durable, so a crash
between the two leaves a store that is newer than its anchor, which is no alarm. Whoever can change both places wins.

No trouble with the anchor itself ever stops a read or fails a write: it is told, once.
"""

from __future__ import annotations

import enum
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from vault_core.api import Context, StorageError, StorageUnavailable, sealing
from vault_plugin_file import container
from vault_plugin_file.disk import SafeFile, Unconfirmed

_LIMIT = 4096
_PATIENCE = 1.0
"""Seconds to wait for another process at the anchor: it is held for a few milliseconds, and not worth more."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One state of one store, told apart from every other one."""

    store: bytes
    """The store's identity."""
    epoch: int
    mac: bytes
    """The header MAC."""

    def to_bytes(self) -> bytes:
        value = {"epoch": self.epoch, "mac": sealing.to_base64(self.mac), "store": sealing.to_base64(self.store)}
        return sealing.canonical({"format": 1, **value})

    @classmethod
    def parse(cls, data: bytes) -> Mark:
        """:raises ValueError: nothing that :meth:`to_bytes` made."""
        found = sealing.fields(sealing.parse_canonical(data, "it"), ("epoch", "format", "mac", "store"), "it")
        sealing.integer(found["format"], "format", least=1, most=1)
        return cls(
            sealing.from_base64(found["store"], "store", least=16),
            sealing.integer(found["epoch"], "epoch", least=1, most=container.MAX_EPOCH),
            sealing.from_base64(found["mac"], "mac", least=32),
        )


class Verdict(enum.Enum):
    """What a store's file is, beside its anchor."""

    UNKNOWN = "none"
    """Nothing is remembered of this path."""
    SAME = "same"
    NEWER = "newer"
    """Somebody else wrote it, or a crash came before the anchor."""
    OLDER = "older"
    FORK = "fork"
    """As old as the anchor, with other content: two machines wrote it, and one of the writes won."""
    REPLACED = "replaced"
    GONE = "gone"

    @property
    def trusted(self) -> bool:
        """Whether it may be written, and be remembered."""
        return self in (Verdict.UNKNOWN, Verdict.SAME, Verdict.NEWER)


def judge(pinned: Mark | None, found: Mark | None) -> Verdict:
    """Compare a file with what is remembered."""
    if pinned is None:
        return Verdict.UNKNOWN
    if found is None:
        return Verdict.GONE
    if found.store != pinned.store:
        return Verdict.REPLACED
    if found.epoch != pinned.epoch:
        return Verdict.NEWER if found.epoch > pinned.epoch else Verdict.OLDER
    return Verdict.SAME if found.mac == pinned.mac else Verdict.FORK


class Anchor:
    """What is remembered of the store at one path.

    :param path: of the store's file; its folder is resolved, so two names of one folder share an anchor.
    """

    def __init__(self, ctx: Context, path: Path) -> None:
        self._ctx = ctx
        self._where = path
        name = hashlib.sha256(os.fsencode(os.path.realpath(path.parent) + os.sep + path.name)).hexdigest()[:32]
        self._file = SafeFile(ctx.state_dir / "anchors", f"{name}.json", limit=_LIMIT, patience=_PATIENCE)
        self._told: set[str] = set()
        self.enabled = bool(ctx.options.get("anchor", True))
        self.path = self._file.path
        self.damaged = False
        """It was there at the last :meth:`read`, and could not be used."""

    def read(self) -> Mark | None:
        """What is remembered; None where that is nothing, or the anchor is off or damaged (which is told)."""
        if not self.enabled:
            return None
        self.damaged = False
        try:
            data = self._file.read()
            return Mark.parse(data) if data is not None else None
        except StorageError as error:
            reason = error.message
        except ValueError as error:
            reason = f"{self.path} is damaged: {error}"
        self.damaged = True
        self._tell(f"whether {self._where} is its newest state cannot be told: {reason} (the next write mends it)")
        return None

    def advance(self, mark: Mark) -> None:
        """Remember what a read has found, unless more is remembered by now. Never complains: nothing was written."""
        if self.enabled and not self.damaged:
            self._write(mark, only_forward=True)

    def pin(self, mark: Mark) -> None:
        """Remember what was written or accepted; where that is impossible, it is told."""
        if not self.enabled:
            return
        reason = self._write(mark, only_forward=False)
        if reason is not None:
            self._tell(f"{self._where} is written, but an older copy of it would not be noticed: {reason}")

    def accept(self, mark: Mark) -> None:
        """Remember what a person has accepted.

        :raises StorageUnavailable: that cannot be written.
        """
        reason = self._write(mark, only_forward=False) if self.enabled else None
        if reason is not None:
            raise StorageUnavailable(f"what was accepted cannot be remembered: {reason}")

    def forget(self) -> None:
        """Remember nothing of this path.

        :raises StorageError: that cannot be written.
        """
        if self.enabled and os.path.lexists(self.path):
            with self._file.locked(self._ctx.check) as file:
                file.remove()

    def _write(self, mark: Mark, *, only_forward: bool) -> str | None:
        """None, or why it could not be written."""
        try:
            with self._file.locked(self._ctx.check) as file:
                if not (only_forward and _is_ahead(file.read(), mark)):
                    file.replace(mark.to_bytes())
        except StorageError as error:
            return error.message
        except Unconfirmed as error:
            return str(error).lower()
        return None

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._ctx.notify(message)


def _is_ahead(data: bytes | None, mark: Mark) -> bool:
    """Whether the anchor, as it is now, is not to be replaced by what a reader saw a moment ago."""
    try:
        return judge(Mark.parse(data) if data is not None else None, mark) not in (Verdict.UNKNOWN, Verdict.NEWER)
    except ValueError:
        return True
