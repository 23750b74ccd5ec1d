"""The smallest storage backend, for tests of what wraps one; and a change of the slots of a store over it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from vault_core.api import (
    ABSENT,
    ANY,
    Capability,
    Expect,
    Item,
    Secret,
    StorageBackend,
    StorageConflict,
    Version,
)
from vault_core.keyslots import new_slot
from vault_core.storage.sealed import SLOTS_KEY
from vault_core.vlt import SlotKeeper

BOTH = Capability.CREATE_ONLY | Capability.CAS


class MemoryBackend(StorageBackend):
    """Keeps text in ``kept``; knows every ``expect``, and remembers in ``asked`` what was put with which."""

    def __init__(self, kept: Mapping[str, str] | None = None) -> None:
        self.kept = dict(kept or {})
        self.lock = threading.Lock()
        self.asked: list[tuple[str, Expect]] = []

    def get(self, key: str) -> Item | None:
        value = self.kept.get(key)
        return None if value is None else Item(value=Secret(value), version=str(hash(value)))

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        with self.lock:
            self.asked.append((key, expect))
            found = self.get(key)
            if expect is not ANY and expect != (found.version if found else ABSENT):
                raise StorageConflict(key)
            self.kept[key] = text = value.reveal().decode("ascii")
            return str(hash(text))

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        found = self.get(key)
        if expect is not ANY and (found is None or expect != found.version):
            raise StorageConflict(key)
        return self.kept.pop(key, None) is not None

    def keys(self) -> Iterator[str]:
        return iter(list(self.kept))


def after_next_read(inner: MemoryBackend, work: Callable[[], object]) -> None:
    """Have something be done behind the back of whoever reads the slots next."""
    real = inner.get

    def get(key: str) -> Item | None:
        found = real(key)
        if key == SLOTS_KEY and inner.get is get:
            inner.get = real  # type: ignore[method-assign]  # for this one object
            work()
        return found

    inner.get = get  # type: ignore[method-assign]  # for this one object


def rescue(store: SlotKeeper) -> Secret:
    """Give a store one more slot, with a recovery key: its text."""
    table = store.slots()
    assert table is not None
    new, text = new_slot.recovery(table.store)
    store.change_slots(lambda slots, dek: slots.add(dek, new))
    return text
