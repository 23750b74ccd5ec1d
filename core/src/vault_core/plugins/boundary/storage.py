"""Storage backends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vault_core.api import ANY, Expect, Item, SharedItems, StorageBackend, Version
from vault_core.plugins.boundary.calls import Calls, Opened, type_of
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret
from vault_core.vlt import SlotKeeper

if TYPE_CHECKING:
    from vault_core.api import StorageSpec, StoreContext
    from vault_core.vlt import SlotTable

_END = object()


def open_store(plugins: Plugins, spec: StorageSpec, context: StoreContext) -> StorageBackend:
    """Open the store of a backend; the result has the same optional capabilities."""
    calls = Calls(plugins, "storage", spec.name)
    opened = calls.expect("open", calls("open", spec.open, context), StorageBackend, "a StorageBackend")
    return _around(opened, calls)


def _around(opened: StorageBackend, calls: Calls) -> StorageBackend:
    if isinstance(opened, SharedItems):
        return (_SharedKeeperStore if isinstance(opened, SlotKeeper) else _SharedStore)(opened, calls)
    return (_KeeperStore if isinstance(opened, SlotKeeper) else _Store)(opened, calls)


class _Store(Opened, StorageBackend):
    def get(self, key: str) -> Item | None:
        item = self._optional(Item, "an Item", "get", key)
        if item is not None:
            self._calls.fields("get", item, value=Secret, version=str, written_by=str)
        return item

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        return self._checked(str, "a version, which is a str", "put", key, value, expect=expect)

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        return self._checked(bool, "a bool", "delete", key, expect=expect)

    def keys(self) -> Iterator[str]:
        wanted = "an iterator of str"
        keys = self._call("keys")
        if isinstance(keys, str | bytes):
            self._calls.refuse("keys", type_of(keys), wanted)
        self._calls.expect("keys", keys, Iterable, wanted)
        return self._each(self._calls("keys", iter, keys), wanted)

    def _each(self, keys: Iterator[Any], wanted: str) -> Iterator[str]:
        while (key := self._calls("keys", next, keys, _END)) is not _END:
            if not isinstance(key, str):
                self._calls.refuse("keys", f"a key that is {type_of(key)}", wanted)
            yield key

    def close(self) -> None:
        self._call("close")


class _SharedStore(_Store, SharedItems):
    def shared(self) -> StorageBackend:
        returned = self._calls.expect("shared", self._call("shared"), StorageBackend, "a StorageBackend")
        return _around(returned, self._calls)


class _KeeperStore(_Store, SlotKeeper):
    def slots(self) -> SlotTable | None:
        from vault_core.vlt import SlotTable as Table  # most commands open no store

        return self._optional(Table, "a SlotTable", "slots")

    def change_slots(self, change: Callable[[SlotTable, Secret], SlotTable], *, dek: Secret | None = None) -> None:
        self._call("change_slots", change, dek=dek)


class _SharedKeeperStore(_SharedStore, _KeeperStore):
    pass
