"""Key slots: the ways into a sealed store (``docs/file-format.md`` §3).

A :class:`SlotTable` is parsed strictly and written back without loss, whatever types of slot it holds; this version
makes and opens passphrase slots with Argon2id. A wrong passphrase (:class:`~vault_core.errors.WrongSecret`) and a
damaged slot (:class:`~vault_core.errors.StorageCorrupt`) are never confused.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vault_core.errors import PassphraseError, StorageCorrupt, StorageLocked, WrongSecret
from vault_core.sealing.encoding import NewerFormat, canonical, fields, from_base64, lp, to_base64
from vault_core.sealing.kdf import SALT_BYTES, Argon2id, parse_kdf
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.api import Context

DEFAULT_COST = Argon2id()
"""What new passphrase slots cost: RFC 9106's second recommendation."""

STORE_BYTES = 16
DEK_BYTES = 32
MAX_SLOTS = 8
MAX_PASSPHRASE = 1_048_576
_HALF = 32  # a slot key is wrap key, then commitment
_ID = re.compile(r"[0-9a-f]{16}")
_SOURCE = re.compile(r"[a-z][a-z0-9-]{1,31}")
_FURTHER = {"passphrase": ("kdf",), "key": ("source",), "composite": ("factors",), "recovery": ()}


def passphrase_bytes(passphrase: Secret) -> bytes:
    """The bytes of a passphrase that go into its key derivation: UTF-8 of NFC.

    :raises PassphraseError: empty, longer than 1 MiB, or not UTF-8.
    """
    try:
        data = unicodedata.normalize("NFC", passphrase.reveal_text()).encode("utf-8")
    except ValueError:
        raise PassphraseError("the passphrase is not UTF-8 text") from None
    if not data:
        raise PassphraseError("the passphrase is empty")
    if len(data) > MAX_PASSPHRASE:
        raise PassphraseError("the passphrase is longer than 1 MiB")
    return data


@dataclass(frozen=True, slots=True)
class Slot:
    """One way in. ``head`` is the slot's JSON object without ``commit`` and ``wrap``."""

    head: Mapping[str, Any]
    commit: bytes
    wrap: bytes

    @classmethod
    def parse(cls, value: object, name: str) -> Slot:
        """:raises ValueError: not a slot of this format."""
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind not in _FURTHER:
            raise NewerFormat(f"{name} has the unknown type {kind!a:.40}")
        further = _FURTHER[kind] if isinstance(kind, str) else ()
        slot = fields(value, ("commit", "id", "label", "type", "wrap", *further), name)
        _match(_ID, slot["id"], f"id of {name}")
        _check_label(slot["label"], name)
        if kind == "passphrase":
            parse_kdf(slot["kdf"], f"kdf of {name}")
        elif kind == "key":
            _match(_SOURCE, slot["source"], f"source of {name}")
        elif kind == "composite":
            _check_factors(slot["factors"], name)
        return cls(
            {field: slot[field] for field in slot if field not in ("commit", "wrap")},
            from_base64(slot["commit"], f"commit of {name}", least=_HALF),
            from_base64(slot["wrap"], f"wrap of {name}", least=DEK_BYTES + 16),
        )

    def to_json(self) -> dict[str, Any]:
        return {**self.head, "commit": to_base64(self.commit), "wrap": to_base64(self.wrap)}

    @property
    def id(self) -> str:
        return str(self.head["id"])

    @property
    def type(self) -> str:
        return str(self.head["type"])

    @property
    def openable(self) -> bool:
        """Whether this version has what it takes to open it."""
        return self.type == "passphrase" and self.head["kdf"]["alg"] == "argon2id"


class SlotTable:
    """The slots of one store, and the store's identity.

    :param store: 16 random bytes, made once.
    """

    def __init__(self, store: bytes, slots: tuple[Slot, ...]) -> None:
        self.store = store
        self.slots = slots

    @classmethod
    def parse(cls, store: object, slots: object) -> SlotTable:
        """The table from the ``store`` and ``slots`` fields of a parsed JSON object.

        :raises ValueError: not of this format; :class:`NewerFormat` where a newer version must have written it.
        """
        identity = from_base64(store, "store", least=STORE_BYTES)
        if not isinstance(slots, list) or not 1 <= len(slots) <= MAX_SLOTS:
            raise ValueError(f"there are not 1 to {MAX_SLOTS} slots")
        table = tuple(Slot.parse(slot, f"slot {number}") for number, slot in enumerate(slots, 1))
        if len({slot.id for slot in table}) < len(table):
            raise ValueError("two slots have one id")
        return cls(identity, table)

    def to_json(self) -> dict[str, Any]:
        """The fields that :meth:`parse` takes, as an object."""
        return {"store": to_base64(self.store), "slots": [slot.to_json() for slot in self.slots]}

    @classmethod
    def create(
        cls, ctx: Context, where: str, *, label: str = "", cost: Argon2id | None = None
    ) -> tuple[SlotTable, Secret]:
        """Make a new store's table with one passphrase slot. The host asks for the new passphrase.

        :param where: names the store to people (a path).
        :param label: for people, public.
        :param cost: of the key derivation; None means :data:`DEFAULT_COST`.
        :returns: the table, and the data encryption key (DEK) that it opens.
        :raises PassphraseError: no source gave a passphrase.
        """
        from vault_core.sealing import primitives

        chosen = cost or DEFAULT_COST
        store, dek = os.urandom(STORE_BYTES), os.urandom(DEK_BYTES)
        kdf = {
            "alg": "argon2id",
            "m": chosen.memory,
            "t": chosen.passes,
            "p": chosen.lanes,
            "salt": to_base64(os.urandom(SALT_BYTES)),
        }
        head = {"id": os.urandom(8).hex(), "label": label, "type": "passphrase", "kdf": kdf}
        _check_label(label, where)
        key = ctx.unlock(
            _key_id(store, (str(head["id"]),)), lambda secret: _passphrase_key(store, head, secret), create=True
        ).reveal()
        wrap = primitives.encrypt(key[:_HALF], dek, canonical(head))
        return cls(store, (Slot(head, key[_HALF:], wrap),)), Secret(dek)

    def open(self, ctx: Context, where: str) -> Secret:
        """The data encryption key (DEK), through any slot that this version can open.

        :param where: names the store to people (a path).
        :raises WrongSecret: no passphrase that the sources gave fits.
        :raises PassphraseError: no source gave one.
        :raises StorageLocked: no slot is of a type that this version opens.
        :raises StorageCorrupt: the passphrase is right, but the slot is damaged.
        """
        slots = [slot for slot in self.slots if slot.openable]
        if not slots:
            ways = ", ".join(_describe(slot) for slot in self.slots)
            raise StorageLocked(f"{where} opens only with {ways}, which this version cannot", hint="update awsv")

        def derive(secret: Secret) -> Secret:
            for slot in slots:
                key = _passphrase_key(self.store, slot.head, secret)
                if _fits(slot, key):
                    return key
            raise WrongSecret(f"wrong passphrase for {where} (or its key slot was altered)")

        key = ctx.unlock(_key_id(self.store, tuple(slot.id for slot in slots)), derive)
        for slot in slots:
            if _fits(slot, key):
                return _unwrap(slot, key, where)
        raise StorageLocked(f"the key remembered for {where} does not fit it", hint="lock it, and unlock it again")


def _key_id(store: bytes, slot_ids: tuple[str, ...]) -> str:
    """A lock's name for the host. A slot that is made anew gets another id, so no remembered key outlives its slot."""
    return f"{store.hex()}/{'+'.join(slot_ids)}"


def _passphrase_key(store: bytes, head: Mapping[str, Any], secret: Secret) -> Secret:
    """A slot key: 32 bytes that wrap the DEK, 32 bytes that prove which passphrase they came from."""
    from vault_core.sealing import primitives

    kdf = head["kdf"]
    salt = from_base64(kdf["salt"], "salt", least=SALT_BYTES)
    material = primitives.argon2id(passphrase_bytes(secret), salt, Argon2id(kdf["m"], kdf["t"], kdf["p"]))
    return Secret(primitives.hkdf(material, store, b"vlt/v1/slot" + lp(canonical(head)), 2 * _HALF))


def _fits(slot: Slot, key: Secret) -> bool:
    from vault_core.sealing import primitives

    return primitives.same(key.reveal()[_HALF:], slot.commit)


def _unwrap(slot: Slot, key: Secret, where: str) -> Secret:
    from vault_core.sealing import primitives

    try:
        return Secret(primitives.decrypt(key.reveal()[:_HALF], slot.wrap, canonical(slot.head)))
    except primitives.Forged:
        raise StorageCorrupt(
            f"{where} is damaged: the passphrase is right, but slot {slot.id} does not hold the store's key",
            hint="restore it from a backup",
        ) from None


def _describe(slot: Slot) -> str:
    algorithm = f" ({slot.head['kdf']['alg']})" if slot.type == "passphrase" else ""
    return f"a {slot.type} slot{algorithm}"


def _match(pattern: re.Pattern[str], value: object, name: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{name} is malformed")


def _check_label(label: object, name: str) -> None:
    if not isinstance(label, str) or len(label) > 64 or any(unicodedata.category(c) in ("Cc", "Cs") for c in label):
        raise ValueError(f"label of {name} is malformed")


def _check_factors(value: object, name: str) -> None:
    if not isinstance(value, list) or not 2 <= len(value) <= 4:
        raise ValueError(f"{name} has not 2 to 4 factors")
    derived = 0
    for number, entry in enumerate(value, 1):
        factor = fields(entry, ("kdf", "source"), f"factor {number} of {name}")
        _match(_SOURCE, factor["source"], f"source of factor {number} of {name}")
        if factor["kdf"] != {"alg": "none"}:
            parse_kdf(factor["kdf"], f"kdf of factor {number} of {name}")
            derived += 1
    if not derived:
        raise ValueError(f"no factor of {name} has a key derivation")
    if len({factor["source"] for factor in value}) < len(value):
        raise ValueError(f"two factors of {name} have one source")
