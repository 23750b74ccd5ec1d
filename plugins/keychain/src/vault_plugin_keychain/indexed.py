"""Items with an index, for a keychain that cannot list its items, and whose writes are not atomic.

``keyring`` has no listing, and on macOS replaces an item by deleting it first. So an item in use is never replaced. A
value is written once, under a random name. The index maps each key to such a name; it has two slots, which are written
in turn, so that one is always complete. Before a value is written or deleted, its name is added to the trash of the
index: if the process dies in between, the next writer empties the trash.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Final

from vault_core.api import StorageCorrupt, StorageUnavailable
from vault_plugin_keychain.keychains import Keychain

_SLOTS: Final = 2
_PART = 4_096
"""Characters of one part of an index, without its head."""
_TRIES: Final = 5
_MOST_PARTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Index:
    generation: int = 0
    entries: dict[str, str] = field(default_factory=dict)
    """Key to the name of its value."""
    trash: tuple[str, ...] = ()
    """Names of values that are not in use; some may not exist."""


class IndexedKeychain:
    """A :class:`~vault_plugin_keychain.storage.TextStore`. Writers hold the store's lock, readers do not."""

    def __init__(self, keychain: Keychain) -> None:
        self._keychain = keychain

    def get(self, name: str) -> str | None:
        """The text; None if there is none, or if the user deleted the item of an index entry by hand."""
        seen = None
        for _ in range(_TRIES):
            value = self._read().entries.get(name)
            if value is None or value == seen:
                return None
            text = self._keychain.get(value)
            if text is not None:
                return text
            seen = value
        raise StorageUnavailable(f"the item {name} of the keychain keeps changing", hint="repeat the command")

    def set(self, name: str, text: str) -> None:
        value = f"value/{secrets.token_hex(12)}"
        index = self._without_trash(self._read())
        index = self._write(replace(index, trash=(value,)))
        self._keychain.set(value, text)
        old = index.entries.get(name)
        index = self._write(replace(index, entries=index.entries | {name: value}, trash=(old,) if old else ()))
        self._without_trash(index)

    def delete(self, name: str) -> bool:
        index = self._without_trash(self._read())
        value = index.entries.get(name)
        if value is None:
            return False
        existed = self._keychain.get(value) is not None
        entries = {key: other for key, other in index.entries.items() if key != name}
        self._without_trash(self._write(replace(index, entries=entries, trash=(value,))))
        return existed

    def names(self) -> list[str]:
        """The keys whose values exist."""
        return [name for name in self._read().entries if self.get(name) is not None]

    def _without_trash(self, index: _Index) -> _Index:
        """Delete the items in the trash; return the index without them. The next write of the index records that."""
        for value in index.trash:
            self._keychain.delete(value)
        return replace(index, trash=())

    # -- the index as items ------------------------------------------------------------------------------------------

    def _read(self) -> _Index:
        """The newest complete index.

        :raises StorageCorrupt: there is an index, and no complete one.
        """
        for _ in range(_TRIES):
            slots = [self._slot(number) for number in range(_SLOTS)]
            complete = [slot for slot in slots if isinstance(slot, _Index)]
            if complete:
                return max(complete, key=lambda index: index.generation)
            if not any(slots):
                return _Index()
        raise StorageCorrupt(
            "the index of awsv's items in the keychain is damaged",
            hint="delete the items 'index/0.0' and 'index/1.0' in your keychain's own program, and add your keys again",
        )

    def _slot(self, number: int) -> _Index | bool:
        """The index in a slot; True if the slot is damaged, False if it is empty."""
        first = self._keychain.get(_part(number, 0))
        if first is None:
            return False
        try:
            generation, count, digest, text = first.split(" ", 3)
            rest = [self._keychain.get(_part(number, part)) for part in range(1, min(int(count), _MOST_PARTS))]
            text += "".join(part or "" for part in rest)
            if hashlib.sha256(f"{generation} {text}".encode()).hexdigest() != digest:
                return True
            fields: Any = json.loads(text)
            return _Index(int(generation), dict(fields["entries"]), tuple(fields["trash"]))
        except (ValueError, KeyError, TypeError):
            return True

    def _write(self, index: _Index) -> _Index:
        """Write the next generation into the slot with the older index.

        :returns: the new index.
        """
        index = replace(index, generation=index.generation + 1)
        number = index.generation % _SLOTS
        text = json.dumps({"entries": index.entries, "trash": index.trash}, separators=(",", ":"))
        digest = hashlib.sha256(f"{index.generation} {text}".encode()).hexdigest()
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        for part in range(len(parts) - 1, 0, -1):  # the first part last: it makes the other parts valid
            self._keychain.set(_part(number, part), parts[part])
        self._keychain.set(_part(number, 0), f"{index.generation} {len(parts)} {digest} {parts[0]}")
        surplus = len(parts)
        while self._keychain.delete(_part(number, surplus)):
            surplus += 1
        return index


def _part(slot: int, part: int) -> str:
    return f"index/{slot}.{part}"
