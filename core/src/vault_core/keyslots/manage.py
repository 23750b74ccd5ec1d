"""The key slots of one store: list, add and remove them, and change the passphrase."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

from vault_core.api import PassphraseSourceSpec, StoreContext
from vault_core.errors import NO_KEY, PassphraseError, PluginError, UsageError, VaultError
from vault_core.keyslots import new_slot, rekey
from vault_core.keyslots.hints import missing_store
from vault_core.keyslots.new_slot import DEFAULT_COST, Choose, lock_name
from vault_core.keyslots.service import StoreKeySlots
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.vlt import NewSlot, Slot, SlotKeeper, SlotTable
from vault_core.vlt.derive import slot_key


class ChangingContext(StoreContext, Protocol):
    """The context of a store whose key slots are changed."""

    def choose(self, key_id: str, derive: Callable[[Secret], Secret], source: str | None = None) -> Secret:
        """The key of a new slot of an existing store.

        :param source: the source that has the passphrase; None: the user chooses one at a prompt.
        :raises PassphraseError: there is no new passphrase.
        """


@dataclass(frozen=True, slots=True)
class SlotSummary:
    """A key slot without its secrets.

    :param type: ``passphrase``, ``key``, ``composite`` or ``recovery``.
    :param sources: the passphrase sources that it names.
    :param kdf: for each passphrase, the key derivation: its ``alg`` and its cost.
    """

    id: str
    type: str
    label: str
    sources: Sequence[str]
    kdf: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SlotList:
    """The key slots of a store, in its order.

    :param recovery: whether there is a recovery key.
    """

    store: str
    recovery: bool
    slots: Sequence[SlotSummary]


@dataclass(frozen=True)
class KeySlots:
    """The key slots of one store.

    :param context: of the store.
    :param keeper: the open store.
    :param load_source: the spec of a passphrase source, by name; raises PluginError.
    :param forget_keys: forgets the derived keys of this process whose id begins with the text.
    :param place: where the store is, if that says more than its name.
    """

    context: ChangingContext
    keeper: SlotKeeper
    load_source: Callable[[str], PassphraseSourceSpec]
    forget_keys: Callable[[str], None]
    place: str | None = None

    @property
    def where(self) -> str:
        return f"store {self.context.store!r}"

    @property
    def file(self) -> str:
        """The name of the store in the message about a secret that does not open it."""
        return self.place or self.where

    @cached_property
    def _store_slots(self) -> StoreKeySlots:
        return StoreKeySlots(self.context, self.file)

    def table(self) -> SlotTable:
        """The slots as they are now.

        :raises StorageUnavailable: the store does not exist yet.
        """
        table = self.keeper.slots()
        if table is None:
            raise missing_store(self.context)
        return table

    def open(self) -> Secret:
        """The data key, by any slot but a recovery key."""
        return self._store_slots.open(self.table())

    def list(self) -> SlotList:
        """The slots as they are now, without secrets. Never prompts."""
        slots = self.table().slots
        return SlotList(self.context.store, any(slot.type == "recovery" for slot in slots), [*map(_summary, slots)])

    # -- changing ------------------------------------------------------------------------------------------------------

    def change(self, change: Callable[[SlotTable, Secret], SlotTable], dek: Secret) -> None:
        """Change the slots of the opened store, and forget the derived keys of slots that are gone."""
        changed = b""
        self._store_slots.prepare_upgrade()

        def recorded(table: SlotTable, key: Secret) -> SlotTable:
            nonlocal changed
            changed = table.store
            return self._store_slots.upgraded(change(table, key), key)

        self.keeper.change_slots(recorded, dek=dek)
        self.forget_keys(f"{changed.hex()}/")

    def add(self, new: NewSlot, dek: Secret) -> None:
        """Put one more slot into the opened store."""
        self.change(lambda table, key: table.add(key, new), dek)

    def lacks(self, new: NewSlot) -> bool:
        """Whether the store certainly has no such slot, after a failure: a late failure can follow the write."""
        try:
            return all(slot.id != new.id for slot in self.table().slots)
        except VaultError:
            return False

    def add_key(self, source: str, dek: Secret, label: str) -> NewSlot:
        """Add a slot for a random key that a source keeps. The source gets the key first: a slot without its key would
        open nothing."""
        table = self.table()
        new = new_slot.key(table.store, self.context, source, label=label)
        try:
            self.add(new, dek)
        except VaultError:
            if self.lacks(new):
                rekey.forget_kept(self.context, table.store, [new.wrap(dek)])
            raise
        return new

    def new_passphrase(self, choose: Choose, label: str = "") -> NewSlot:
        """A slot for a new passphrase, still to be added.

        :param choose: chooses the passphrase.
        """
        return new_slot.passphrase(self.table().store, choose, cost=DEFAULT_COST, label=label)

    def new_composite(self, names: Sequence[str], label: str) -> NewSlot:
        """A slot for the passphrases of several sources together, still to be added."""
        # After a wrong passphrase only the last source is asked again: one that prompts.
        ordered = sorted(names, key=lambda name: self.load_source(name).interactive)
        return new_slot.composite(self.table().store, self.context.choose, ordered, cost=DEFAULT_COST, label=label)

    def new_from_source(self, source: str, label: str) -> NewSlot:
        """A slot for the passphrase that a source has already, still to be added.

        :param label: the source's name if empty.
        :raises PassphraseError: that passphrase opens the store already.
        """
        table = self.table()

        def choose(key_id: str, derive: Callable[[Secret], Secret], _source: str | None) -> Secret:
            def new(secret: Secret) -> Secret:
                for slot in table.of_type("passphrase"):
                    if slot.fits(slot_key(table.store, slot.head, secret)):
                        raise PassphraseError(
                            f"the passphrase of source {source!r} opens {self.where} already, by the {slot.describe()}"
                        )
                return derive(secret)

            return self.context.choose(key_id, new, source)

        return new_slot.passphrase(table.store, choose, cost=DEFAULT_COST, label=label or source)

    def replace_passphrase(self, old: Slot | None, new: NewSlot, dek: Secret) -> None:
        """Put a new passphrase slot in the place of the old one; without an old one, add it."""
        if old is None:
            self.add(new, dek)
        else:
            replaced = old.id
            self.change(lambda table, key: table.replace(key, replaced, new), dek)

    def remove(self, slot: Slot, dek: Secret) -> None:
        """Remove a slot from the opened store, and have its source forget the key that it keeps."""
        store = self.table().store
        self.change(lambda table, _key: table.remove(slot.id), dek)
        if slot.type != "key":
            return
        try:
            self.context.forget(slot.sources[0], lock_name(store, slot.id))
        except NO_KEY as error:
            self.context.notify(
                f"{slot.sources[0]} may still keep its key, which no longer opens anything: {error.message}"
            )

    # -- what the sources of the slots need ----------------------------------------------------------------------------

    def has_passphrase(self, source: str) -> bool:
        """Whether a source keeps no keys, but has a passphrase of its own.

        :raises UsageError: it prompts for the passphrase.
        """
        spec = self.load_source(source)
        if spec.interactive and not spec.writable:
            raise UsageError(f"passphrase source {source!r} prompts and keeps no key", hint="give --passphrase")
        return not spec.writable

    def warn_of_outage(self, known: Mapping[str, str] = MappingProxyType({})) -> None:
        """Warn if every slot needs the network: a store that only AWS opens stays locked while AWS is down.

        A passphrase slot does not say where its passphrase is kept: the sources that the settings name count.

        :param known: the sources of passphrase slots (by id) where they are known.
        """
        configured = self.context.sources
        needed: dict[str, None] = {}
        for slot in self.table().slots:
            names = (known[slot.id],) if slot.id in known else configured if slot.type == "passphrase" else slot.sources
            remote = [name for name in names if self._is_remote(name)]
            # A passphrase needs one of its sources, a composite slot all of them.
            if not remote or (slot.type == "passphrase" and len(remote) < len(names)):
                return
            needed.update(dict.fromkeys(remote))
        self.context.notify(
            f"warning: {self.where} opens only with {' or '.join(needed)}: while that cannot be reached, it stays"
            " locked ('awsv recovery' makes a recovery key, which needs no network)"
        )

    def _is_remote(self, source: str) -> bool:
        with suppress(PluginError):  # not installed here: whether it needs the network is not known
            return self.load_source(source).remote
        return False


def _summary(slot: Slot) -> SlotSummary:
    kdfs = [part["kdf"] for part in slot.head.get("factors", [slot.head]) if "kdf" in part]
    costs = [{name: value for name, value in kdf.items() if name != "salt"} for kdf in kdfs]
    return SlotSummary(slot.id, slot.type, slot.label, slot.sources, costs)


def passphrase_slot(table: SlotTable, slot_id: str | None) -> Slot | None:
    """The passphrase slot to change; None where there is none.

    :param slot_id: as for :meth:`SlotTable.find`; None: the only one.
    :raises UsageError: there are several, or that slot has no passphrase.
    """
    slots = table.of_type("passphrase")
    if slot_id is not None:
        named = table.find(slot_id)
        if named not in slots:
            raise UsageError(f"{named.describe()} has no passphrase to change", hint="awsv slot list")
        return named
    if len(slots) > 1:
        raise UsageError(
            f"the store has {len(slots)} passphrases: which one do you want to change?",
            hint="'awsv slot list' shows them; give --slot ID",
        )
    return slots[0] if slots else None


def lacks_store(keeper: SlotKeeper) -> bool:
    """Whether the store does not exist yet. Never prompts. False for a store without slots, or one in trouble."""
    try:
        return keeper.slots() is None
    except VaultError:
        return False
