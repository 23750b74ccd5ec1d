"""Upgrade a slot whose key derivation costs less than a new slot's: notify when it opens, make it again at the next
write.

Only the passphrase can be stretched again, so it is kept in memory from unlocking until that write; a read never
writes. A slot below the format's lower limits does not open at all. PBKDF2 and scrypt slots are left as they are: they
were chosen on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vault_core.errors import StorageError
from vault_core.keyslots import new_slot
from vault_core.keyslots.hints import on_store
from vault_core.secret import Secret
from vault_core.vlt.derive import slot_key
from vault_core.vlt.slot import NewSlot

if TYPE_CHECKING:
    from vault_core.api import StoreContext
    from vault_core.vlt.kdf import Argon2id
    from vault_core.vlt.slot import Slot
    from vault_core.vlt.slot_table import SlotTable


class KdfUpgrade:
    """The slot of one open store that should be made again, if any.

    :param where: the store's name in messages.
    :param cost: of new slots there; None means :data:`vault_core.keyslots.new_slot.DEFAULT_COST`.
    :param able: False if the store cannot safely change its slots unasked; the notice then names the command for it.
    """

    def __init__(self, ctx: StoreContext, where: str, *, cost: Argon2id | None = None, able: bool = True) -> None:
        self._ctx = ctx
        self._where = where
        self._cost = cost or new_slot.DEFAULT_COST
        self._able = able
        self._weak: tuple[bytes, Slot, Secret] | None = None
        self._new: NewSlot | None = None

    @property
    def pending(self) -> bool:
        """Whether a slot waits for the next write."""
        return self._weak is not None

    def opened(self, store: bytes, slot: Slot, passphrase: Secret) -> None:
        """Note that this passphrase has opened this slot of the store with this identity."""
        kdf = slot.head["kdf"]
        if kdf["alg"] != "argon2id" or slot.cost >= self._cost.memory * self._cost.passes:
            return
        remedy = "the next write upgrades it" if self._able else f"to upgrade it: {on_store(self._ctx, 'passwd')}"
        self._ctx.notify(
            f"a guess at the passphrase of {self._where} costs less than at one of a new store"
            f" (argon2id, {kdf['m'] / 1024:g} MiB, t={kdf['t']}); {remedy}"
        )
        if self._able:
            self._weak = (store, slot, passphrase)

    def prepare(self) -> None:
        """Derive the new slot's key; slow, so call it before the store is locked."""
        if self._weak is None or self._new is not None:
            return
        store, slot, passphrase = self._weak
        head = new_slot.fresh_head(slot.head, self._cost)
        try:
            self._new = NewSlot(store, head, slot_key(store, head, passphrase))
        except StorageError as error:  # too little memory here: not a reason to refuse the write
            self._ctx.notify(f"{slot.describe()} of {self._where} stays as it is: {error.message}")
            self.forget()

    def applied(self, table: SlotTable, dek: Secret) -> SlotTable:
        """The table with the upgraded slot; unchanged if there is none, or another process changed that slot."""
        if self._weak is None or self._new is None:
            return table
        try:
            return table.replace(dek, self._weak[1].id, self._new)
        except StorageError:
            return table

    def forget(self) -> None:
        """Forget the passphrase: the slot was written, or the store is closed."""
        self._weak = self._new = None
