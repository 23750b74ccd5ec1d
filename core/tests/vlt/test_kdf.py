"""S5: parameters of key derivation outside the limits are refused at once, before any memory is taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from vault_core.vlt.encoding import NewerFormat, to_base64
from vault_core.vlt.kdf import parse_kdf

pytestmark = pytest.mark.security("S5")

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
    ("scrypt", {"n": 2**20, "p": 3}),
    ("scrypt", {"n": 2**20, "p": 4}),
    ("scrypt", {"n": 2**18, "p": 9}),
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
    ("scrypt", {"n": 2**20, "p": 2}),
    ("scrypt", {"n": 2**17, "p": 16}),
    ("pbkdf2-sha256", {"rounds": 10_000_000}),
    *((name, {}) for name in GOOD),
]


@pytest.mark.parametrize(("name", "change"), BAD)
def test_outside_the_limits(independent: Any, name: Any, change: Any) -> None:
    kdf = {**GOOD[name], **change}
    with pytest.raises(ValueError) as caught:
        parse_kdf(kdf, "kdf")
    assert not isinstance(caught.value, NewerFormat)
    with pytest.raises(independent.Damaged):
        independent.check_kdf(kdf)


MEASURE = """
import json, resource, sys, time
from vault_core.vlt import primitives
from vault_core.vlt.kdf import parse_kdf
for name in ("argon2id", "scrypt", "pbkdf2"):
    setattr(primitives, name, None)
before, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
for kdf in json.load(sys.stdin):
    started = time.process_time()
    try:
        parse_kdf(kdf, "kdf")
        raise SystemExit(f"{kdf} was not refused")
    except ValueError:
        slowest = max(slowest, time.process_time() - started)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([slowest, grown if sys.platform == "linux" else grown // 1024]))
"""


def test_s5_no_time_and_no_memory_are_spent(figure: Any) -> None:
    """In a process of its own, whose peak is not that of other tests; no derivation can be called there."""
    table = [{**GOOD[name], **change} for name, change in BAD]  # type: ignore[dict-item]  # the tables hold values of every type
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=json.dumps(table), env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    slowest, grown = json.loads(done.stdout)
    assert slowest < 0.05  # of its own computing, so that a busy machine does not count
    assert grown < 50 * 1024  # KiB
    figure(f"{len(table)} objects refused, the slowest in {1000 * slowest:.2f} ms, {grown} KiB of memory for all")


@pytest.mark.parametrize(("name", "change"), EDGES)
def test_on_the_limits(independent: Any, name: Any, change: Any) -> None:
    kdf = {**GOOD[name], **change}
    assert parse_kdf(kdf, "kdf") == kdf
    independent.check_kdf(kdf)


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_field(name: Any) -> None:
    for field in GOOD[name].keys() - {"alg"}:
        with pytest.raises(ValueError, match=f"no field '{field}'"):
            parse_kdf({key: value for key, value in GOOD[name].items() if key != field}, "kdf")


def test_another_algorithm_is_from_a_newer_version() -> None:
    with pytest.raises(NewerFormat, match="argon3"):
        parse_kdf({**GOOD["argon2id"], "alg": "argon3"}, "kdf")
    for value in ({}, {"alg": 1}, {"alg": None}, [], None):
        with pytest.raises(ValueError) as caught:
            parse_kdf(value, "kdf")
        assert not isinstance(caught.value, NewerFormat)
