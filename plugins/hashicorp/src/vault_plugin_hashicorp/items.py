"""The items of one folder of a KV version 2 mount: every write checks and sets.

An item is one secret. A deleted one is a *tombstone*: a further version, written with check-and-set like any other,
and then destroyed with everything before it. Its metadata stay: without them version numbers would begin anew, and a
write that expects version 3 of the old item could be taken for one of the new. See ADR 0011.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vault_core.api import (
    ABSENT,
    ANY,
    Expect,
    Item,
    Secret,
    StorageBackend,
    StorageConflict,
    StorageCorrupt,
    StorageLocked,
    StorageUnavailable,
    Version,
)
from vault_plugin_hashicorp.answers import inner, text
from vault_plugin_hashicorp.server import shown

if TYPE_CHECKING:
    from vault_plugin_hashicorp.service import Service

_CONTENTION_SECONDS = 30.0
_VISIBLE_SECONDS = 3.0
"""How far a standby may be behind; what was replaced so often that the server dropped it is waited for in vain."""
_AT_ONCE = 8
"""Requests at a time when a folder is listed."""
_DESTROYED_AT_ONCE = 100
"""Versions; a mount keeps ten of an item unless its operators say otherwise (``max_versions``)."""
_PRINTABLE = re.compile(r"[ -~]+\Z")
_UNSAFE_DOT = re.compile(r"\.(?=\.|/|\Z)")


def escape(key: str) -> str:
    """A key as a path that the server takes as it is: it refuses ``..``, and clients resolve ``.``.

    A dot that another dot, a slash or the end follows becomes ``D``, which no key holds.
    """
    return _UNSAFE_DOT.sub("D", key)


def unescape(path: str) -> str:
    """The inverse of :func:`escape`."""
    return path.replace("D", ".")


@dataclass(frozen=True, slots=True)
class State:
    """What is at a path, as it was read."""

    number: int
    """The server's count of versions, deleted ones included; 0: there never was one."""
    created: str
    """When that version was written, by the server's clock (RFC 3339, nanoseconds)."""
    data: dict[str, Any] | None
    """None: there is nothing, or not any more."""

    @property
    def version(self) -> Version:
        # The number alone would begin anew after somebody deleted the metadata.
        return f"{self.number}@{self.created}"

    @property
    def is_tombstone(self) -> bool:
        return self.data is not None and self.data.get("deleted") is True

    @property
    def is_there(self) -> bool:
        return self.data is not None and not self.is_tombstone

    @property
    def written_by(self) -> str:
        """Who wrote it and when, for people."""
        since = f"since {self.created[:16].replace('T', ' ')} UTC"
        by, host = ((self.data or {}).get(field) for field in ("by", "host"))
        if not isinstance(by, str):
            return since
        return f"{shown(by)} on {shown(host)} {since}" if isinstance(host, str) else f"{shown(by)} {since}"


class Items(StorageBackend):
    """The items below one folder. May be used from several threads and processes.

    :param folder: the folder's path in the mount, without slashes around it.
    """

    def __init__(self, service: Service, folder: str) -> None:
        self.service = service
        self.folder = folder

    def get(self, key: str) -> Item | None:
        state = self._read(key)
        if state.is_tombstone:
            # Whoever wrote it did not come as far as destroying what was before.
            self._destroy(key, state.number, told=False)
        if not state.is_there:
            return None
        return Item(value=self._value(key, state), version=state.version, written_by=state.written_by)

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        return self._replace(key, {"value": value.reveal_text()}, expect).version

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        try:
            gone = self._replace(key, {"deleted": True}, expect, only_if_there=True)
        except _NothingThere:
            return False
        self._destroy(key, gone.number)
        return True

    def keys(self) -> Iterator[str]:
        paths = [
            f"{kind}{name}"
            for kind in self.service.names(self.folder)
            if kind.endswith("/")
            for name in self.service.names(f"{self.folder}/{kind.rstrip('/')}")
            if not name.endswith("/")
        ]
        if not paths:
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(paths))) as pool:
            alive = list(pool.map(self._is_alive, paths))
        yield from (unescape(path) for path, is_alive in zip(paths, alive, strict=True) if is_alive)

    def close(self) -> None:
        self.service.close()

    # -- one item ----------------------------------------------------------------------------------------------------

    def _path(self, key: str) -> str:
        return f"{self.folder}/{escape(key)}"

    def _place(self, key: str) -> str:
        """Where an item is, for people."""
        return f"{self.service.mount}/{self._path(key)} at {self.service.address}"

    def _read(self, key: str, number: int | None = None) -> State:
        metadata, data = self.service.read(self._path(key), number)
        found = metadata.get("version")
        return State(found if isinstance(found, int) else 0, text(metadata, "created_time"), data)

    def _value(self, key: str, state: State) -> Secret:
        value = (state.data or {}).get("value")
        if not isinstance(value, str) or not _PRINTABLE.match(value):
            raise StorageCorrupt(
                f"the secret {self._place(key)} has no field 'value' that awsv wrote",
                hint="look at it with 'bao kv get' or 'vault kv get', or remove it with 'awsv remove --force'",
            )
        return Secret(value)

    def _replace(self, key: str, content: dict[str, Any], expect: Expect, *, only_if_there: bool = False) -> State:
        """Write the next version over the one that was read, again and again until nobody came in between."""
        content = {**content, **_writer(self.service.identity.display_name)}
        ends = time.monotonic() + _CONTENTION_SECONDS
        while time.monotonic() < ends:
            state = self._read(key)
            if only_if_there and not state.is_there and expect in (ANY, ABSENT):
                raise _NothingThere
            self._check(key, state, expect)
            sent = self.service.calls.repeated
            written = self._write(key, content, state.number)
            if written is not None:
                return State(written["version"], written["created_time"], content)
            if self.service.calls.repeated != sent and (ours := self._found(key, state.number + 1, content["write"])):
                return ours
            time.sleep(secrets.randbelow(50) / 1000)
        raise StorageUnavailable(f"{self._place(key)} is written by others all the time", hint="try again")

    def _write(self, key: str, content: dict[str, Any], over: int) -> dict[str, Any] | None:
        """See :meth:`Service.write`.

        :raises StorageUnavailable: among others where it may have been written, which the message says.
        """
        calls = self.service.calls
        unanswered = calls.unanswered
        try:
            return self.service.write(self._path(key), content, over)
        except (StorageUnavailable, StorageLocked) as error:
            if calls.unanswered == unanswered:
                raise
            raise StorageUnavailable(
                f"nobody knows whether {self._place(key)} was written: {error.message}",
                hint="look at what is there when it answers again, and repeat it if need be",
            ) from None

    def _found(self, key: str, number: int, mark: str) -> State | None:
        """The version of this number if it is the one with our mark; None if it is another's.

        For a write that was refused after an attempt that was never answered: that attempt may be what is there now.

        :raises StorageUnavailable: nobody can tell any more.
        """
        ends = time.monotonic() + _VISIBLE_SECONDS
        while (state := self._read(key, number)).number == 0 and time.monotonic() < ends:
            time.sleep(0.1)  # a standby that is behind: the refusal says that there is such a version
        if state.data is None:
            raise StorageUnavailable(
                f"nobody knows whether {self._place(key)} was written: others have written and deleted it since",
                hint="look at what is there now, and repeat it if need be",
            )
        return state if state.data.get("write") == mark else None

    def _check(self, key: str, state: State, expect: Expect) -> None:
        """:raises StorageConflict: something else than ``expect`` is there."""
        if expect is ANY or expect == (state.version if state.is_there else ABSENT):
            return
        if not state.is_there:
            raise StorageConflict(f"{self._place(key)} is not there any more")
        if expect is ABSENT:
            raise StorageConflict(f"{self._place(key)} is taken: {state.written_by}")
        raise StorageConflict(f"{self._place(key)} is not as it was before: {state.written_by}")

    def _destroy(self, key: str, number: int, *, told: bool = True) -> None:
        """Destroy a tombstone and every version before it, so that no old value can be read.

        :param told: say so where the policy forbids it.
        """
        versions = range(max(1, number - _DESTROYED_AT_ONCE + 1), number + 1)
        self.service.destroy(self._path(key), versions, told=told)

    def _is_alive(self, path: str) -> bool:
        metadata = self.service.metadata(f"{self.folder}/{path}")
        current = inner(inner(metadata, "versions"), str(metadata.get("current_version")))
        if not current or current.get("destroyed"):
            return False
        ends = text(current, "deletion_time")
        try:
            return not ends or datetime.fromisoformat(ends) > datetime.now(UTC)
        except (ValueError, TypeError):  # no time, or one of nowhere: reading it tells
            return True


class _NothingThere(Exception):
    """There is nothing to delete."""


def _writer(name: str) -> dict[str, str]:
    """Who writes, where, and a mark by which the writer knows its own version again."""
    return {"by": name, "host": os.uname().nodename, "write": secrets.token_hex(16)}
