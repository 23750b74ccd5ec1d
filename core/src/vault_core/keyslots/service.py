"""The key slots of one store as one object: what a backend that keeps a slot table calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vault_core.keyslots import new_slot, rekey, sources, unlock
from vault_core.keyslots.kdf_upgrade import KdfUpgrade
from vault_core.keyslots.replay import record_secrets
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.api import StoreContext
    from vault_core.vlt import Argon2id, Slot, SlotTable


class StoreKeySlots:
    """See :class:`vault_core.vlt.KeySlots`.

    :param where: the store's name in messages.
    :param cost: of new slots; None means :data:`vault_core.keyslots.new_slot.DEFAULT_COST`.
    :param upgrades: False if the store cannot safely change its slots unasked.
    """

    def __init__(self, ctx: StoreContext, where: str, *, cost: Argon2id | None = None, upgrades: bool = True) -> None:
        self._ctx = ctx
        self._where = where
        self._cost = cost
        self._upgrade = KdfUpgrade(ctx, where, cost=cost, able=upgrades)
        self._recorder: StoreContext | None = None
        self._replayer: StoreContext | None = None

    def create(self) -> tuple[SlotTable, Secret]:
        return new_slot.table(self._ctx, cost=self._cost)

    def open(self, table: SlotTable) -> Secret:
        return unlock.open_table(self._recorder or self._ctx, table, self._where, self._upgrade)

    def open_copy(self, table: SlotTable, where: str) -> Secret:
        return unlock.open_table(self._ctx, table, where)

    def proven(self, table: SlotTable) -> None:
        sources.remember(self._ctx, table)

    @property
    def upgrade_pending(self) -> bool:
        """Whether a slot waits for the next write."""
        return self._upgrade.pending

    def prepare_upgrade(self) -> None:
        self._upgrade.prepare()

    def upgraded(self, table: SlotTable, dek: Secret) -> SlotTable:
        return self._upgrade.applied(table, dek)

    def forget(self) -> None:
        self._upgrade.forget()

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
