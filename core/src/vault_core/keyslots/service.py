"""The key slots of one store as one object: what a backend that keeps a slot table calls.

A passphrase slot whose key derivation costs less than a new slot's is made again at the next write; the user is
notified when it opens the store. Only the passphrase can be stretched again, so it is kept in memory from unlocking
until that write; a read never writes. A slot below the format's lower limits does not open at all. PBKDF2 and scrypt
slots are left as they are: they were chosen on purpose.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from vault_core.api import StoreContext
from vault_core.errors import StorageError
from vault_core.keyslots import new_slot, rekey, sources, unlock
from vault_core.keyslots.hints import on_store
from vault_core.keyslots.replay import record_secrets
from vault_core.secret import Secret
from vault_core.vlt import Argon2id, NewSlot, Slot, SlotTable
from vault_core.vlt.derive import slot_key


class StoreKeySlots:
    """See :class:`vault_core.vlt.KeySlots`.

    :param where: the store's name in messages.
    :param cost: of new slots; None means :data:`vault_core.keyslots.new_slot.DEFAULT_COST`.
    :param upgrades: False if the store cannot safely change its slots unasked; the notice then names the command for
        it.
    """

    def __init__(self, ctx: StoreContext, where: str, *, cost: Argon2id | None = None, upgrades: bool = True) -> None:
        self._ctx = ctx
        self._where = where
        self._cost = cost or new_slot.DEFAULT_COST
        self._upgrades = upgrades
        self._weak: tuple[bytes, Slot, Secret] | None = None  # store identity, slot, passphrase
        self._stronger: NewSlot | None = None
        self._recorder: StoreContext | None = None
        self._replayer: StoreContext | None = None

    def create(self) -> tuple[SlotTable, Secret]:
        return new_slot.table(self._ctx, cost=self._cost)

    def open(self, table: SlotTable) -> Secret:
        return unlock.open_table(self._recorder or self._ctx, table, self._where, self.note_opened)

    def open_copy(self, table: SlotTable, where: str) -> Secret:
        return unlock.open_table(self._ctx, table, where)

    def proven(self, table: SlotTable) -> None:
        sources.remember(self._ctx, table)

    def note_opened(self, store: bytes, slot: Slot, passphrase: Secret) -> None:
        """Note that this passphrase has opened this slot of the store with this identity."""
        kdf = slot.head["kdf"]
        if kdf["alg"] != "argon2id" or slot.cost >= self._cost.memory * self._cost.passes:
            return
        remedy = "the next write upgrades it" if self._upgrades else f"to upgrade it: {on_store(self._ctx, 'passwd')}"
        self._ctx.notify(
            f"a guess at the passphrase of {self._where} costs less than at one of a new store"
            f" (argon2id, {kdf['m'] / 1024:g} MiB, t={kdf['t']}); {remedy}"
        )
        if self._upgrades:
            self._weak = (store, slot, passphrase)

    @property
    def upgrade_pending(self) -> bool:
        """Whether a slot waits for the next write."""
        return self._weak is not None

    def prepare_upgrade(self) -> None:
        if self._weak is None or self._stronger is not None:
            return
        store, slot, passphrase = self._weak
        head = new_slot.fresh_head(slot.head, self._cost)
        try:
            self._stronger = NewSlot(store, head, slot_key(store, head, passphrase))
        except StorageError as error:  # too little memory here: not a reason to refuse the write
            self._ctx.notify(f"{slot.describe()} of {self._where} stays as it is: {error.message}")
            self.forget()

    def upgraded(self, table: SlotTable, dek: Secret) -> SlotTable:
        if self._weak is None or self._stronger is None:
            return table
        try:
            return table.replace(dek, self._weak[1].id, self._stronger)
        except StorageError:  # another process changed that slot
            return table

    def forget(self) -> None:
        self._weak = self._stronger = None

    @contextmanager
    def remembering(self) -> Iterator[None]:
        self._recorder, self._replayer = record_secrets(self._ctx)
        try:
            yield
        finally:
            self._recorder = None

    def rekey(self, table: SlotTable) -> tuple[SlotTable, Secret, tuple[Slot, ...]]:
        replayer, self._replayer = self._replayer, None
        return rekey.rekey(self._ctx, table, self._where, cost=self._cost, replayer=replayer)

    def forget_kept(self, table: SlotTable) -> None:
        rekey.forget_kept(self._ctx, table.store, table.slots)
