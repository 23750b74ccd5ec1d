"""A list of items in a keychain that cannot be searched, and whose writes may be half done when the machine stops.

``keyring`` has no listing, and on macOS replaces an item by deleting it first. So nothing that counts is ever
replaced. A value is written once, under a random name; the index says which name belongs to which key, and lies in
two slots that are written in turn, so that one is always whole. Before a value is written, and before one is deleted,
its name is in the index's trash: whatever dies in between, the next writer empties it.
"""

from __future__ import annotations

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
    """Names of values that do not count; some may not exist."""


class Indexed:
    """A :class:`~vault_plugin_keychain.storage.Shelf`. Who writes holds the store's lock; who reads, none."""

    def __init__(self, keychain: Keychain) -> None:
        self._keychain = keychain

    def get(self, name: str) -> str | None:
        """The text, or None: also where the index still names an item that somebody deleted by hand."""
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
        index = self._emptied(self._read())
        index = self._write(replace(index, trash=(value,)))
        self._keychain.set(value, text)
        old = index.entries.get(name)
        index = self._write(replace(index, entries=index.entries | {name: value}, trash=(old,) if old else ()))
        self._emptied(index)

    def delete(self, name: str) -> bool:
        index = self._emptied(self._read())
        value = index.entries.get(name)
        if value is None:
            return False
        there = self._keychain.get(value) is not None
        left = {key: other for key, other in index.entries.items() if key != name}
        self._emptied(self._write(replace(index, entries=left, trash=(value,))))
        return there

    def names(self) -> list[str]:
        """The keys whose values are there."""
        return [name for name in self._read().entries if self.get(name) is not None]

    def _emptied(self, index: _Index) -> _Index:
        """The same without trash: of the items, not of the index, whose next write says so."""
        for value in index.trash:
            self._keychain.delete(value)
        return replace(index, trash=())

    # -- the index as items ------------------------------------------------------------------------------------------

    def _read(self) -> _Index:
        """The newest whole index.

        :raises StorageCorrupt: there are indexes, and none is whole.
        """
        for _ in range(_TRIES):
            slots = [self._slot(number) for number in range(_SLOTS)]
            whole = [slot for slot in slots if isinstance(slot, _Index)]
            if whole:
                return max(whole, key=lambda index: index.generation)
            if not any(slots):
                return _Index()
        raise StorageCorrupt(
            "the index of awsv's items in the keychain is damaged",
            hint="delete the items 'index/0.0' and 'index/1.0' in your keychain's own program, and add your keys again",
        )

    def _slot(self, number: int) -> _Index | bool:
        """The index in a slot, or whether there is anything else."""
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
        """Write the next generation into the slot of the one before the last.

        :returns: what was written.
        """
        index = replace(index, generation=index.generation + 1)
        number = index.generation % _SLOTS
        text = json.dumps({"entries": index.entries, "trash": index.trash}, separators=(",", ":"))
        digest = hashlib.sha256(f"{index.generation} {text}".encode()).hexdigest()
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        for part in range(len(parts) - 1, 0, -1):  # the first part last: it is what makes the others count
            self._keychain.set(_part(number, part), parts[part])
        self._keychain.set(_part(number, 0), f"{index.generation} {len(parts)} {digest} {parts[0]}")
        surplus = len(parts)
        while self._keychain.delete(_part(number, surplus)):
            surplus += 1
        return index


def _part(slot: int, part: int) -> str:
    return f"index/{slot}.{part}"
