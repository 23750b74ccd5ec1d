"""The slot table: every key slot of a store (``docs/file-format.md`` §3).

A :class:`SlotTable` is an immutable value: parsed strictly, written back without loss, changed by making another one.
A wrong secret (:class:`~vault_core.errors.WrongSecret`) and a damaged slot
(:class:`~vault_core.errors.StorageCorrupt`) are never confused. :mod:`vault_core.keyslots` has what prompts.
"""

from __future__ import annotations

from typing import Any

from vault_core.errors import StorageConflict, StorageDenied, StorageError, StorageLocked, UsageError, WrongSecret
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.vlt.derive import slot_key
from vault_core.vlt.encoding import from_base64, to_base64
from vault_core.vlt.kdf import MAX_TOTAL
from vault_core.vlt.slot import NewSlot, Slot

STORE_BYTES = 16
MAX_SLOTS = 8


@dataclass(frozen=True)
class SlotTable:
    """The key slots of one store, and the store's identity.

    :param store: 16 random bytes, made once.
    """

    store: bytes
    slots: tuple[Slot, ...]

    @classmethod
    def parse(cls, store: object, slots: object) -> SlotTable:
        """Check the ``store`` and ``slots`` fields of a parsed JSON object.

        :raises ValueError: they are not of this format; :class:`NewerFormat` if only a newer version can have written
            them.
        """
        identity = from_base64(store, "store", least=STORE_BYTES)
        if not isinstance(slots, list):
            raise ValueError("slots is not a list")
        if not 1 <= len(slots) <= MAX_SLOTS:
            raise ValueError(f"expected 1 to {MAX_SLOTS} slots, found {len(slots)}")
        table = tuple(Slot.parse(slot, f"slot {number}") for number, slot in enumerate(slots, 1))
        if len({slot.id for slot in table}) < len(table):
            raise ValueError("two slots have the same id")
        if sum(slot.cost for slot in table) > MAX_TOTAL:
            raise ValueError("the key derivations of all slots together cost more than the format allows")
        return cls(identity, table)

    def to_json(self) -> dict[str, Any]:
        """The ``store`` and ``slots`` fields, as an object."""
        return {"store": to_base64(self.store), "slots": [slot.to_json() for slot in self.slots]}

    def of_type(self, kind: str) -> tuple[Slot, ...]:
        """The slots of one type."""
        return tuple(slot for slot in self.slots if slot.type == kind)

    def find(self, slot_id: str) -> Slot:
        """The slot whose id begins with ``slot_id``.

        :raises UsageError: no slot matches, or several do.
        """
        matches = [slot for slot in self.slots if slot.id.startswith(slot_id)] if slot_id else []
        if len(matches) != 1:
            problem = "several slots have an id that begins" if matches else "no slot has an id that begins"
            raise UsageError(f"{problem} with {slot_id!r}", hint="awsv slot list")
        return matches[0]

    def open_by_recovery(self, text: Secret, where: str) -> tuple[Slot, Secret]:
        """The slot that a recovery key opens, and the data encryption key (DEK).

        :param text: the recovery key as it was typed.
        :param where: the store's name in messages.
        :raises StorageLocked: the store has no recovery key.
        :raises WrongSecret: it is the recovery key of another store, or one that was removed.
        :raises PassphraseError: it is mistyped.
        """
        if not self.of_type("recovery"):
            raise StorageLocked(f"{where} has no recovery key")
        for slot in self.of_type("recovery"):
            key = slot_key(self.store, slot.head, text)
            if slot.fits(key):
                return slot, slot.unwrap(key, where)
        raise WrongSecret(
            f"this recovery key does not open {where}", hint="it may belong to another store, or have been replaced"
        )

    def add(self, dek: Secret, new: NewSlot) -> SlotTable:
        """Add a slot. Without effect if the table has it already, because a store may repeat a change.

        :raises StorageConflict: the slot was made for another store.
        :raises StorageError: the table is full, or its key derivations would cost too much.
        """
        self._refuse_foreign(new)
        if self._has(new.id):
            return self
        if len(self.slots) >= MAX_SLOTS:
            raise StorageError(
                f"the store has {MAX_SLOTS} slots, which is the maximum",
                hint="awsv slot list, then awsv slot remove ID",
            )
        return self._with((*self.slots, new.wrap(dek)))

    def replace(self, dek: Secret, slot_id: str, new: NewSlot) -> SlotTable:
        """Put a slot in the place of the one with this id. Without effect if the new slot is there already.

        :raises StorageConflict: there is no slot with this id, or the new one was made for another store.
        :raises StorageError: the key derivations would cost too much.
        """
        self._refuse_foreign(new)
        if self._has(new.id):
            return self
        self._expect(slot_id)
        return self._with(tuple(new.wrap(dek) if slot.id == slot_id else slot for slot in self.slots))

    def remove(self, slot_id: str) -> SlotTable:
        """Remove the slot with this id.

        :raises StorageConflict: there is no slot with this id.
        :raises StorageDenied: it is the last slot.
        """
        self._expect(slot_id)
        if len(self.slots) == 1:
            raise StorageDenied(
                "this slot is the last way into the store", hint="add another one first: awsv slot add --help"
            )
        return SlotTable(self.store, tuple(slot for slot in self.slots if slot.id != slot_id))

    def _with(self, slots: tuple[Slot, ...]) -> SlotTable:
        total = sum(slot.cost for slot in slots)
        if total > MAX_TOTAL:
            dearest = max(slots, key=lambda slot: slot.cost)
            raise StorageError(
                "the key derivations of all slots together would pass over"
                f" {total / 2**20:.2f} GiB of memory; the maximum is {MAX_TOTAL >> 20} GiB; nothing was changed",
                hint=f"remove or replace the most expensive slot first: awsv slot remove {dearest.id[:8]}",
            )
        return SlotTable(self.store, slots)

    def _has(self, slot_id: str) -> bool:
        return any(slot.id == slot_id for slot in self.slots)

    def _expect(self, slot_id: str) -> None:
        if not self._has(slot_id):
            raise StorageConflict(
                f"another process changed slot {slot_id[:8]}; nothing was changed", hint="awsv slot list"
            )

    def _refuse_foreign(self, new: NewSlot) -> None:
        if new.store != self.store:
            raise StorageConflict("another store is in its place now; nothing was changed", hint="repeat the command")
