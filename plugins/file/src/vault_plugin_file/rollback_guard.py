"""The anchor: what this machine remembers of stores, so that an older or another file in a store's place is noticed.

An older copy of a whole file is authentic; only a memory outside of the file can tell. Two kinds of small files lie in
the user's state folder. One for each *store*, by its identity, holds the newest state that was seen of it, wherever it
lay: whoever moves a folder, puts a link into its path or copies it leaves nothing behind. One for each *place*, by the
name that the user gives it and by the one that links lead to, holds which store lies there; it changes only when that
becomes another one, so the two never have to be written together. Whoever can change both folders wins.

The newest state is written after the store's own write is durable, so a crash between the two leaves a store that is
newer than its anchor, which is no alarm. No trouble with the anchor itself ever stops a read or fails a write: it is
told, once.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vault_core import vlt
from vault_core.api import StorageError, StorageUnavailable, StoreContext
from vault_plugin_file import vlt_file
from vault_plugin_file.atomic_file import LockedFile, SafeFile, Unconfirmed

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
        value = {"epoch": self.epoch, "mac": vlt.to_base64(self.mac), "store": vlt.to_base64(self.store)}
        return vlt.canonical({"format": 1, **value})

    @classmethod
    def parse(cls, data: bytes) -> Mark:
        """:raises ValueError: nothing that :meth:`to_bytes` made."""
        found = vlt.fields(vlt.parse_canonical(data, "it"), ("epoch", "format", "mac", "store"), "it")
        vlt.integer(found["format"], "format", least=1, most=1)
        return cls(
            vlt.from_base64(found["store"], "store", least=16),
            vlt.integer(found["epoch"], "epoch", least=1, most=vlt_file.MAX_EPOCH),
            vlt.from_base64(found["mac"], "mac", least=32),
        )


class Verdict(enum.Enum):
    """What a store's file is, beside its anchor."""

    UNKNOWN = "none"
    """Nothing is remembered of this store, nor of this place."""
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


def judge(newest: Mark | None, found: Mark) -> Verdict:
    """Compare a state of a store with the newest one that was seen of it."""
    if newest is None:
        return Verdict.UNKNOWN
    if found.epoch != newest.epoch:
        return Verdict.NEWER if found.epoch > newest.epoch else Verdict.OLDER
    return Verdict.SAME if found.mac == newest.mac else Verdict.FORK


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a place, and of one store."""

    here: frozenset[bytes]
    """The identities of the stores that lay in this place; several where its names disagree."""
    store: bytes | None
    """Whose newest state was looked up."""
    newest: Mark | None
    settled: bool
    """Everything that there is to remember has a file of its own."""

    def judge(self, found: Mark | None) -> Verdict:
        """Compare a file with it."""
        if found is None:
            return Verdict.GONE if self.here else Verdict.UNKNOWN
        if self.here - {found.store}:
            return Verdict.REPLACED
        return judge(self.newest, found)


class Anchor:
    """What is remembered of the store at one path, and of that store anywhere else.

    :param path: of the store's file.
    """

    def __init__(self, ctx: StoreContext, path: Path) -> None:
        self._ctx = ctx
        self._where = path
        self._folder = ctx.state_dir / "anchors"
        names = (os.path.realpath(path.parent) + os.sep + path.name, str(path.absolute()))
        self._places = [self._file(hashlib.sha256(os.fsencode(name)).hexdigest()[:32]) for name in dict.fromkeys(names)]
        self._told: set[str] = set()
        self.enabled = bool(ctx.options.get("anchor", True))
        self.path = self._places[0].path
        """Of the file that remembers which store lies here."""
        self.damaged = False
        """Something was there at the last :meth:`read`, and could not be used."""

    def _file(self, name: str) -> SafeFile:
        return SafeFile(self._folder, f"{name}.json", limit=_LIMIT, patience=_PATIENCE)

    def _newest_of(self, store: bytes) -> SafeFile:
        return self._file(f"store-{store.hex()}")

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, store: bytes | None = None) -> Memory:
        """What is remembered; nothing where the anchor is off, or damaged (which is told).

        :param store: whose newest state to look up; None: that of the store which lay here.
        """
        self.damaged = False
        if not self.enabled:
            return Memory(frozenset(), store, None, settled=True)
        places = [mark for mark in map(self._mark, self._places) if mark is not None]
        if store is None and places:
            store = places[0].store
        newest = self._mark(self._newest_of(store)) if store is not None else None
        settled = newest is not None and len(places) == len(self._places)
        if newest is None and store is not None:
            newest = self._newest_at_any_place(store)
        return Memory(frozenset(mark.store for mark in places), store, newest, settled)

    def _mark(self, file: SafeFile) -> Mark | None:
        try:
            data = file.read()
            return Mark.parse(data) if data is not None else None
        except StorageError as error:
            reason = error.message
        except ValueError as error:
            reason = f"{file.path} is damaged: {error}"
        self.damaged = True
        self._tell(f"whether {self._where} is its newest state cannot be told: {reason} (the next write mends it)")
        return None

    def _newest_at_any_place(self, store: bytes) -> Mark | None:
        """Of a store without a file of its own, as version 0.1.0 left it: it kept the newest state with the place."""
        found: list[Mark] = []
        names: list[str] = []
        with contextlib.suppress(OSError):  # there is no folder yet, or it is closed to us
            names = os.listdir(self._folder)  # noqa: PTH208 - names only: SafeFile opens them
        for name in names:
            with contextlib.suppress(StorageError, ValueError):  # told where that place is looked at
                if name.endswith(".json"):
                    found.append(Mark.parse(self._file(name.removesuffix(".json")).read() or b""))
        return max((mark for mark in found if mark.store == store), key=lambda mark: mark.epoch, default=None)

    # -- writing -------------------------------------------------------------------------------------------------------

    def advance(self, mark: Mark) -> None:
        """Remember what a read has found, unless more is remembered by now. Never complains: nothing was written."""
        if self.enabled and not self.damaged:
            forward = (Verdict.UNKNOWN, Verdict.NEWER)
            self._write(self._newest_of(mark.store), mark, lambda found: judge(found, mark) in forward, mend=False)
            for place in self._places:
                self._write(place, mark, lambda found: found is None, mend=False)

    def pin(self, mark: Mark) -> None:
        """Remember what was written; where that is impossible, it is told."""
        reason = self._settle(mark, lambda found: judge(found, mark) is not Verdict.OLDER)
        if reason is not None:
            self._tell(f"{self._where} is written, but an older copy of it would not be noticed: {reason}")

    def accept(self, mark: Mark, verdict: Verdict) -> None:
        """Remember what a person has accepted, and no more than that.

        :param verdict: what they accept: another store in this place may still be an older copy of itself.
        :raises StorageUnavailable: that cannot be written.
        """
        is_place = verdict is Verdict.REPLACED
        reason = self._settle(mark, lambda found: not (is_place and found))
        if reason is not None:
            raise StorageUnavailable(f"what was accepted cannot be remembered: {reason}")

    def forget(self) -> None:
        """Remember no store in this place. The newest state of the one that lay here stays known.

        :raises StorageError: that cannot be written.
        """
        for place in self._places if self.enabled else ():
            if os.path.lexists(place.path):
                with place.locked(self._ctx.check) as file:
                    file.remove()

    def _settle(self, mark: Mark, replaces: Callable[[Mark | None], bool]) -> str | None:
        """The newest state and the place; None, or why they could not be written."""
        if not self.enabled:
            return None
        reasons = [self._write(self._newest_of(mark.store), mark, replaces, mend=True)]
        for place in self._places:
            reasons.append(self._write(place, mark, lambda found: not found or found.store != mark.store, mend=True))
        return next((reason for reason in reasons if reason is not None), None)

    def _write(self, file: SafeFile, mark: Mark, replaces: Callable[[Mark | None], bool], *, mend: bool) -> str | None:
        """Have a file hold ``mark``, where it is to replace what is there; None, or why it could not be written.

        :param mend: replace what cannot be read.
        """

        def due(there: SafeFile | LockedFile) -> bool:
            try:
                data = there.read()
                return replaces(Mark.parse(data) if data is not None else None)
            except (StorageError, ValueError):
                return mend

        try:
            if due(file):
                with file.locked(self._ctx.check) as locked:
                    if due(locked):
                        locked.replace(mark.to_bytes())
        except StorageError as error:
            return error.message
        except Unconfirmed as error:
            return str(error).lower()
        return None

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._ctx.notify(message)
