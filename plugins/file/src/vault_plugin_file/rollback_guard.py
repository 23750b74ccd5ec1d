"""Rollback protection: this machine remembers the stores that it has seen, and notices an older or a different file.

An older copy of a whole file is authentic; only a record outside the file can reveal it. The user's state folder has
two kinds of small files, the *anchors*. The one of a *store*, named by the store's identity, records the newest state
seen of that store at any path, so a store that is moved, linked or copied is still recognised. The one of a *place*,
named by the path that the user gives and by the path with links resolved, records which store is there. It changes only
when a different store is put there, so the two files never have to be written together. An attacker who can change both
folders is not detected.

The newest state is written after the store's own write is durable, so a crash between the two leaves a store that is
newer than its anchor, which raises no alarm. A failure of an anchor never stops a read and never fails a write: the
user sees one warning.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vault_core import vlt
from vault_core.api import StorageError, StorageUnavailable, StoreContext
from vault_plugin_file import vlt_file
from vault_plugin_file.atomic_file import AtomicFile, LockedFile, Unconfirmed

_LIMIT = 4096
_PATIENCE = 1.0
"""Seconds to wait for the lock of an anchor, which another process holds for a few milliseconds."""


class StoreState(NamedTuple):
    """What identifies one state of one store."""

    store: bytes
    """The store's identity."""
    epoch: int
    mac: bytes
    """The header MAC."""

    def to_bytes(self) -> bytes:
        value = {"epoch": self.epoch, "mac": vlt.to_base64(self.mac), "store": vlt.to_base64(self.store)}
        return vlt.canonical({"format": 1, **value})

    @classmethod
    def parse(cls, data: bytes) -> StoreState:
        """:raises ValueError: ``data`` is not output of :meth:`to_bytes`."""
        found = vlt.fields(vlt.parse_canonical(data, "it"), ("epoch", "format", "mac", "store"), "it")
        vlt.integer(found["format"], "format", least=1, most=1)
        return cls(
            vlt.from_base64(found["store"], "store", least=16),
            vlt.integer(found["epoch"], "epoch", least=1, most=vlt_file.MAX_EPOCH),
            vlt.from_base64(found["mac"], "mac", least=32),
        )


class RollbackStatus(enum.Enum):
    """How a store's file compares with its anchors."""

    UNKNOWN = "none"
    """There is no anchor of this store, nor of this place."""
    SAME = "same"
    NEWER = "newer"
    """Another machine wrote it, or a crash came before the anchor was written."""
    OLDER = "older"
    FORK = "fork"
    """The same number of writes as the anchor, but other content: two machines wrote it, and one of the writes won."""
    REPLACED = "replaced"
    GONE = "gone"

    @property
    def trusted(self) -> bool:
        """Whether the file may be written, and its state recorded."""
        return self in (RollbackStatus.UNKNOWN, RollbackStatus.SAME, RollbackStatus.NEWER)


def compare(newest: StoreState | None, state: StoreState) -> RollbackStatus:
    """Compare a state of a store with the newest one that was seen of it."""
    if newest is None:
        return RollbackStatus.UNKNOWN
    if state.epoch != newest.epoch:
        return RollbackStatus.NEWER if state.epoch > newest.epoch else RollbackStatus.OLDER
    return RollbackStatus.SAME if state.mac == newest.mac else RollbackStatus.FORK


class Memory(NamedTuple):
    """The anchors of one place and of one store."""

    here: frozenset[bytes]
    """The identities of the stores recorded for this place; more than one if the anchors of its paths disagree."""
    store: bytes | None
    """The store whose newest state was looked up."""
    newest: StoreState | None
    complete: bool
    """The store and each path of the place have an anchor."""

    def compare(self, state: StoreState | None) -> RollbackStatus:
        """Compare a file's state with the anchors; None: the file does not exist."""
        if state is None:
            return RollbackStatus.GONE if self.here else RollbackStatus.UNKNOWN
        if self.here - {state.store}:
            return RollbackStatus.REPLACED
        return compare(self.newest, state)


class RollbackGuard:
    """The anchors of the store at one path, and of the same store at any other path.

    :param path: the path of the store's file.
    """

    def __init__(self, ctx: StoreContext, path: Path) -> None:
        self._ctx = ctx
        self._where = path
        self._folder = ctx.state_dir / "anchors"
        names = (os.path.realpath(path.parent) + os.sep + path.name, str(path.absolute()))
        self._places = [self._file(hashlib.sha256(os.fsencode(name)).hexdigest()[:32]) for name in dict.fromkeys(names)]
        self._warnings: set[str] = set()
        self.enabled = bool(ctx.options.get("anchor", True))
        self.path = self._places[0].path
        """The anchor that records which store is at this path."""
        self.damaged = False
        """Whether the last :meth:`read` found an anchor that could not be used."""

    def _file(self, name: str) -> AtomicFile:
        return AtomicFile(self._folder, f"{name}.json", limit=_LIMIT, patience=_PATIENCE)

    def _newest_of(self, store: bytes) -> AtomicFile:
        return self._file(f"store-{store.hex()}")

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, store: bytes | None = None) -> Memory:
        """Read the anchors. The result is empty if they are off, or damaged (with a warning).

        :param store: the store whose newest state to look up; None: the store recorded for this place.
        """
        self.damaged = False
        if not self.enabled:
            return Memory(frozenset(), store, None, complete=True)
        places = [state for state in map(self._read_state, self._places) if state is not None]
        if store is None and places:
            store = places[0].store
        newest = self._read_state(self._newest_of(store)) if store is not None else None
        complete = newest is not None and len(places) == len(self._places)
        if newest is None and store is not None:
            newest = self._newest_at_any_place(store)
        return Memory(frozenset(state.store for state in places), store, newest, complete)

    def _read_state(self, file: AtomicFile) -> StoreState | None:
        try:
            data = file.read()
            return StoreState.parse(data) if data is not None else None
        except StorageError as error:
            reason = error.message
        except ValueError as error:
            reason = f"{file.path} is damaged: {error}"
        self.damaged = True
        self._warn(f"cannot check whether {self._where} is its newest state: {reason} (the next write repairs this)")
        return None

    def _newest_at_any_place(self, store: bytes) -> StoreState | None:
        """The newest state of a store that has no anchor: version 0.1.0 recorded it in the anchors of places only."""
        states: list[StoreState] = []
        names: list[str] = []
        with contextlib.suppress(OSError):  # the folder does not exist, or cannot be read
            names = os.listdir(self._folder)  # noqa: PTH208 - names only: AtomicFile opens them
        for name in names:
            with contextlib.suppress(StorageError, ValueError):  # reading that place's own store warns about it
                if name.endswith(".json"):
                    states.append(StoreState.parse(self._file(name.removesuffix(".json")).read() or b""))
        return max((state for state in states if state.store == store), key=lambda state: state.epoch, default=None)

    # -- writing -------------------------------------------------------------------------------------------------------

    def advance(self, state: StoreState) -> None:
        """Record the state that was read, unless a newer one is recorded. Without a warning: no write is at stake."""
        if self.enabled and not self.damaged:
            forward = (RollbackStatus.UNKNOWN, RollbackStatus.NEWER)
            self._write(self._newest_of(state.store), state, lambda old: compare(old, state) in forward, repair=False)
            for place in self._places:
                self._write(place, state, lambda old: old is None, repair=False)

    def pin(self, state: StoreState) -> None:
        """Record the state that was written; warn if that fails."""
        reason = self._record(state, lambda old: compare(old, state) is not RollbackStatus.OLDER)
        if reason is not None:
            self._warn(f"{self._where} was written, but an older copy of it would not be noticed: {reason}")

    def accept(self, state: StoreState, status: RollbackStatus) -> None:
        """Record a state that the user has accepted.

        :param status: what the user accepts. With ``REPLACED``, the newest state recorded for that store stays: it may
            be an older copy of itself.
        :raises StorageUnavailable: the anchors cannot be written.
        """
        is_place = status is RollbackStatus.REPLACED
        reason = self._record(state, lambda old: not (is_place and old))
        if reason is not None:
            raise StorageUnavailable(f"the accepted state cannot be recorded: {reason}")

    def forget(self) -> None:
        """Delete the anchors of this place. The newest state of the store that was here stays recorded.

        :raises StorageError: they cannot be deleted.
        """
        for place in self._places if self.enabled else ():
            if os.path.lexists(place.path):
                with place.locked(self._ctx.check) as file:
                    file.remove()

    def _record(self, state: StoreState, replaces: Callable[[StoreState | None], bool]) -> str | None:
        """Write the anchors of the store and of the place; None, or why one could not be written."""
        if not self.enabled:
            return None
        reasons = [self._write(self._newest_of(state.store), state, replaces, repair=True)]
        for place in self._places:
            reasons.append(self._write(place, state, lambda old: not old or old.store != state.store, repair=True))
        return next((reason for reason in reasons if reason is not None), None)

    def _write(
        self, file: AtomicFile, state: StoreState, replaces: Callable[[StoreState | None], bool], *, repair: bool
    ) -> str | None:
        """Write ``state`` into an anchor if ``replaces`` says so; None, or why it could not be written.

        :param replaces: whether the recorded state (None: there is none) is to be replaced.
        :param repair: replace an anchor that cannot be read.
        """

        def due(current: AtomicFile | LockedFile) -> bool:
            try:
                data = current.read()
                return replaces(StoreState.parse(data) if data is not None else None)
            except (StorageError, ValueError):
                return repair

        try:
            if due(file):
                with file.locked(self._ctx.check) as locked:
                    if due(locked):
                        locked.replace(state.to_bytes())
        except StorageError as error:
            return error.message
        except Unconfirmed as error:
            return str(error).lower()
        return None

    def _warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings.add(message)
            self._ctx.notify(message)
