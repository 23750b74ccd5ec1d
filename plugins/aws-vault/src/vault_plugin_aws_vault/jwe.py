"""Decrypt the JWE tokens of aws-vault's file store: PBES2-HS256+A128KW with A256GCM, and no other algorithm.

The formats are those of RFC 7516 (compact serialisation) and RFC 7518 §4.8 and §5.3. The input is untrusted: every
length and count is checked before any expensive step.
"""

import base64
import hashlib
import hmac
import json
import re
from typing import Any

# This module is imported only when items of aws-vault are read.
from cryptography.exceptions import InvalidTag  # noqa: TID253 - loaded when needed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: TID253 - loaded when needed
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap  # noqa: TID253 - loaded when needed

from vault_core.api import Secret

MAX_BYTES = 1_048_576
"""Limit for one token; real ones have about 700 bytes, cached sessions 2,000."""
MAX_ROUNDS = 1_300_000
"""Limit for the rounds of key derivation; jose2go, the library of aws-vault, has the same (GHSA-mhpq-9638-x6pw)."""
MAX_TOTAL_ROUNDS = 2**25
"""Limit for all tokens of a folder: about ten seconds, or 4,096 items as aws-vault writes them."""
ODD_ROUNDS = 8192
"""The rounds of every item that aws-vault ever wrote; the odd derivation, which is slow, is tried only with these."""
ODD_COST = 8 * ODD_ROUNDS
"""The odd derivation takes as long as this number of ordinary rounds."""

_ALG = "PBES2-HS256+A128KW"
_ENC = "A256GCM"
_KEK_BYTES = 16
_CEK_BYTES = 32
_IV_BYTES = 12
_TAG_BYTES = 16
_BLOCK = 64
"""Block size of SHA-256 in bytes."""
_TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){4}")


class Unreadable(ValueError):
    """It is not a token, is damaged, or uses another algorithm; the message says which."""


class WrongPassphrase(ValueError):
    """The passphrase does not open it (or its wrapped key is damaged, which looks the same)."""


def decrypt(token: bytes, passphrase: Secret) -> Secret:
    """The content of a token.

    :raises Unreadable: it is not a token, is truncated or changed, or uses an algorithm that aws-vault does not.
    :raises WrongPassphrase: it has another passphrase.
    """
    encoded, header, wrapped, iv, ciphertext, tag = _parse(token.strip())
    if len(wrapped) != _CEK_BYTES + 8 or len(iv) != _IV_BYTES or len(tag) != _TAG_BYTES:
        raise Unreadable("it is damaged: one of its parts has the wrong length")
    salt, rounds = _derivation(header)
    key = _unwrap(wrapped, passphrase, salt, rounds)
    try:
        return Secret(AESGCM(key).decrypt(iv, ciphertext + tag, encoded))
    except InvalidTag:
        raise Unreadable("it is damaged: its content does not match its authentication tag") from None


def rounds(token: bytes) -> int:
    """The rounds of key derivation that :func:`decrypt` would start with; 0 if it would refuse the token."""
    try:
        return _derivation(_parse(token.strip())[1])[1]
    except Unreadable:
        return 0


def _parse(token: bytes) -> tuple[bytes, dict[str, Any], bytes, bytes, bytes, bytes]:
    if len(token) > MAX_BYTES or not _TOKEN.fullmatch(token):
        raise Unreadable("it is truncated or not an item of aws-vault")
    encoded, *parts = token.split(b".")
    try:
        header = json.loads(_decode(encoded))
    except (ValueError, RecursionError):
        raise Unreadable("it is truncated or not an item of aws-vault") from None
    if not (isinstance(header, dict) and {"alg", "enc"} <= header.keys()):
        raise Unreadable("it is truncated or not an item of aws-vault")
    wrapped, iv, ciphertext, tag = map(_decode, parts)
    return encoded, header, wrapped, iv, ciphertext, tag


def _decode(part: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except ValueError:
        raise Unreadable("it is damaged: one of its parts is not base64") from None


def _derivation(header: dict[str, Any]) -> tuple[bytes, int]:
    """The salt (RFC 7518 §4.8.1.1) and the rounds."""
    rounds, salt = header.get("p2c"), header.get("p2s")
    if header["alg"] != _ALG or header["enc"] != _ENC or {"zip", "crit"} & header.keys():
        raise Unreadable("it uses an encryption that aws-vault does not")
    if type(rounds) is not int or not isinstance(salt, str) or not salt.isascii():
        raise Unreadable("it is damaged: its header lacks p2c or p2s")
    if not 1 <= rounds <= MAX_ROUNDS:
        raise Unreadable(f"its header asks for {rounds} rounds of key derivation; the limit is {MAX_ROUNDS:,}")
    return _ALG.encode() + b"\0" + _decode(salt.encode()), rounds


def _unwrap(wrapped: bytes, passphrase: Secret, salt: bytes, rounds: int) -> bytes:
    try:
        return aes_key_unwrap(hashlib.pbkdf2_hmac("sha256", passphrase.reveal(), salt, rounds, _KEK_BYTES), wrapped)
    except InvalidUnwrap:
        pass
    if rounds == ODD_ROUNDS:
        try:
            return aes_key_unwrap(odd_pbkdf2(passphrase.reveal(), salt, rounds), wrapped)
        except InvalidUnwrap:
            pass
    raise WrongPassphrase("the passphrase does not open it")


def odd_pbkdf2(passphrase: bytes, salt: bytes, rounds: int) -> bytes:
    """The key derivation of aws-vault v6.0 and v6.1, whose first HMAC used the outer padding for the inner hash, too.

    The cause was Go 1.15 with a library that shared one hash instance (issues 663 and 700 of aws-vault). One block of
    SHA-256 is enough for the 16 bytes.
    """
    key = hashlib.sha256(passphrase).digest() if len(passphrase) > _BLOCK else passphrase
    outer = bytes(byte ^ 0x5C for byte in key.ljust(_BLOCK, b"\0"))
    inner = hashlib.sha256(outer + salt + (1).to_bytes(4, "big")).digest()
    block = hashlib.sha256(outer + inner).digest()
    total = int.from_bytes(block, "big")
    started = hmac.new(passphrase, digestmod="sha256")
    for _ in range(rounds - 1):
        again = started.copy()
        again.update(block)
        block = again.digest()
        total ^= int.from_bytes(block, "big")
    return total.to_bytes(hashlib.sha256().digest_size, "big")[:_KEK_BYTES]
