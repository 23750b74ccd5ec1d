"""The items in one folder of a KV version 2 mount. Every write uses check-and-set.

An item is one secret. A deleted item is a *tombstone*: another version, written with check-and-set, and then destroyed
together with all earlier versions. Its metadata stay: without them, version numbers would start again at 1, and a write
that expects version 3 of the old item could overwrite version 3 of a new one. See ADR 0011.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vault_core import api
from vault_plugin_hashicorp.fields import inner, text
from vault_plugin_hashicorp.server import shown
from vault_plugin_hashicorp.service import Service

_CONTENTION_SECONDS = 30.0
_VISIBLE_SECONDS = 3.0
"""How long to wait for a version that a standby may not have yet, or that the server has already dropped."""
_AT_ONCE = 8
"""Concurrent requests when a folder is listed."""
_DESTROYED_AT_ONCE = 100
"""Versions; a mount keeps ten of an item unless its operators set another number (``max_versions``)."""
_PRINTABLE = re.compile(r"[ -~]+\Z")
_UNSAFE_DOT = re.compile(r"\.(?=\.|/|\Z)")


def escape(key: str) -> str:
    """A key as a path that is valid for the server, which refuses ``..``, and for clients, which resolve ``.``.

    A dot before another dot, a slash or the end becomes ``D``, which does not occur in keys.
    """
    return _UNSAFE_DOT.sub("D", key)


def unescape(path: str) -> str:
    """The inverse of :func:`escape`."""
    return path.replace("D", ".")


@dataclass(frozen=True, slots=True)
class State:
    """The state of a path when it was read."""

    number: int
    """The server's number of the version, counting deleted ones; 0: there never was a version."""
    created: str
    """When the version was written, by the server's clock (RFC 3339, nanoseconds)."""
    data: dict[str, Any] | None
    """None: there is no data, or it was deleted."""

    @property
    def version(self) -> api.Version:
        # The number alone would start again at 1 after an operator deletes the metadata.
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


class Items(api.StorageBackend):
    """The items in one folder. Safe for use by several threads and processes.

    :param folder: the folder's path in the mount, without slashes around it.
    """

    def __init__(self, service: Service, folder: str) -> None:
        self.service = service
        self.folder = folder

    def get(self, key: str) -> api.Item | None:
        state = self._read(key)
        if state.is_tombstone:
            # The process that wrote it may have died before it destroyed the earlier versions.
            self._destroy(key, state.number, warn=False)
        if not state.is_there:
            return None
        return api.Item(value=self._value(key, state), version=state.version, written_by=state.written_by)

    def put(self, key: str, value: api.Secret, *, expect: api.Expect = api.ANY) -> api.Version:
        return self._replace(key, {"value": value.reveal_text()}, expect).version

    def delete(self, key: str, *, expect: api.Expect = api.ANY) -> bool:
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
        """The item's location, for messages."""
        return f"{self.service.mount}/{self._path(key)} at {self.service.address}"

    def _read(self, key: str, number: int | None = None) -> State:
        metadata, data = self.service.read(self._path(key), number)
        version = metadata.get("version")
        return State(version if isinstance(version, int) else 0, text(metadata, "created_time"), data)

    def _value(self, key: str, state: State) -> api.Secret:
        value = (state.data or {}).get("value")
        if not isinstance(value, str) or not _PRINTABLE.match(value):
            raise api.StorageCorrupt(
                f"the secret {self._place(key)} has no valid field 'value'",
                hint="show it with 'bao kv get' or 'vault kv get', or remove it with 'awsv remove --force'",
            )
        return api.Secret(value)

    def _replace(self, key: str, content: dict[str, Any], expect: api.Expect, *, only_if_there: bool = False) -> State:
        """Write the version after the one that was read; repeat until no other writer came between."""
        content = {**content, **_writer(self.service.identity.display_name)}
        ends = time.monotonic() + _CONTENTION_SECONDS
        while time.monotonic() < ends:
            state = self._read(key)
            if only_if_there and not state.is_there and expect in (api.ANY, api.ABSENT):
                raise _NothingThere
            self._check(key, state, expect)
            sent = self.service.client.repeated
            written = self._write(key, content, state.number)
            if written is not None:
                return State(written["version"], written["created_time"], content)
            if self.service.client.repeated != sent and (ours := self._find(key, state.number + 1, content["write"])):
                return ours
            time.sleep(secrets.randbelow(50) / 1000)
        raise api.StorageUnavailable(f"other processes keep changing {self._place(key)}", hint="try again")

    def _write(self, key: str, content: dict[str, Any], over: int) -> dict[str, Any] | None:
        """See :meth:`Service.write`.

        :raises StorageUnavailable: also if the write may have been executed, which the message says.
        """
        client = self.service.client
        unanswered = client.unanswered
        try:
            return self.service.write(self._path(key), content, over)
        except (api.StorageUnavailable, api.StorageLocked) as error:
            if client.unanswered == unanswered:
                raise
            raise api.StorageUnavailable(
                f"{self._place(key)} may or may not have been written: {error.message}",
                hint="when the server answers again, check the item, and repeat the command if needed",
            ) from None

    def _find(self, key: str, number: int, mark: str) -> State | None:
        """The version of this number if it has our mark; None if another process wrote it.

        For a write that was refused after an attempt without a response: that attempt may have written the version.

        :raises StorageUnavailable: the version was deleted since, so this cannot be decided.
        """
        ends = time.monotonic() + _VISIBLE_SECONDS
        while (state := self._read(key, number)).number == 0 and time.monotonic() < ends:
            time.sleep(0.1)  # a standby that lags behind: the refusal proves that the version exists
        if state.data is None:
            raise api.StorageUnavailable(
                f"{self._place(key)} may or may not have been written: other processes wrote and deleted it since",
                hint="check the item, and repeat the command if needed",
            )
        return state if state.data.get("write") == mark else None

    def _check(self, key: str, state: State, expect: api.Expect) -> None:
        """:raises StorageConflict: the state is not ``expect``."""
        if expect is api.ANY or expect == (state.version if state.is_there else api.ABSENT):
            return
        if not state.is_there:
            raise api.StorageConflict(f"{self._place(key)} no longer exists")
        if expect is api.ABSENT:
            raise api.StorageConflict(f"{self._place(key)} is taken: {state.written_by}")
        raise api.StorageConflict(f"{self._place(key)} is not as it was before: {state.written_by}")

    def _destroy(self, key: str, number: int, *, warn: bool = True) -> None:
        """Destroy a tombstone and every version before it, so that no old value can be read.

        :param warn: warn if the policy forbids it.
        """
        versions = range(max(1, number - _DESTROYED_AT_ONCE + 1), number + 1)
        self.service.destroy(self._path(key), versions, warn=warn)

    def _is_alive(self, path: str) -> bool:
        metadata = self.service.metadata(f"{self.folder}/{path}")
        current = inner(inner(metadata, "versions"), str(metadata.get("current_version")))
        if not current or current.get("destroyed"):
            return False
        ends = text(current, "deletion_time")
        try:
            return not ends or datetime.fromisoformat(ends) > datetime.now(UTC)
        except (ValueError, TypeError):  # not a time, or without a zone: reading the item decides
            return True


class _NothingThere(Exception):
    """The item to delete does not exist."""


def _writer(name: str) -> dict[str, str]:
    """The writer, its host, and a mark by which the writer recognises its own version."""
    return {"by": name, "host": os.uname().nodename, "write": secrets.token_hex(16)}
