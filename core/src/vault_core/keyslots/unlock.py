"""Open a slot table: try its slots until one gives the data key.

A function for one slot takes the slot to open and a ``head``, and returns the slot key of that head. To open a slot,
pass its own head; to make the slot again (:mod:`~vault_core.keyslots.rekey`), a fresh one: the old slot then proves the
secret.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from vault_core.api import StoreContext
from vault_core.errors import (
    NoSecret,
    PassphraseError,
    PluginError,
    SourceUnavailable,
    StorageLocked,
    VaultError,
    WrongSecret,
)
from vault_core.keyslots import sources
from vault_core.keyslots.hints import other_ways
from vault_core.keyslots.new_slot import lock_name
from vault_core.secret import Secret
from vault_core.vlt.derive import composite_key, slot_key, stretched
from vault_core.vlt.slot import Slot
from vault_core.vlt.slot_table import SlotTable

Note = Callable[[bytes, Slot, Secret], None]
"""Gets the store's identity, the slot that a passphrase opened, and the passphrase."""


def no_note(_store: bytes, _slot: Slot, _passphrase: Secret) -> None:
    """The :data:`Note` of a caller that only reads."""


def open_table(ctx: StoreContext, table: SlotTable, where: str, note: Note = no_note) -> Secret:
    """The data encryption key (DEK): by a key slot, a composite slot, or else a passphrase.

    A slot is passed over if its source is not installed, has no secret or a wrong one, or if neither the settings nor
    this store's own slots named that source before (:mod:`vault_core.keyslots.sources`): until the store is open, the
    slot may be forged. A recovery key is never asked for here.

    :param where: the store's name in messages.
    :param note: of a caller that writes the store: gets the passphrase slot that opened.
    :raises WrongSecret: none of the secrets fits.
    :raises PassphraseError: no source gave a secret.
    :raises StorageLocked: only a recovery key opens the store.
    :raises StorageCorrupt: a secret is right, but its slot is damaged.
    """
    missed: list[str] = []
    quiet: list[str] = []  # shown only if no passphrase opens the store
    wrong = False
    may_be_asked = sources.may_be_asked(ctx, table.store)
    unnamed: list[str] = []
    for slot in (*table.of_type("key"), *table.of_type("composite")):
        if strange := [name for name in slot.sources if name not in may_be_asked]:
            missed.append(f"{slot.describe()} was not tried, as no setting names {' or '.join(strange)}")
            quiet.append(missed[-1])
            unnamed += strange
            continue
        try:
            return slot.unwrap(_key(ctx, table, slot), where)
        except (WrongSecret, NoSecret, PluginError, SourceUnavailable) as error:
            missed.append(f"{slot.describe()} did not open: {error.message}")
            if not isinstance(error, SourceUnavailable):
                quiet.append(missed[-1])
            elif table.of_type("passphrase"):
                ctx.notify(missed[-1])
            wrong = wrong or isinstance(error, WrongSecret)
    if table.of_type("passphrase"):
        try:
            return open_by_passphrase(ctx, table, where, note)[1]
        except VaultError:
            for line in quiet:
                ctx.notify(line)
            raise
    if not missed:
        raise StorageLocked(f"{where} opens only with its recovery key", hint=other_ways(ctx, table))
    failure = WrongSecret if wrong else NoSecret
    hint = other_ways(ctx, table)
    if unnamed:
        named = ",".join(dict.fromkeys((*ctx.sources, *unnamed)))
        hint = f"if you know where it comes from, have it asked this once: --passphrase-source {named}"
    raise failure(f"nothing opens {where}: {'; '.join(missed)}", hint=hint)


def open_by_passphrase(ctx: StoreContext, table: SlotTable, where: str, note: Note = no_note) -> tuple[Slot, Secret]:
    """The slot that a passphrase opens, and the DEK; parameters and errors as of :func:`open_table`.

    :raises StorageLocked: no slot opens with a passphrase alone.
    """
    slots = table.of_type("passphrase")
    if not slots:
        raise StorageLocked(f"{where} has no slot that a passphrase alone opens", hint=other_ways(ctx, table))
    try:
        slot, key = by_passphrase(ctx, table.store, slots, where, note)
    except WrongSecret as error:
        # The host knows the store's name, but not which file, a backup perhaps, does not open.
        file = "" if where in error.message or where == f"store {ctx.store}" else f" ({where})"
        raise WrongSecret(error.message + file, hint=error.hint or other_ways(ctx, table)) from None
    return slot, slot.unwrap(key, where)


def _key(ctx: StoreContext, table: SlotTable, slot: Slot) -> Secret:
    if slot.type == "key":
        return by_source(ctx, table.store, slot, slot.head)
    try:
        return composite(ctx, table.store, slot, slot.head)
    except (WrongSecret, NoSecret):
        raise
    except PassphraseError as error:  # the user was asked and did not open it: try no other slot
        raise PassphraseError(error.message, hint=error.hint or other_ways(ctx, table)) from None


def by_passphrase(
    ctx: StoreContext, store: bytes, slots: Sequence[Slot], where: str, note: Note
) -> tuple[Slot, Secret]:
    """The passphrase slot that a passphrase of the user's sources opens, and its key.

    :param note: is not called if the key was remembered.
    :raises WrongSecret: no passphrase fits.
    :raises NoSecret: no source has a passphrase.
    """
    opened: list[tuple[Slot, Secret]] = []

    def derive(secret: Secret) -> Secret:
        for slot in slots:
            key = slot_key(store, slot.head, secret)
            if slot.fits(key):
                opened[:] = [(slot, secret)]
                return key
        raise WrongSecret(f"wrong passphrase for {where} (or its key slot was altered)")

    key = ctx.unlock(lock_name(store, *(slot.id for slot in slots)), derive)
    if opened:
        slot, passphrase = opened[0]
        note(store, slot, passphrase)
        return slot, key
    for slot in slots:
        if slot.fits(key):
            return slot, key
    raise StorageLocked(f"the key remembered for {where} does not fit it", hint="lock it, and unlock it again")


def by_source(ctx: StoreContext, store: bytes, slot: Slot, head: Mapping[str, Any]) -> Secret:
    """A passphrase slot, by the user's sources; or a key slot, by the source that keeps its key.

    :raises WrongSecret: no secret fits.
    :raises NoSecret: no source has one.
    """

    def derive(secret: Secret) -> Secret:
        key = slot_key(store, slot.head, secret)
        if not slot.fits(key):
            raise WrongSecret(f"wrong secret for {slot.describe()} (or it was altered)")
        return key if head is slot.head else slot_key(store, head, secret)

    return ctx.unlock(lock_name(store, str(head["id"])), derive, source=next(iter(slot.sources), None))


def composite(ctx: StoreContext, store: bytes, slot: Slot, head: Mapping[str, Any]) -> Secret:
    """A composite slot, by the source of each of its factors.

    Only the factors together can be checked. If they are wrong, the last one is asked for again; a factor without a key
    derivation never comes from a person, so it comes first.

    :raises WrongSecret: a factor is wrong, and its source cannot be asked again.
    :raises PassphraseError: a factor is wrong although the user was asked again, or the user declined.
    :raises NoSecret: a factor is missing.
    """
    base = lock_name(store, str(head["id"]))
    kdfs = {factor["source"]: factor["kdf"] for factor in head["factors"]}
    old: dict[str, Secret] = {}
    new: dict[str, Secret] = {}
    wrong = 0

    def stretch(factor: Mapping[str, Any], secret: Secret) -> Secret:
        source = factor["source"]
        old[source] = new[source] = stretched(factor["kdf"], secret)
        if head is not slot.head:
            new[source] = stretched(kdfs[source], secret)
        return new[source]

    def finish(secret: Secret) -> Secret:
        nonlocal wrong
        stretch(last, secret)
        if slot.fits(composite_key(store, slot.head, old)):
            return composite_key(store, head, new)
        wrong += 1
        raise WrongSecret(f"{' or '.join(slot.sources)} is wrong for {slot.describe()}")

    *first, last = sorted(slot.head["factors"], key=lambda factor: factor["kdf"]["alg"] != "none")
    for factor in first:
        source = factor["source"]
        new[source] = ctx.unlock(f"{base}/{source}", partial(stretch, factor), source=source)
        old.setdefault(source, new[source])  # remembered from before: then this is not a fresh head
    try:
        return ctx.unlock(base, finish, source=last["source"])
    except WrongSecret:
        message = f"{slot.describe()} does not open: one of its {len(slot.sources)} factors is wrong"
        raise (PassphraseError(message) if wrong > 1 else WrongSecret(message)) from None
