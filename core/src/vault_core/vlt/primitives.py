"""Cryptographic primitives of the format: Argon2id, scrypt, PBKDF2, HKDF-SHA256, AES-256-GCM, HMAC-SHA256.

The only module of the package that imports ``cryptography``. The format's version fixes the suite; nothing is
negotiated. Keys and plaintexts are plain bytes here: callers keep them in :class:`~vault_core.secret.Secret`.
"""

import hashlib
import hmac
import os

# `cryptography` is confined to this module, which is imported at the first derivation only.
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm  # noqa: TID253 - loaded when needed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: TID253 - loaded when needed
from cryptography.hazmat.primitives.hashes import SHA256  # noqa: TID253 - loaded when needed
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id as _Argon2id  # noqa: TID253 - loaded when needed
from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: TID253 - loaded when needed
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC  # noqa: TID253 - loaded when needed
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: TID253 - loaded when needed

from vault_core.errors import StorageUnavailable
from vault_core.vlt.kdf import Argon2id

KEY_BYTES = 32
SALT_BYTES = 32
TAG_BYTES = 16
SEALED_EXTRA = SALT_BYTES + TAG_BYTES
"""Bytes that sealing adds to a value."""

_NONCE = bytes(12)  # safe because every key encrypts one plaintext only: each comes from a fresh salt


class Forged(ValueError):
    """A ciphertext does not match its key and context: it was damaged, exchanged or forged."""


def argon2id(secret: bytes, salt: bytes, cost: Argon2id) -> bytes:
    """32 bytes from a passphrase.

    :raises StorageUnavailable: this machine has too little memory, or this build of ``cryptography`` has no Argon2id.
    """
    try:
        kdf = _Argon2id(salt=salt, length=32, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory)
        return kdf.derive(secret)
    except MemoryError:
        raise _too_little_memory(cost.memory * 1024) from None
    except UnsupportedAlgorithm:
        raise StorageUnavailable(
            "the installed cryptography package has no Argon2id",
            hint="install its wheel: pip install --force-reinstall --only-binary cryptography cryptography",
        ) from None


def scrypt(secret: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    """32 bytes from a passphrase (RFC 7914).

    :raises StorageUnavailable: this machine has too little memory.
    """
    try:
        return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(secret)
    except MemoryError:
        raise _too_little_memory(128 * n * r) from None


def pbkdf2(secret: bytes, salt: bytes, rounds: int) -> bytes:
    """32 bytes from a passphrase with PBKDF2-HMAC-SHA256 (RFC 8018)."""
    return PBKDF2HMAC(algorithm=SHA256(), length=32, salt=salt, iterations=rounds).derive(secret)


def _too_little_memory(needed: int) -> StorageUnavailable:
    return StorageUnavailable(
        f"not enough memory: the passphrase's key derivation needs {needed >> 20} MiB",
        hint="raise the memory limit of this process",
    )


def hkdf(key: bytes, salt: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 (RFC 5869), extract and expand."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key)


def mac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, message, hashlib.sha256)


def same(one: bytes, other: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one, other)


def encrypt(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """AES-256-GCM: ciphertext and tag. The key must never be used again, as the nonce is zero."""
    return AESGCM(key).encrypt(_NONCE, plaintext, aad)


def decrypt(key: bytes, ciphertext: bytes | memoryview, aad: bytes) -> bytes:
    """The plaintext of :func:`encrypt`.

    :raises Forged: the tag is wrong.
    """
    try:
        return AESGCM(key).decrypt(_NONCE, ciphertext, aad)
    except (InvalidTag, ValueError):  # ValueError: shorter than a tag
        raise Forged("the authentication tag is wrong") from None


def seal(key: bytes, info: bytes, value: bytes) -> bytes:
    """Encrypt one value so that it opens only under ``key`` and as ``info`` (``docs/file-format.md`` §2)."""
    salt = os.urandom(SALT_BYTES)
    return salt + encrypt(hkdf(key, salt, info), value, info)


def unseal(key: bytes, info: bytes, sealed: bytes) -> bytes:
    """The value of :func:`seal`.

    :raises Forged: it was sealed with another key or another ``info``, or was changed since.
    """
    salt, ciphertext = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
    return decrypt(hkdf(key, salt, info), ciphertext, info)
