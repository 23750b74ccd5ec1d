"""One key slot: its fields, strictly parsed and written back without loss (``docs/file-format.md`` §3.1 to §3.4).

:mod:`vault_core.vlt.derive` derives the key of a slot from a secret.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from vault_core.errors import StorageCorrupt
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.vlt.encoding import NewerFormat, canonical, fields, from_base64, to_base64
from vault_core.vlt.kdf import NO_KDF, cost, parse_kdf

DEK_BYTES = 32
HALF = 32
"""A slot key is a wrap key of this length, then a commitment of this length."""
MAX_FACTORS = 4
MAX_LABEL = 64
_ID = r"[0-9a-f]{16}"
_SOURCE = r"[a-z][a-z0-9-]{1,31}"
_FURTHER = {"passphrase": ("kdf",), "key": ("source",), "composite": ("factors",), "recovery": ()}


@dataclass(frozen=True, slots=True)
class Slot:
    """A key slot of a store. ``head`` is its JSON object without ``commit`` and ``wrap``."""

    head: Mapping[str, Any]
    commit: bytes
    wrap: bytes

    @classmethod
    def parse(cls, value: object, name: str) -> Slot:
        """Check one entry of a slot table.

        :param name: the entry's name in messages.
        :raises ValueError: it is not a slot of this format; :class:`NewerFormat` if only a newer version can have
            written it.
        """
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            raise ValueError(f"{name} has no type")
        if kind not in _FURTHER:
            raise NewerFormat(f"{name} has the unknown type {kind!a:.40}")
        further = _FURTHER[kind]
        slot = fields(value, ("commit", "id", "label", "type", "wrap", *further), name)
        _match(_ID, slot["id"], f"id of {name}")
        check_label(slot["label"], f"label of {name}")
        if kind == "passphrase":
            parse_kdf(slot["kdf"], f"kdf of {name}")
        elif kind == "key":
            _match(_SOURCE, slot["source"], f"source of {name}")
        elif kind == "composite":
            _check_factors(slot["factors"], name)
        return cls(
            {field: slot[field] for field in slot if field not in ("commit", "wrap")},
            from_base64(slot["commit"], f"commit of {name}", least=HALF),
            from_base64(slot["wrap"], f"wrap of {name}", least=DEK_BYTES + 16),
        )

    @classmethod
    def wrapped(cls, head: Mapping[str, Any], key: Secret, dek: Secret) -> Slot:
        """Wrap ``dek`` with the slot key ``key``. A slot key wraps one data key only."""
        from vault_core.vlt import primitives

        wrap = primitives.encrypt(key.reveal()[:HALF], dek.reveal(), canonical(head))
        return cls(head, key.reveal()[HALF:], wrap)

    def to_json(self) -> dict[str, Any]:
        """The object that :meth:`parse` reads."""
        return {**self.head, "commit": to_base64(self.commit), "wrap": to_base64(self.wrap)}

    @property
    def id(self) -> str:
        """16 hexadecimal digits, unique in the store."""
        return str(self.head["id"])

    @property
    def type(self) -> str:
        """``passphrase``, ``key``, ``composite`` or ``recovery``."""
        return str(self.head["type"])

    @property
    def label(self) -> str:
        """The user's name for the slot; public, may be empty."""
        return str(self.head["label"])

    @property
    def sources(self) -> tuple[str, ...]:
        """The passphrase sources that the slot names: one for a key slot, several for a composite slot, else none."""
        if self.type == "key":
            return (str(self.head["source"]),)
        return tuple(str(factor["source"]) for factor in self.head.get("factors", ()))

    @property
    def cost(self) -> int:
        """The total cost of its key derivations, in the unit of :func:`vault_core.vlt.kdf.cost`."""
        return sum(cost(part["kdf"]) for part in self.head.get("factors", (self.head,)) if "kdf" in part)

    def fits(self, key: Secret) -> bool:
        """Whether ``key`` is this slot's key; compared in constant time."""
        from vault_core.vlt import primitives

        return primitives.same(key.reveal()[HALF:], self.commit)

    def unwrap(self, key: Secret, where: str) -> Secret:
        """Unwrap the data encryption key (DEK).

        :param key: this slot's key: one that :meth:`fits`.
        :param where: the store's name in messages.
        :raises StorageCorrupt: the slot was damaged or forged.
        """
        from vault_core.vlt import primitives

        try:
            return Secret(primitives.decrypt(key.reveal()[:HALF], self.wrap, canonical(self.head)))
        except primitives.Forged:
            raise StorageCorrupt(
                f"{where} is damaged: the {_SECRET[self.type]} is right, but slot {self.id} does not hold the store's"
                " key",
                hint="restore it from a backup",
            ) from None

    def describe(self) -> str:
        """Type, short id, label and sources, for messages."""
        label = f" {self.label!r}" if self.label else ""
        opener = " and ".join(self.sources)
        return f"{self.type} slot {self.id[:8]}{label}" + (f" ({opener})" if opener else "")


@dataclass(frozen=True, slots=True)
class NewSlot:
    """A slot that lacks only the data key; :meth:`SlotTable.add` and :meth:`SlotTable.replace` wrap it.

    Everything that prompts or takes time happened before, so a store can add it while it holds its lock.

    :param store: the identity of the store that the slot was made for.
    :param head: the slot's fields without ``commit`` and ``wrap``.
    :param key: the slot key.
    """

    store: bytes
    head: Mapping[str, Any]
    key: Secret

    @property
    def id(self) -> str:
        """See :attr:`Slot.id`."""
        return str(self.head["id"])

    def wrap(self, dek: Secret) -> Slot:
        """The slot that holds ``dek``. Call it for one data key only."""
        return Slot.wrapped(self.head, self.key, dek)


_SECRET = {"passphrase": "passphrase", "key": "key", "composite": "set of factors", "recovery": "recovery key"}


def check_label(label: object, name: str) -> None:
    """Check a label.

    :raises ValueError: it is too long or has control characters; the message begins with ``name``.
    """
    if not isinstance(label, str) or len(label) > MAX_LABEL:
        raise ValueError(f"{name} is malformed: at most {MAX_LABEL} characters")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in label):
        raise ValueError(f"{name} is malformed: no control characters")


def _match(pattern: str, value: object, name: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{name} is malformed")


def _check_factors(value: object, name: str) -> None:
    if not isinstance(value, list) or not 2 <= len(value) <= MAX_FACTORS:
        raise ValueError(f"{name} must have 2 to {MAX_FACTORS} factors")
    derived = 0
    for number, entry in enumerate(value, 1):
        factor = fields(entry, ("kdf", "source"), f"factor {number} of {name}")
        _match(_SOURCE, factor["source"], f"source of factor {number} of {name}")
        if factor["kdf"] != NO_KDF:
            parse_kdf(factor["kdf"], f"kdf of factor {number} of {name}")
            derived += 1
    if not derived:
        raise ValueError(f"no factor of {name} has a key derivation function")
    if len({factor["source"] for factor in value}) < len(value):
        raise ValueError(f"two factors of {name} name the same source")
