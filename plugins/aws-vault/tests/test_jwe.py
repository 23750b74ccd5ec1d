"""Decryption of aws-vault's items: a valid token opens; any other input is a typed error and costs little."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from vault_core.api import Secret
from vault_plugin_aws_vault import jwe

ARCHIVE = Path(__file__).parents[3] / "tests/fixtures/aws-vault/stores.tgz"
PASSPHRASE = Secret("correct horse battery staple")


@pytest.fixture(scope="module")
def token() -> bytes:
    """A real item of aws-vault."""
    with tarfile.open(ARCHIVE) as archive:
        file = archive.extractfile("store/keys/work")
        assert file is not None
        return file.read()


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def made(plain: bytes, *, rounds: int = 8192, odd: bool = False, header: dict[str, object] | None = None) -> bytes:
    """A token made by independent code."""
    salt = b"0123456789ab"
    fields = {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": rounds, "p2s": encoded(salt).decode()}
    head = encoded(json.dumps({**fields, **(header or {})}).encode())
    salted = b"PBES2-HS256+A128KW\0" + salt
    secret = PASSPHRASE.reveal()
    kek = _odd(secret, salted, rounds) if odd else hashlib.pbkdf2_hmac("sha256", secret, salted, rounds, 16)
    key, iv = os.urandom(32), os.urandom(12)
    sealed = AESGCM(key).encrypt(iv, plain, head)
    return b".".join([head, encoded(aes_key_wrap(kek, key)), encoded(iv), encoded(sealed[:-16]), encoded(sealed[-16:])])


def _odd(secret: bytes, salt: bytes, rounds: int) -> bytes:
    """The formula: U1 = H(K^opad | H(K^opad | salt | INT(1))), U2 and later as in RFC 8018."""
    opad = bytes(a ^ b for a, b in zip(secret + bytes(64 - len(secret)), b"\x5c" * 64, strict=True))
    blocks = [hashlib.sha256(opad + hashlib.sha256(opad + salt + b"\0\0\0\1").digest()).digest()]
    while len(blocks) < rounds:
        blocks.append(hmac.digest(secret, blocks[-1], "sha256"))
    total = bytes(32)
    for block in blocks:
        total = bytes(a ^ b for a, b in zip(total, block, strict=True))
    return total[:16]


def test_decrypt_real_item(token: bytes) -> None:
    item = json.loads(jwe.decrypt(token, PASSPHRASE).reveal())
    assert item["Key"] == "work"
    assert json.loads(base64.b64decode(item["Data"]))["AccessKeyID"] == "AKIAIOSFODNN7EXAMP02"
    assert jwe.decrypt(token + b"\n", PASSPHRASE) == jwe.decrypt(token, PASSPHRASE)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_odd_pbkdf2_matches_the_formula(rounds: int) -> None:
    assert jwe.odd_pbkdf2(b"pass", b"salt", rounds) == _odd(b"pass", b"salt", rounds)


def test_decrypt_both_derivations_open() -> None:
    assert jwe.decrypt(made(b"plain"), PASSPHRASE) == Secret("plain")
    assert jwe.decrypt(made(b"plain", odd=True), PASSPHRASE) == Secret("plain")


def test_decrypt_wrong_passphrase_is_not_reported_as_damage(token: bytes) -> None:
    with pytest.raises(jwe.WrongPassphrase):
        jwe.decrypt(token, Secret("wrong"))


def test_decrypt_changed_token_fails(token: bytes) -> None:
    for position in range(0, len(token), 7):
        changed = token[:position] + (b"A" if token[position : position + 1] != b"A" else b"Q") + token[position + 1 :]
        try:
            plain = jwe.decrypt(changed, PASSPHRASE)
        except (jwe.Unreadable, jwe.WrongPassphrase):
            continue
        # The last character of a part has bits that mean nothing.
        assert plain == jwe.decrypt(token, PASSPHRASE)
        assert token[position + 1 : position + 2] in (b".", b"")


def test_decrypt_truncated_token_fails(token: bytes) -> None:
    for length in range(0, len(token), 13):
        with pytest.raises((jwe.Unreadable, jwe.WrongPassphrase)):
            jwe.decrypt(token[:length], PASSPHRASE)


@pytest.mark.parametrize(
    "header",
    [
        {"p2c": 1_300_001},
        {"p2c": 10**30},
        {"p2c": 0},
        {"p2c": -1},
        {"p2c": 8192.0},
        {"p2c": True},
        {"p2c": "8192"},
        {"p2s": 7},
        {"p2s": "é"},
        {"alg": "dir"},
        {"enc": "A128CBC-HS256"},
        {"zip": "DEF"},
        {"crit": ["x"]},
    ],
)
def test_decrypt_other_header_is_refused(header: dict[str, object]) -> None:
    with pytest.raises(jwe.Unreadable):
        jwe.decrypt(made(b"plain", rounds=1, header=header), PASSPHRASE)


@pytest.mark.parametrize(
    "data",
    [b"", b"eyJ", b"{}", b"eyJ9.....", b"eyJhIjoxfQ.a.a.a.a", encoded(b"[" * 100_000) + b"....", b"eyJ" * 400_000],
)
def test_decrypt_other_data_is_refused(data: bytes) -> None:
    with pytest.raises(jwe.Unreadable):
        jwe.decrypt(data, PASSPHRASE)


def test_decrypt_maximum_rounds_are_allowed() -> None:
    assert jwe.decrypt(made(b"plain", rounds=1_300_000), PASSPHRASE) == Secret("plain")
