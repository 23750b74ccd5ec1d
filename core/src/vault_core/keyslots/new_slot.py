"""New key slots: everything that can be asked for and derived before the store's lock is taken.

A :class:`NewSlot` lacks only the data key. :meth:`SlotTable.add` and :meth:`SlotTable.replace` of
:mod:`vault_core.vlt.slot_table` give it that, under the lock, where nobody may be asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vault_core.errors import UsageError
from vault_core.secret import Secret
from vault_core.vlt import derive, recovery
from vault_core.vlt.encoding import to_base64
from vault_core.vlt.kdf import Argon2id
from vault_core.vlt.slot import MAX_FACTORS, Slot, check_label

if TYPE_CHECKING:
    from vault_core.api import Context

Choose = Callable[[str, Callable[[Secret], Secret], str | None], Secret]
"""Has a person (or the source with this name) choose a secret: ``key_id``, ``derive``, source to what is derived."""


def lock_name(store: bytes, *slot_ids: str) -> str:
    """A lock's name (``key_id``). A slot that is made anew gets another id, so no remembered key outlives its slot."""
    return f"{store.hex()}/{'+'.join(slot_ids)}"


@dataclass(frozen=True, slots=True)
class NewSlot:
    """A slot that has everything but the data key.

    :param store: the identity of the store that it is for.
    :param head: the slot's fields without ``commit`` and ``wrap``.
    :param key: the slot key.
    """

    store: bytes
    head: Mapping[str, Any]
    key: Secret

    @classmethod
    def passphrase(cls, store: bytes, choose: Choose, *, cost: Argon2id, label: str = "") -> NewSlot:
        """A passphrase slot; ``choose`` has the passphrase chosen.

        :raises PassphraseError: none was.
        """
        head = _head("passphrase", label, kdf=cost.to_json())
        key_id = lock_name(store, head["id"])
        return cls(store, head, choose(key_id, lambda secret: passphrase_key(store, head, secret), None))

    @classmethod
    def kept(cls, store: bytes, ctx: Context, source: str, *, label: str = "") -> NewSlot:
        """A key slot: a random key, which ``source`` keeps from now on.

        :raises PassphraseError: the source keeps no secrets.
        :raises SourceUnavailable: it cannot answer now.
        """
        head = _head("key", label, source=source)
        text = Secret(to_base64(os.urandom(derive.KEY_BYTES[0])))
        ctx.keep(source, lock_name(store, head["id"]), text)
        return cls(store, head, kept_key(store, head, text))

    @classmethod
    def composite(
        cls, store: bytes, choose: Choose, sources: Sequence[str], *, cost: Argon2id, label: str = ""
    ) -> NewSlot:
        """A composite slot: the passphrases of all these sources together.

        Each is stretched by itself, so who learns all but one still pays the full price for a guess at that one.

        :param sources: 2 to 4 names, in the order in which they are asked when it is opened.
        :raises UsageError: the number is wrong.
        :raises PassphraseError: one has none.
        """
        if not 2 <= len(set(sources)) == len(sources) <= MAX_FACTORS:
            raise UsageError(f"a composite slot needs 2 to {MAX_FACTORS} different sources")
        head = _head("composite", label, factors=[{"kdf": cost.to_json(), "source": source} for source in sources])
        base = lock_name(store, head["id"])
        found = {}
        for factor in head["factors"]:
            found[factor["source"]] = choose(f"{base}/{factor['source']}", _stretch(factor["kdf"]), factor["source"])
        return cls(store, head, derive.slot_key(store, head, derive.joined(found, head)))

    @classmethod
    def recovery(cls, store: bytes, *, label: str = "") -> tuple[NewSlot, Secret]:
        """A recovery slot, and the text of its recovery key, which is kept nowhere."""
        head = _head("recovery", label)
        text = recovery.new()
        return cls(store, head, recovery_key(store, head, text)), text

    @property
    def id(self) -> str:
        return str(self.head["id"])

    def wrap(self, dek: Secret) -> Slot:
        """The slot that holds ``dek``. Once: a head never wraps a second data key."""
        return Slot.wrapped(self.head, self.key, dek)


def fresh_head(head: Mapping[str, Any], cost: Argon2id) -> dict[str, Any]:
    """A head like this one, with an id and salts of its own; derivations cost what new ones cost."""
    changed: dict[str, Any] = {**head, "id": os.urandom(8).hex()}
    if "kdf" in head:
        changed["kdf"] = cost.to_json()
    if "factors" in head:
        changed["factors"] = [
            {"kdf": factor["kdf"] if factor["kdf"]["alg"] == "none" else cost.to_json(), "source": factor["source"]}
            for factor in head["factors"]
        ]
    return changed


def passphrase_key(store: bytes, head: Mapping[str, Any], secret: Secret) -> Secret:
    """The slot key of a passphrase slot."""
    return derive.slot_key(store, head, derive.stretched(head["kdf"], secret))


def kept_key(store: bytes, head: Mapping[str, Any], secret: Secret) -> Secret:
    """The slot key of a key slot."""
    return derive.slot_key(store, head, derive.kept_key(secret))


def recovery_key(store: bytes, head: Mapping[str, Any], secret: Secret) -> Secret:
    """The slot key of a recovery slot."""
    return derive.slot_key(store, head, derive.recovery_key(secret))


def _head(kind: str, label: str, **further: Any) -> dict[str, Any]:
    try:
        check_label(label, "the label")
    except ValueError as error:
        raise UsageError(str(error)) from None
    return {"id": os.urandom(8).hex(), "label": label, "type": kind, **further}


def _stretch(kdf: Mapping[str, Any]) -> Callable[[Secret], Secret]:
    return lambda secret: derive.stretched(kdf, secret)
