"""Open a slot table: try its slots until one gives the data key."""

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
from vault_core.keyslots import sources, unlock_slot
from vault_core.keyslots.hints import other_ways
from vault_core.secret import Secret
from vault_core.vlt.slot import Slot
from vault_core.vlt.slot_table import SlotTable


def open_table(ctx: StoreContext, table: SlotTable, where: str, note: unlock_slot.Note = unlock_slot.no_note) -> Secret:
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


def open_by_passphrase(
    ctx: StoreContext, table: SlotTable, where: str, note: unlock_slot.Note = unlock_slot.no_note
) -> tuple[Slot, Secret]:
    """The slot that a passphrase opens, and the DEK; parameters and errors as of :func:`open_table`.

    :raises StorageLocked: no slot opens with a passphrase alone.
    """
    slots = table.of_type("passphrase")
    if not slots:
        raise StorageLocked(f"{where} has no slot that a passphrase alone opens", hint=other_ways(ctx, table))
    try:
        slot, key = unlock_slot.by_passphrase(ctx, table.store, slots, where, note)
    except WrongSecret as error:
        # The host knows the store's name, but not which file, a backup perhaps, does not open.
        file = "" if where in error.message or where == f"store {ctx.store}" else f" ({where})"
        raise WrongSecret(error.message + file, hint=error.hint or other_ways(ctx, table)) from None
    return slot, slot.unwrap(key, where)


def _key(ctx: StoreContext, table: SlotTable, slot: Slot) -> Secret:
    if slot.type == "key":
        return unlock_slot.by_source(ctx, table.store, slot, slot.head, slot.sources[0])
    try:
        return unlock_slot.composite(ctx, table.store, slot, slot.head)
    except (WrongSecret, NoSecret):
        raise
    except PassphraseError as error:  # the user was asked and did not open it: try no other slot
        raise PassphraseError(error.message, hint=error.hint or other_ways(ctx, table)) from None
