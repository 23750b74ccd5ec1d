"""From secrets to slot keys (``docs/file-format.md`` §3.3). Pure: nobody is asked, nothing is kept."""

from __future__ import annotations

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
KEY_BYTES = (32, 64)
"""The fewest and the most bytes of a key that a source keeps."""


def passphrase_bytes(passphrase: Secret) -> bytes:
    """The bytes of a passphrase that go into its key derivation: UTF-8 of NFC.

    :raises PassphraseError: empty, longer than 1 MiB, or not UTF-8.
    """
    try:
        data = unicodedata.normalize("NFC", passphrase.reveal_text()).encode("utf-8")
    except ValueError:
        raise PassphraseError("the passphrase is not UTF-8 text") from None
    if not data:
        raise PassphraseError("the passphrase is empty")
    if len(data) > MAX_PASSPHRASE:
        raise PassphraseError("the passphrase is longer than 1 MiB")
    return data


def stretched(kdf: Mapping[str, Any], passphrase: Secret) -> Secret:
    """What a ``kdf`` object (``{"alg": "none"}`` included) makes of a passphrase.

    :raises PassphraseError: it is no passphrase.
    :raises StorageUnavailable: this machine has not the memory.
    """
    from vault_core.vlt import primitives

    data = passphrase_bytes(passphrase)
    if kdf["alg"] == "none":
        return Secret(data)
    salt = from_base64(kdf["salt"], "salt", least=SALT_BYTES)
    match kdf["alg"]:
        case "argon2id":
            return Secret(primitives.argon2id(data, salt, Argon2id(kdf["m"], kdf["t"], kdf["p"])))
        case "scrypt":
            return Secret(primitives.scrypt(data, salt, kdf["n"], kdf["r"], kdf["p"]))
    return Secret(primitives.pbkdf2(data, salt, kdf["rounds"]))


def joined(factors: Mapping[str, Secret], head: Mapping[str, Any]) -> Secret:
    """The key material of a composite slot from the stretched passphrase of each of its sources."""
    return Secret(lp(*(factors[factor["source"]].reveal() for factor in head["factors"])))


def kept_key(text: Secret) -> Secret:
    """The key material of a key slot from what its source delivers.

    :raises WrongSecret: that is no key.
    """
    least, most = KEY_BYTES
    try:
        return Secret(from_base64(text.reveal_text(), "it", least=least, most=most))
    except ValueError:
        raise WrongSecret(f"what the source delivers is no key: base64 of {least} to {most} bytes") from None


def recovery_key(text: Secret) -> Secret:
    """The key material of a recovery slot.

    :raises PassphraseError: it is mistyped.
    """
    return Secret(recovery.key_of(text))


def slot_key(store: bytes, head: Mapping[str, Any], material: Secret) -> Secret:
    """A slot key: 32 bytes that wrap the DEK, 32 bytes that prove which secret they came from."""
    from vault_core.vlt import primitives

    return Secret(primitives.hkdf(material.reveal(), store, b"vlt/v1/slot" + lp(canonical(head)), 2 * HALF))
