"""S5: parameters of key derivation outside the limits are refused at once, before any memory is taken."""

from __future__ import annotations

import resource
import time

import pytest

from support.busy import seconds
from vault_core.sealing.encoding import NewerFormat, to_base64
from vault_core.sealing.kdf import parse_kdf

SALT = to_base64(bytes(16))
GOOD = {
    "argon2id": {"alg": "argon2id", "m": 65536, "t": 3, "p": 4, "salt": SALT},
    "scrypt": {"alg": "scrypt", "n": 2**17, "r": 8, "p": 1, "salt": SALT},
    "pbkdf2-sha256": {"alg": "pbkdf2-sha256", "rounds": 600_000, "salt": SALT},
}
NEVER = (0, -1, 1.5, "64", True, None, [], 2**32 - 1, 2**64)
BAD = [
    *(("argon2id", {"m": value}) for value in (*NEVER, 1, 8, 19_455, 1_048_577)),
    *(("argon2id", {"t": value}) for value in (*NEVER, 17)),
    *(("argon2id", {"p": value}) for value in (*NEVER, 17)),
    ("argon2id", {"m": 47_103, "t": 1}),
    ("argon2id", {"m": 1_048_576, "t": 5}),
    *(("scrypt", {"n": value}) for value in (*NEVER, 1, 2**14, 2**17 + 1, 2**21)),
    *(("scrypt", {"r": value}) for value in (*NEVER, 7, 9)),
    *(("scrypt", {"p": value}) for value in (*NEVER, 17)),
    ("scrypt", {"n": 2**15, "p": 2}),
    ("scrypt", {"n": 2**16, "p": 1}),
    ("scrypt", {"n": 2**20, "p": 5}),
    *(("pbkdf2-sha256", {"rounds": value}) for value in (*NEVER, 599_999, 10_000_001)),
    *((name, {"salt": value}) for name in GOOD for value in ("", to_base64(bytes(15)), to_base64(bytes(17)), 7, None)),
    *((name, {"extra": 1}) for name in GOOD),
]
EDGES = [
    ("argon2id", {"m": 19_456, "t": 2, "p": 1}),
    ("argon2id", {"m": 47_104, "t": 1, "p": 1}),
    ("argon2id", {"m": 1_048_576, "t": 4, "p": 16}),
    ("argon2id", {"m": 262_144, "t": 16}),
    ("scrypt", {"n": 2**15, "p": 3}),
    ("scrypt", {"n": 2**16, "p": 2}),
    ("scrypt", {"n": 2**20, "p": 4}),
    ("scrypt", {"n": 2**18, "p": 16}),
    ("pbkdf2-sha256", {"rounds": 10_000_000}),
    *((name, {}) for name in GOOD),
]


@pytest.mark.parametrize(("name", "change"), BAD)
def test_outside_the_limits(independent, name, change):
    kdf = {**GOOD[name], **change}
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(ValueError) as caught:
        parse_kdf(kdf, "kdf")
    assert not isinstance(caught.value, NewerFormat)
    assert time.monotonic() - started < seconds(0.05)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB (bytes on macOS: stricter)
    with pytest.raises(independent.Damaged):
        independent.check_kdf(kdf)


@pytest.mark.parametrize(("name", "change"), EDGES)
def test_on_the_limits(independent, name, change):
    kdf = {**GOOD[name], **change}
    assert parse_kdf(kdf, "kdf") == kdf
    independent.check_kdf(kdf)


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_field(name):
    for field in GOOD[name].keys() - {"alg"}:
        with pytest.raises(ValueError, match=f"no field '{field}'"):
            parse_kdf({key: value for key, value in GOOD[name].items() if key != field}, "kdf")


def test_another_algorithm_is_from_a_newer_version():
    with pytest.raises(NewerFormat, match="argon3"):
        parse_kdf({**GOOD["argon2id"], "alg": "argon3"}, "kdf")
    for value in ({}, {"alg": 1}, {"alg": None}, [], None):
        with pytest.raises(ValueError) as caught:
            parse_kdf(value, "kdf")
        assert not isinstance(caught.value, NewerFormat)
