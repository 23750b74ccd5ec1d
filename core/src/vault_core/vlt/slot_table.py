"""Key slots: the ways into a sealed store (``docs/file-format.md`` §3).

A :class:`SlotTable` is an immutable value: parsed strictly, written back without loss, changed by making another one.
A wrong secret (:class:`~vault_core.errors.WrongSecret`) and a damaged slot
(:class:`~vault_core.errors.StorageCorrupt`) are never confused.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vault_core.errors import (
    NoSecret,
    PassphraseError,
    PluginError,
    QuestionRefused,
    SourceUnavailable,
    StorageConflict,
    StorageDenied,
    StorageError,
    StorageLocked,
    UsageError,
    VaultError,
    WrongSecret,
)
from vault_core.keyslots import sources, unlock_slot
from vault_core.keyslots.new_slot import NewSlot, fresh_head, lock_name
from vault_core.secret import Secret
from vault_core.settings import DEFAULTS
from vault_core.vlt.encoding import from_base64, to_base64
from vault_core.vlt.kdf import MAX_TOTAL, Argon2id
from vault_core.vlt.slot import DEK_BYTES, Slot

if TYPE_CHECKING:
    from vault_core.api import Context
    from vault_core.keyslots.kdf_upgrade import KdfUpgrade

DEFAULT_COST = Argon2id()
"""What new passphrase slots cost: RFC 9106's second recommendation."""

STORE_BYTES = 16
MAX_SLOTS = 8
_TRIES = 3  # of a person who is asked for a recovery key


@dataclass(frozen=True)
class SlotTable:
    """The slots of one store, and the store's identity.

    :param store: 16 random bytes, made once.
    """

    store: bytes
    slots: tuple[Slot, ...]

    # -- reading and writing -------------------------------------------------------------------------------------------

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
        if sum(slot.cost for slot in table) > MAX_TOTAL:
            raise ValueError("the key derivations of its slots together cost more than a store's may")
        return cls(identity, table)

    def to_json(self) -> dict[str, Any]:
        """The fields that :meth:`parse` takes, as an object."""
        return {"store": to_base64(self.store), "slots": [slot.to_json() for slot in self.slots]}

    def of_type(self, kind: str) -> tuple[Slot, ...]:
        """The slots of one type."""
        return tuple(slot for slot in self.slots if slot.type == kind)

    def find(self, slot_id: str) -> Slot:
        """The slot whose id begins with ``slot_id``.

        :raises UsageError: none does, or several do.
        """
        found = [slot for slot in self.slots if slot.id.startswith(slot_id)] if slot_id else []
        if len(found) != 1:
            problem = "several slots have an id that begins" if found else "no slot has an id that begins"
            raise UsageError(f"{problem} with {slot_id!r}", hint="awsv slot list")
        return found[0]

    # -- a new store ---------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        ctx: Context,
        where: str,  # noqa: ARG003 - as in open()
        *,
        label: str = "",
        cost: Argon2id | None = None,
    ) -> tuple[SlotTable, Secret]:
        """Make a new store's table with one passphrase slot. The host asks for the new passphrase.

        :param where: names the store to people (a path).
        :param label: for people, public.
        :param cost: of the key derivation; None means :data:`DEFAULT_COST`.
        :returns: the table, and the data encryption key (DEK) that it opens.
        :raises PassphraseError: no source gave a passphrase.
        """
        store, dek = os.urandom(STORE_BYTES), Secret(os.urandom(DEK_BYTES))
        new = NewSlot.passphrase(
            store,
            lambda key_id, derive, source: ctx.unlock(key_id, derive, create=True, source=source),
            cost=cost or DEFAULT_COST,
            label=label,
        )
        return cls(store, (new.wrap(dek),)), dek

    # -- opening -------------------------------------------------------------------------------------------------------

    def open(self, ctx: Context, where: str, upgrade: KdfUpgrade | None = None) -> Secret:
        """The data encryption key (DEK): through a key slot, a composite one, or else a passphrase.

        A slot whose source is not installed, has no secret or a wrong one is passed over, and so is one whose source
        neither the settings name nor this store's slots were seen to (:mod:`vault_core.keyslots.sources`): until it is
        open, anybody may have written it. A recovery key is never asked for here.

        :param where: names the store to people (a path).
        :param upgrade: of the owner of the store, who writes: is told of the passphrase slot that opened.
        :raises WrongSecret: no secret that the sources gave fits.
        :raises PassphraseError: no source gave one.
        :raises StorageLocked: only a recovery key opens it.
        :raises StorageCorrupt: a secret is right, but its slot is damaged.
        """
        missed: list[str] = []
        quiet: list[str] = []  # of no interest to who gets in another way
        wrong = False
        may_be_asked = sources.may_be_asked(ctx, self.store)
        unnamed: list[str] = []
        for slot in (*self.of_type("key"), *self.of_type("composite")):
            if strange := [name for name in slot.sources if name not in may_be_asked]:
                missed.append(f"{slot.describe()} was not tried, as no setting names {' or '.join(strange)}")
                quiet.append(missed[-1])
                unnamed += strange
                continue
            try:
                key = unlock_slot.kept(ctx, self.store, slot) if slot.type == "key" else self._composite(ctx, slot)
                return slot.unwrap(key, where)
            except (WrongSecret, NoSecret, PluginError, SourceUnavailable) as error:
                missed.append(f"{slot.describe()} did not open: {error.message}")
                if not isinstance(error, SourceUnavailable):
                    quiet.append(missed[-1])
                elif self.of_type("passphrase"):
                    ctx.notify(missed[-1])
                wrong = wrong or isinstance(error, WrongSecret)
        if self.of_type("passphrase"):
            try:
                return self.open_by_passphrase(ctx, where, upgrade)[1]
            except VaultError:
                for line in quiet:
                    ctx.notify(line)
                raise
        if not missed:
            raise StorageLocked(f"{where} opens only with its recovery key", hint=self.way_out(ctx))
        failure = WrongSecret if wrong else NoSecret
        hint = self.way_out(ctx)
        if unnamed:
            named = ",".join(dict.fromkeys((*ctx.sources, *unnamed)))
            hint = f"if you know where it comes from, have it asked this once: --passphrase-source {named}"
        raise failure(f"nothing opens {where}: {'; '.join(missed)}", hint=hint)

    def proven(self, ctx: Context) -> None:
        """Say that whoever wrote these slots has the store's data key: the sources that they name may be asked.

        For who keeps the table: after it was opened and proven, and before a changed one is written.
        """
        sources.remember(ctx, self)

    def open_by_passphrase(self, ctx: Context, where: str, upgrade: KdfUpgrade | None = None) -> tuple[Slot, Secret]:
        """The slot that a passphrase opens, and the DEK; parameters and errors as of :meth:`open`.

        :raises StorageLocked: no slot opens with a passphrase alone.
        """
        slots = self.of_type("passphrase")
        if not slots:
            raise StorageLocked(f"{where} has no slot that a passphrase alone opens", hint=self.way_out(ctx))
        try:
            slot, key = unlock_slot.by_passphrase(ctx, self.store, slots, where, upgrade)
        except WrongSecret as error:
            # The host knows the store's name, and not which file, a backup perhaps, does not open.
            file = "" if where in error.message or where == f"store {ctx.store}" else f" ({where})"
            raise WrongSecret(error.message + file, hint=error.hint or self.way_out(ctx)) from None
        return slot, slot.unwrap(key, where)

    def open_by_recovery(self, text: Secret, where: str) -> tuple[Slot, Secret]:
        """The slot that a recovery key opens, and the DEK.

        :param text: the recovery key as it was typed.
        :raises StorageLocked: no recovery key was made.
        :raises WrongSecret: it is the recovery key of another store, or one that was removed.
        :raises PassphraseError: it is mistyped.
        """
        if not self.of_type("recovery"):
            raise StorageLocked(f"no recovery key was made for {where}")
        for slot in self.of_type("recovery"):
            key = unlock_slot.recovery(self.store, slot, slot.head, text)
            if key is not None:
                return slot, slot.unwrap(key, where)
        raise WrongSecret(
            f"this recovery key does not open {where}", hint="it may belong to another store, or have been replaced"
        )

    def way_out(self, ctx: Context) -> str:
        """What is left to somebody whose passphrase is wrong, as the hint of an error. Slot types are public."""
        if self.of_type("recovery"):
            return on_store(ctx, "passwd --recovery")
        others = [slot.describe() for slot in self.slots if slot.type != "passphrase"]
        if others:
            return f"the only other way in is {' or '.join(others)}: see to its sources"
        return "no other way in exists (no recovery key was made): find the passphrase, or restore from a backup"

    def _composite(self, ctx: Context, slot: Slot) -> Secret:
        try:
            return unlock_slot.composite(ctx, self.store, slot, slot.head)
        except (WrongSecret, NoSecret):
            raise
        except PassphraseError as error:  # a person was asked, and it is over
            raise PassphraseError(error.message, hint=error.hint or self.way_out(ctx)) from None

    # -- changing ------------------------------------------------------------------------------------------------------

    def add(self, dek: Secret, new: NewSlot) -> SlotTable:
        """With one more slot; as it is where it has that slot already, because a change is made again.

        :raises StorageError: there are as many as a store may have, or their derivations cost as much.
        """
        self._refuse_foreign(new)
        if self._has(new.id):
            return self
        if len(self.slots) >= MAX_SLOTS:
            raise StorageError(
                f"the store has {MAX_SLOTS} slots, and more do not fit", hint="awsv slot list, then awsv slot remove ID"
            )
        return self._with((*self.slots, new.wrap(dek)))

    def replace(self, dek: Secret, slot_id: str, new: NewSlot) -> SlotTable:
        """With a slot in place of the one with this id; as it is where the new one is there, as :meth:`add`.

        :raises StorageConflict: that one is gone.
        :raises StorageError: as :meth:`add`.
        """
        self._refuse_foreign(new)
        if self._has(new.id):
            return self
        self._expect(slot_id)
        return self._with(tuple(new.wrap(dek) if slot.id == slot_id else slot for slot in self.slots))

    def remove(self, slot_id: str) -> SlotTable:
        """Without the slot with this id.

        :raises StorageConflict: it is gone already.
        :raises StorageDenied: it is the last way in.
        """
        self._expect(slot_id)
        if len(self.slots) == 1:
            raise StorageDenied(
                "this slot is the last way into the store", hint="add another one first: awsv slot add --help"
            )
        return SlotTable(self.store, tuple(slot for slot in self.slots if slot.id != slot_id))

    def rekey(
        self,
        ctx: Context,
        where: str,
        *,
        keep: Container[str] | None = None,
        cost: Argon2id | None = None,
        repeating: Context | None = None,
    ) -> tuple[SlotTable, Secret, tuple[Slot, ...]]:
        """The same store under a new data key (DEK): every kept slot is opened and made again, with another id.

        Passphrases are asked for slot by slot, a recovery key at the terminal; a key slot gets a new key, which its
        source keeps besides the old one (:meth:`forget_kept` drops that when the new table is in use). What does not
        open is dropped; the caller asks before it writes the result.

        :param keep: ids of the slots to keep; None means all.
        :param repeating: says what opened the store (:func:`sealing.record_secrets`), before anybody is asked.
        :returns: the new table, its DEK, and the slots that were to be kept and did not open.
        :raises StorageLocked: none opened.
        """
        dek = Secret(os.urandom(DEK_BYTES))
        made: list[Slot] = []
        dropped: list[Slot] = []
        for slot in self.slots:
            if keep is not None and slot.id not in keep:
                continue
            try:
                new = self._repeated(repeating, slot, cost) or self._again(ctx, slot, cost)
                made.append(new.wrap(dek))
            except (PassphraseError, PluginError, SourceUnavailable, QuestionRefused) as error:
                ctx.notify(f"{slot.describe()} did not open: {error.message}")
                dropped.append(slot)
        if not made:
            raise StorageLocked(f"no slot of {where} opened: it keeps its data key", hint="awsv slot list")
        return SlotTable(self.store, tuple(made)), dek, tuple(dropped)

    def _repeated(self, repeating: Context | None, slot: Slot, cost: Argon2id | None) -> NewSlot | None:
        """The slot made anew from what was said before; None where that does not open it."""
        if repeating is None or slot.type not in ("passphrase", "composite"):
            return None
        with suppress(PassphraseError):
            return self._again(repeating, slot, cost, quiet=True)
        return None

    def _again(self, ctx: Context, slot: Slot, cost: Argon2id | None, *, quiet: bool = False) -> NewSlot:
        """The slot with an id and salts of its own, opened by the same secret."""
        if slot.type == "key":
            return NewSlot.kept(self.store, ctx, slot.sources[0], label=slot.label)
        head = fresh_head(slot.head, cost or DEFAULT_COST)
        if not quiet:
            ctx.notify(f"for {slot.describe()}:")
        if slot.type == "passphrase":
            key = unlock_slot.passphrase(ctx, self.store, slot, head)
        elif slot.type == "composite":
            key = unlock_slot.composite(ctx, self.store, slot, head)
        else:
            key = self._by_asked_recovery(ctx, slot, head)
        return NewSlot(self.store, head, key)

    def _by_asked_recovery(self, ctx: Context, slot: Slot, head: Mapping[str, Any]) -> Secret:
        for left in reversed(range(_TRIES)):
            try:
                key = unlock_slot.recovery(self.store, slot, head, ctx.ask("Recovery key: "))
                if key is None:
                    raise WrongSecret("this recovery key is another one")
                return key
            except PassphraseError as error:
                if not left:
                    raise
                ctx.notify(error.message)
        raise AssertionError("the last try returns or raises")

    def forget_kept(self, ctx: Context, slots: Iterable[Slot]) -> None:
        """Have sources forget the keys of key slots that are gone; what stays behind opens nothing."""
        for slot in slots:
            if slot.type == "key":
                with suppress(PassphraseError, PluginError, SourceUnavailable):
                    ctx.forget(slot.sources[0], lock_name(self.store, slot.id))

    def _with(self, slots: tuple[Slot, ...]) -> SlotTable:
        total = sum(slot.cost for slot in slots)
        if total > MAX_TOTAL:
            dearest = max(slots, key=lambda slot: slot.cost)
            raise StorageError(
                "the key derivations of all slots together would pass over"
                f" {total / 2**20:.2f} GiB of memory, and {MAX_TOTAL >> 20} are the most; nothing was changed",
                hint=f"remove or replace a dear one first: awsv slot remove {dearest.id[:8]}",
            )
        return SlotTable(self.store, slots)

    def _has(self, slot_id: str) -> bool:
        return any(slot.id == slot_id for slot in self.slots)

    def _expect(self, slot_id: str) -> None:
        if not self._has(slot_id):
            raise StorageConflict(
                f"slot {slot_id[:8]} was changed meanwhile; nothing was changed", hint="awsv slot list"
            )

    def _refuse_foreign(self, new: NewSlot) -> None:
        if new.store != self.store:
            raise StorageConflict(
                "another store is there now than a moment ago; nothing was changed", hint="repeat the command"
            )


def on_store(ctx: Context, command: str) -> str:
    """A command line for the store of a context."""
    backend = "" if ctx.store in ("", DEFAULTS["backend"]) else f" --backend {ctx.store}"
    return f"awsv {command}{backend}"
