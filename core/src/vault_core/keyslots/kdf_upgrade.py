"""Slots whose key derivation costs less than a new slot's: told when they are opened, made anew at the next write.

What was enough when a store was made is less than what new stores get today. Only the passphrase can be stretched
anew, so it is kept in memory from the unlocking to that write; a read never writes. Slots below the format's lower
limits do not get here: they do not open at all. PBKDF2 and scrypt are left as they are: who chose them had a reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vault_core.errors import StorageError
from vault_core.keyslots.new_slot import NewSlot, fresh_head, passphrase_key
from vault_core.secret import Secret
from vault_core.vlt import slot_table

if TYPE_CHECKING:
    from vault_core.api import Context
    from vault_core.vlt.kdf import Argon2id
    from vault_core.vlt.slot import Slot
    from vault_core.vlt.slot_table import SlotTable


class KdfUpgrade:
    """The slot of one open store that is to be made anew, if any.

    :param where: names the store to people (a path).
    :param cost: of new slots there; None means :data:`vault_core.vlt.slot_table.DEFAULT_COST`.
    :param able: False where the owner of the store has no safe way to do that by itself, so that people are told how.
    """

    def __init__(self, ctx: Context, where: str, *, cost: Argon2id | None = None, able: bool = True) -> None:
        self._ctx = ctx
        self._where = where
        self._cost = cost or slot_table.DEFAULT_COST
        self._able = able
        self._found: tuple[bytes, Slot, Secret] | None = None
        self._new: NewSlot | None = None

    @property
    def pending(self) -> bool:
        """Whether a slot waits for the next write."""
        return self._found is not None

    def opened(self, store: bytes, slot: Slot, passphrase: Secret) -> None:
        """Note that this passphrase has opened this slot of the store with this identity."""
        kdf = slot.head["kdf"]
        if kdf["alg"] != "argon2id" or slot.cost >= self._cost.memory * self._cost.passes:
            return
        mended = (
            "the next write mends that" if self._able else f"to mend that: {slot_table.on_store(self._ctx, 'passwd')}"
        )
        self._ctx.notify(
            f"a guess at the passphrase of {self._where} costs less than at one of a new store"
            f" (argon2id, {kdf['m'] / 1024:g} MiB, t={kdf['t']}); {mended}"
        )
        if self._able:
            self._found = (store, slot, passphrase)

    def prepare(self) -> None:
        """Derive the new slot's key; slow, so before the store's lock is taken."""
        if self._found is None or self._new is not None:
            return
        store, slot, passphrase = self._found
        head = fresh_head(slot.head, self._cost)
        try:
            self._new = NewSlot(store, head, passphrase_key(store, head, passphrase))
        except StorageError as error:  # too little memory here: no reason to refuse the write
            self._ctx.notify(f"{slot.describe()} of {self._where} stays as it is: {error.message}")
            self.forget()

    def applied(self, table: SlotTable, dek: Secret) -> SlotTable:
        """The table with the slot made anew; as it is where that slot was changed meanwhile, or none waits."""
        if self._found is None or self._new is None:
            return table
        try:
            return table.replace(dek, self._found[1].id, self._new)
        except StorageError:
            return table

    def forget(self) -> None:
        """Let go of the passphrase: it was written, or the store is closed."""
        self._found = self._new = None
