"""Give a store a new data key: open every slot, and make it again."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from vault_core.api import StoreContext
from vault_core.errors import NO_KEY, PassphraseError, QuestionRefused, StorageLocked, WrongSecret
from vault_core.keyslots import new_slot, unlock
from vault_core.keyslots.ask_until import ask_until
from vault_core.secret import Secret
from vault_core.vlt import Argon2id, NewSlot, Slot, SlotTable
from vault_core.vlt.derive import slot_key
from vault_core.vlt.slot import DEK_BYTES


def rekey(
    ctx: StoreContext,
    table: SlotTable,
    where: str,
    *,
    cost: Argon2id = new_slot.DEFAULT_COST,
    replayer: StoreContext | None = None,
) -> tuple[SlotTable, Secret, tuple[Slot, ...]]:
    """The same store under a new data key (DEK): every slot is opened and made again, with a new id.

    The user is asked for passphrases slot by slot, and at the terminal for a recovery key. A key slot gets a new key,
    which its source keeps besides the old one until :func:`forget_kept`. A slot that does not open is dropped; the
    caller asks the user before it writes the result.

    :param replayer: answers first, with the secrets that opened the store (:func:`~vault_core.keyslots.replay`).
    :returns: the new table, its DEK, and the dropped slots.
    :raises StorageLocked: no slot opened.
    """
    dek = Secret(os.urandom(DEK_BYTES))
    made: list[Slot] = []
    dropped: list[Slot] = []
    for slot in table.slots:
        try:
            new = _replayed(replayer, table.store, slot, cost) or _again(ctx, table.store, slot, cost)
            made.append(new.wrap(dek))
        except (*NO_KEY, QuestionRefused) as error:
            ctx.notify(f"{slot.describe()} did not open: {error.message}")
            dropped.append(slot)
    if not made:
        raise StorageLocked(f"no slot of {where} opened: it keeps its data key", hint="awsv slot list")
    return SlotTable(table.store, tuple(made)), dek, tuple(dropped)


def forget_kept(ctx: StoreContext, store: bytes, slots: Iterable[Slot]) -> None:
    """Have the sources forget the keys of key slots that are not in use any more. A key that stays opens nothing."""
    for slot in slots:
        if slot.type == "key":
            with suppress(*NO_KEY):
                ctx.forget(slot.sources[0], new_slot.lock_name(store, slot.id))


def _replayed(replayer: StoreContext | None, store: bytes, slot: Slot, cost: Argon2id) -> NewSlot | None:
    """The slot made again from recorded secrets; None if they do not open it."""
    if replayer is None or slot.type not in ("passphrase", "composite"):
        return None
    with suppress(PassphraseError):
        return _again(replayer, store, slot, cost, quiet=True)
    return None


def _again(ctx: StoreContext, store: bytes, slot: Slot, cost: Argon2id, *, quiet: bool = False) -> NewSlot:
    """The slot with a new id and new salts, opened by the same secret."""
    if slot.type == "key":
        return new_slot.key(store, ctx, slot.sources[0], label=slot.label)
    head = new_slot.fresh_head(slot.head, cost)
    if not quiet:
        ctx.notify(f"for {slot.describe()}:")
    if slot.type == "passphrase":
        key = unlock.by_source(ctx, store, slot, head)
    elif slot.type == "composite":
        key = unlock.composite(ctx, store, slot, head)
    else:
        key = _by_recovery_key(ctx, store, slot, head)
    return NewSlot(store, head, key)


def _by_recovery_key(ctx: StoreContext, store: bytes, slot: Slot, head: Mapping[str, Any]) -> Secret:
    def derive(text: Secret) -> Secret:
        if not slot.fits(slot_key(store, slot.head, text)):
            raise WrongSecret("this is not the recovery key of this slot")
        return slot_key(store, head, text)

    return ask_until(lambda: ctx.ask("Recovery key: "), derive, ctx.notify)
