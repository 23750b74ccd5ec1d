"""Slots that are opened: whose secret is asked of whom, and which answer is wrong.

Every function takes the slot that is opened and a ``head``, and returns the slot key of that head. To open a slot the
head is its own; to make it anew (``rekey``) it is a fresh one, and then the old slot proves that the secret is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vault_core.errors import PassphraseError, StorageLocked, WrongSecret
from vault_core.keyslots.new_slot import kept_key, lock_name, passphrase_key, recovery_key
from vault_core.secret import Secret
from vault_core.vlt import derive
from vault_core.vlt.slot import Slot

if TYPE_CHECKING:
    from vault_core.api import Context
    from vault_core.keyslots.kdf_upgrade import KdfUpgrade

_KeyOf = Callable[[bytes, Mapping[str, Any], Secret], Secret]


def by_passphrase(
    ctx: Context, store: bytes, slots: Sequence[Slot], where: str, upgrade: KdfUpgrade | None = None
) -> tuple[Slot, Secret]:
    """The one of these passphrase slots that a passphrase of the ordinary chain opens, and its key.

    :param upgrade: is told of them, unless the key was remembered.
    :raises WrongSecret: none does.
    :raises NoSecret: there was no passphrase.
    """
    said: list[Secret] = []

    def derive(secret: Secret) -> Secret:
        for slot in slots:
            key = passphrase_key(store, slot.head, secret)
            if slot.fits(key):
                said[:] = [secret]
                return key
        raise WrongSecret(f"wrong passphrase for {where} (or its key slot was altered)")

    key = ctx.unlock(lock_name(store, *(slot.id for slot in slots)), derive)
    for slot in slots:
        if slot.fits(key):
            if upgrade and said:
                upgrade.opened(store, slot, *said)
            return slot, key
    raise StorageLocked(f"the key remembered for {where} does not fit it", hint="lock it, and unlock it again")


def passphrase(ctx: Context, store: bytes, slot: Slot, head: Mapping[str, Any]) -> Secret:
    """One passphrase slot, through the ordinary chain; raises as :func:`by_passphrase`."""
    derive = _checked(passphrase_key, store, slot, head)
    return ctx.unlock(lock_name(store, str(head["id"])), derive)


def kept(ctx: Context, store: bytes, slot: Slot) -> Secret:
    """A key slot, through its source.

    :raises WrongSecret: the source has another key.
    :raises NoSecret: it has none.
    """
    derive = _checked(kept_key, store, slot, slot.head)
    return ctx.unlock(lock_name(store, slot.id), derive, source=slot.sources[0])


def composite(ctx: Context, store: bytes, slot: Slot, head: Mapping[str, Any]) -> Secret:
    """A composite slot, through the source of each of its factors.

    Only the whole can be checked. The last factor is asked for again if the whole is wrong; what is not stretched is no
    person's passphrase, so it comes first.

    :raises WrongSecret: one of the factors is wrong, and nobody could be asked again.
    :raises PassphraseError: one is wrong although a person was asked again, or the person declined.
    :raises NoSecret: one is missing.
    """
    base = lock_name(store, str(head["id"]))
    kdfs = {factor["source"]: factor["kdf"] for factor in head["factors"]}
    old: dict[str, Secret] = {}
    new: dict[str, Secret] = {}
    wrong = 0

    def stretch(factor: Mapping[str, Any], secret: Secret) -> Secret:
        source = factor["source"]
        old[source] = new[source] = derive.stretched(factor["kdf"], secret)
        if head is not slot.head:
            new[source] = derive.stretched(kdfs[source], secret)
        return new[source]

    def finish(secret: Secret) -> Secret:
        nonlocal wrong
        stretch(last, secret)
        if slot.fits(derive.slot_key(store, slot.head, derive.joined(old, slot.head))):
            return derive.slot_key(store, head, derive.joined(new, head))
        wrong += 1
        raise WrongSecret(f"{' or '.join(slot.sources)} is wrong for {slot.describe()}")

    *first, last = sorted(slot.head["factors"], key=lambda factor: factor["kdf"]["alg"] != "none")
    for factor in first:
        source = factor["source"]
        new[source] = ctx.unlock(f"{base}/{source}", _bound(stretch, factor), source=source)
        old.setdefault(source, new[source])  # remembered from before: then this is no fresh head
    try:
        return ctx.unlock(base, finish, source=last["source"])
    except WrongSecret:
        message = f"{slot.describe()} does not open: one of its {len(slot.sources)} factors is wrong"
        raise (PassphraseError(message) if wrong > 1 else WrongSecret(message)) from None


def recovery(store: bytes, slot: Slot, head: Mapping[str, Any], text: Secret) -> Secret | None:
    """A recovery slot; None where the recovery key is not this slot's.

    :raises PassphraseError: it is mistyped.
    """
    if not slot.fits(recovery_key(store, slot.head, text)):
        return None
    return recovery_key(store, head, text)


def _checked(key_of: _KeyOf, store: bytes, slot: Slot, head: Mapping[str, Any]) -> Callable[[Secret], Secret]:
    def derive(secret: Secret) -> Secret:
        key = key_of(store, slot.head, secret)
        if not slot.fits(key):
            raise WrongSecret(f"wrong secret for {slot.describe()} (or it was altered)")
        return key if head is slot.head else key_of(store, head, secret)

    return derive


def _bound(
    stretch: Callable[[Mapping[str, Any], Secret], Secret], factor: Mapping[str, Any]
) -> Callable[[Secret], Secret]:
    return lambda secret: stretch(factor, secret)
