"""Make new key slots: everything that prompts or takes time, before the store is locked.

A :class:`~vault_core.vlt.NewSlot` lacks only the data key; :meth:`SlotTable.add` and :meth:`SlotTable.replace` wrap it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from vault_core.api import StoreContext
from vault_core.errors import UsageError
from vault_core.secret import Secret
from vault_core.vlt import derive
from vault_core.vlt import recovery as recovery_keys
from vault_core.vlt.encoding import to_base64
from vault_core.vlt.kdf import Argon2id
from vault_core.vlt.slot import DEK_BYTES, MAX_FACTORS, NewSlot, check_label
from vault_core.vlt.slot_table import STORE_BYTES, SlotTable

DEFAULT_COST = Argon2id()
"""The cost of new passphrase slots: RFC 9106's second recommendation."""

Choose = Callable[[str, Callable[[Secret], Secret], str | None], Secret]
"""Has the user (or the source with this name) choose a secret: ``key_id``, ``derive``, source; returns the key."""


def lock_name(store: bytes, *slot_ids: str) -> str:
    """A lock's name (``key_id``). A slot that is made again gets a new id, so a remembered key never outlives its
    slot."""
    return f"{store.hex()}/{'+'.join(slot_ids)}"


def table(ctx: StoreContext, *, cost: Argon2id = DEFAULT_COST) -> tuple[SlotTable, Secret]:
    """The table of a new store, with one passphrase slot. The host has the user choose the passphrase.

    :param cost: of the key derivation.
    :returns: the table, and its data encryption key (DEK).
    :raises PassphraseError: no source gave a passphrase.
    """
    store, dek = os.urandom(STORE_BYTES), Secret(os.urandom(DEK_BYTES))

    def choose(key_id: str, derive: Callable[[Secret], Secret], source: str | None) -> Secret:
        return ctx.unlock(key_id, derive, create=True, source=source)

    new = passphrase(store, choose, cost=cost)
    return SlotTable(store, (new.wrap(dek),)), dek


def passphrase(store: bytes, choose: Choose, *, cost: Argon2id, label: str = "") -> NewSlot:
    """A passphrase slot.

    :raises PassphraseError: no passphrase was chosen.
    """
    head = _head("passphrase", label, kdf=cost.to_json())
    return NewSlot(store, head, choose(lock_name(store, head["id"]), partial(derive.slot_key, store, head), None))


def key(store: bytes, ctx: StoreContext, source: str, *, label: str = "") -> NewSlot:
    """A key slot: a random key, which ``source`` keeps from now on.

    :raises PassphraseError: the source keeps no secrets.
    :raises SourceUnavailable: it cannot answer now.
    """
    head = _head("key", label, source=source)
    text = Secret(to_base64(os.urandom(derive.KEY_BYTES[0])))
    ctx.keep(source, lock_name(store, head["id"]), text)
    return NewSlot(store, head, derive.slot_key(store, head, text))


def composite(store: bytes, choose: Choose, sources: Sequence[str], *, cost: Argon2id, label: str = "") -> NewSlot:
    """A composite slot: it needs the passphrases of all these sources.

    Each passphrase is stretched separately, so an attacker who knows all but one pays the full price for every guess at
    the last one.

    :param sources: 2 to 4 names, in the order in which they are asked when the slot is opened.
    :raises UsageError: the number is wrong, or a source is named twice.
    :raises PassphraseError: a source has no passphrase.
    """
    if not 2 <= len(set(sources)) == len(sources) <= MAX_FACTORS:
        raise UsageError(f"a composite slot needs 2 to {MAX_FACTORS} different sources")
    head = _head("composite", label, factors=[{"kdf": cost.to_json(), "source": source} for source in sources])
    base = lock_name(store, head["id"])
    factors = {}
    for factor in head["factors"]:
        source = factor["source"]
        factors[source] = choose(f"{base}/{source}", partial(derive.stretched, factor["kdf"]), source)
    return NewSlot(store, head, derive.composite_key(store, head, factors))


def recovery(store: bytes, *, label: str = "") -> tuple[NewSlot, Secret]:
    """A recovery slot, and the text of its recovery key, which is kept nowhere."""
    head = _head("recovery", label)
    text = recovery_keys.new()
    return NewSlot(store, head, derive.slot_key(store, head, text)), text


def fresh_head(head: Mapping[str, Any], cost: Argon2id) -> dict[str, Any]:
    """The same head with a new id, new salts and, for its key derivations, this cost."""
    changed: dict[str, Any] = {**head, "id": os.urandom(8).hex()}
    if "kdf" in head:
        changed["kdf"] = cost.to_json()
    if "factors" in head:
        changed["factors"] = [
            {"kdf": factor["kdf"] if factor["kdf"]["alg"] == "none" else cost.to_json(), "source": factor["source"]}
            for factor in head["factors"]
        ]
    return changed


def _head(kind: str, label: str, **further: Any) -> dict[str, Any]:
    try:
        check_label(label, "the label")
    except ValueError as error:
        raise UsageError(str(error)) from None
    return {"id": os.urandom(8).hex(), "label": label, "type": kind, **further}
