"""Slot keys from secrets (``docs/file-format.md`` §3.3). Pure functions."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from vault_core.errors import PassphraseError, WrongSecret
from vault_core.secret import Secret
from vault_core.vlt import recovery
from vault_core.vlt.encoding import canonical, from_base64, lp
from vault_core.vlt.kdf import SALT_BYTES, Argon2id
from vault_core.vlt.slot import HALF

MAX_PASSPHRASE = 1_048_576
"""Bytes."""
KEY_BYTES = (32, 64)
"""The smallest and the largest size of a key that a source keeps, in bytes."""


def slot_key(store: bytes, head: Mapping[str, Any], secret: Secret) -> Secret:
    """The slot key of a passphrase, key or recovery slot; slow for a passphrase slot.

    The first 32 bytes wrap the data key, the other 32 prove which secret they came from.

    :param head: the slot's fields.
    :param secret: the passphrase, the kept key in base64, or the recovery key as it was typed.
    :raises PassphraseError: the passphrase is empty or too long, or the recovery key is mistyped.
    :raises WrongSecret: the source of a key slot delivers something other than a key.
    :raises StorageUnavailable: this machine has too little memory for the key derivation.
    """
    match head["type"]:
        case "passphrase":
            material = stretched(head["kdf"], secret)
        case "key":
            material = _kept_key(secret)
        case _:
            material = Secret(recovery.key_of(secret))
    return _expanded(store, head, material)


def composite_key(store: bytes, head: Mapping[str, Any], factors: Mapping[str, Secret]) -> Secret:
    """The slot key of a composite slot.

    :param factors: by source, the :func:`stretched` passphrase.
    """
    joined = lp(*(factors[factor["source"]].reveal() for factor in head["factors"]))
    return _expanded(store, head, Secret(joined))


def stretched(kdf: Mapping[str, Any], passphrase: Secret) -> Secret:
    """Apply a checked ``kdf`` object, ``{"alg": "none"}`` included, to a passphrase.

    :raises PassphraseError: the passphrase is empty, longer than 1 MiB, or not UTF-8.
    :raises StorageUnavailable: this machine has too little memory.
    """
    from vault_core.vlt import primitives

    data = _passphrase_bytes(passphrase)
    if kdf["alg"] == "none":
        return Secret(data)
    salt = from_base64(kdf["salt"], "salt", least=SALT_BYTES)
    match kdf["alg"]:
        case "argon2id":
            return Secret(primitives.argon2id(data, salt, Argon2id(kdf["m"], kdf["t"], kdf["p"])))
        case "scrypt":
            return Secret(primitives.scrypt(data, salt, kdf["n"], kdf["r"], kdf["p"]))
    return Secret(primitives.pbkdf2(data, salt, kdf["rounds"]))


def _passphrase_bytes(passphrase: Secret) -> bytes:
    """UTF-8 of the NFC form."""
    try:
        data = unicodedata.normalize("NFC", passphrase.reveal_text()).encode("utf-8")
    except ValueError:
        raise PassphraseError("the passphrase is not UTF-8 text") from None
    if not data:
        raise PassphraseError("the passphrase is empty")
    if len(data) > MAX_PASSPHRASE:
        raise PassphraseError("the passphrase is longer than 1 MiB")
    return data


def _kept_key(text: Secret) -> Secret:
    least, most = KEY_BYTES
    try:
        return Secret(from_base64(text.reveal_text(), "it", least=least, most=most))
    except ValueError:
        raise WrongSecret(f"the source does not deliver a key: expected base64 of {least} to {most} bytes") from None


def _expanded(store: bytes, head: Mapping[str, Any], material: Secret) -> Secret:
    from vault_core.vlt import primitives

    return Secret(primitives.hkdf(material.reveal(), store, b"vlt/v1/slot" + lp(canonical(head)), 2 * HALF))
