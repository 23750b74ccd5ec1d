"""The two sides of a backend that keeps key slots: what it does for the core, and what the host does for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.vlt.slot import Slot
    from vault_core.vlt.slot_table import SlotTable


class SlotKeeper(ABC):
    """What an open store with key slots offers besides: ``awsv slot``, ``passwd`` and ``recovery`` work through it.

    The core's sealed stores are slot keepers; a backend with ``at_rest=BACKEND`` may be one.
    """

    @abstractmethod
    def slots(self) -> SlotTable | None:
        """The store's slots as they are now, or None if the store does not exist yet. Never prompts.

        :raises StorageError: the store cannot be read.
        """

    @abstractmethod
    def change_slots(self, change: Callable[[SlotTable, Secret], SlotTable], *, dek: Secret | None = None) -> None:
        """Replace the slots, atomically and durably; the entries stay as they are.

        :param change: returns the new slots, given the current slots (read while the lock is held) and the data key
            (DEK). It never prompts, and may run several times.
        :param dek: the data key, if the caller has opened the store already (with a recovery key, for example). The
            backend then does not prompt; it checks this key like any other.
        :raises PassphraseError: the store cannot be opened.
        :raises StorageUnavailable: the store does not exist.
        :raises StorageCorrupt: ``dek`` is not the data key of this store.
        """


class KeySlots(Protocol):
    """What the host does for a backend that keeps the slot table of one store: everything that may prompt.

    :meth:`~vault_core.api.StoreContext.key_slots` returns one. It remembers between its calls: keep one for each open
    store, and call :meth:`forget` when the store is closed.
    """

    def create(self) -> tuple[SlotTable, Secret]:
        """A new store's table, with one passphrase slot, and its data key (DEK). The user chooses the passphrase.

        :raises PassphraseError: no source gave a passphrase.
        """

    def open(self, table: SlotTable) -> Secret:
        """The data key, by a key slot, a composite slot, or else a passphrase.

        :raises WrongSecret: none of the secrets fits.
        :raises PassphraseError: no source gave a secret.
        :raises StorageLocked: only a recovery key opens the store.
        :raises StorageCorrupt: a secret is right, but its slot is damaged.
        """

    def open_copy(self, table: SlotTable, where: str) -> Secret:
        """The data key of a copy of the store, a backup for example; raises as :meth:`open`.

        :param where: the copy's name in messages.
        """

    def proven(self, table: SlotTable) -> None:
        """Note that the holder of the data key wrote this table: its slots may use the sources that they name.

        Call it after a table was opened and authenticated, and before a changed one is written.
        """

    def prepare_upgrade(self) -> None:
        """Derive a stronger slot in place of a weak one that :meth:`open` found; slow, so call it before locking."""

    def upgraded(self, table: SlotTable, dek: Secret) -> SlotTable:
        """The table with the slot of :meth:`prepare_upgrade`, to be written; unchanged if there is none."""

    def forget(self) -> None:
        """Forget the passphrase that is kept for :meth:`prepare_upgrade`: the table is written, or the store closed."""

    def remembering(self) -> AbstractContextManager[None]:
        """While active, :meth:`open` records the secrets that it uses, so that :meth:`rekey` need not prompt again."""

    def rekey(self, table: SlotTable) -> tuple[SlotTable, Secret, tuple[Slot, ...]]:
        """The same slots, made again under a new data key.

        :returns: the new table, its data key, and the slots that did not open and are dropped.
        :raises StorageLocked: no slot opened.
        """

    def forget_kept(self, table: SlotTable) -> None:
        """Have the sources forget the keys of the key slots of a table that is not in use any more."""
