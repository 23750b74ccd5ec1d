"""Key derivation functions: their parameters and limits (``docs/file-format.md`` §3.2).

Only objects within the limits can be made, so a forged file can neither exhaust the machine's memory nor ask for a
derivation weaker than OWASP's Password Storage Cheat Sheet allows. The lower limits are that document's rows.
"""

import os
from collections.abc import Mapping
from typing import Any

from vault_core.records import dataclass
from vault_core.vlt.encoding import NewerFormat, fields, from_base64, integer, to_base64

SALT_BYTES = 16
MAX_TOTAL = 2**23
"""The maximum total cost of the derivations of all slots of a store (:func:`cost`).

A passphrase is tried on every slot, so this limits the time of one try: about ten seconds. A full table of new slots
fits (8 composite slots of 4 factors: 6291456), and so does any single derivation within its own limits.
"""
NO_KDF: Mapping[str, Any] = {"alg": "none"}
"""For a factor of a composite slot whose passphrase is used without a key derivation."""


@dataclass(frozen=True, slots=True)
class Argon2id:
    """Cost of Argon2id (RFC 9106).

    :param memory: KiB.
    :param passes: number of passes over the memory.
    :param lanes: degree of parallelism.
    :raises ValueError: outside the limits.
    """

    memory: int = 64 * 1024
    passes: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        integer(self.memory, "argon2id m", least=19_456, most=1_048_576)
        integer(self.passes, "argon2id t", least=1, most=16)
        integer(self.lanes, "argon2id p", least=1, most=16)
        if self.memory * self.passes > 4_194_304:
            raise ValueError("argon2id m times t is more than 4194304")
        if self.passes == 1 and self.memory < 47_104:
            raise ValueError("argon2id with t=1 needs m of at least 47104")

    def to_json(self) -> dict[str, Any]:
        """A ``kdf`` object of this cost, with a new random salt."""
        salt = to_base64(os.urandom(SALT_BYTES))
        return {"alg": "argon2id", "m": self.memory, "t": self.passes, "p": self.lanes, "salt": salt}


def parse_kdf(value: object, name: str) -> Mapping[str, Any]:
    """Check one ``kdf`` object.

    :param name: its name in messages.
    :raises NewerFormat: the algorithm is not one of this format.
    :raises ValueError: a field is missing, unknown, malformed or outside the limits.
    """
    match value.get("alg") if isinstance(value, dict) else None:
        case "argon2id":
            kdf = fields(value, ("alg", "m", "p", "salt", "t"), name)
            Argon2id(kdf["m"], kdf["t"], kdf["p"])
        case "scrypt":
            kdf = fields(value, ("alg", "n", "p", "r", "salt"), name)
            _check_scrypt(kdf["n"], kdf["r"], kdf["p"])
        case "pbkdf2-sha256":
            kdf = fields(value, ("alg", "rounds", "salt"), name)
            integer(kdf["rounds"], "pbkdf2 rounds", least=600_000, most=10_000_000)
        case str(algorithm):
            raise NewerFormat(f"{name} names the unknown algorithm {algorithm!a:.40}")
        case _:
            raise ValueError(f"{name} names no algorithm")
    from_base64(kdf["salt"], f"salt of {name}", least=SALT_BYTES)
    return kdf


def cost(kdf: Mapping[str, Any]) -> int:
    """The cost of a checked ``kdf`` object, in KiB of memory that Argon2id passes over once: about a microsecond each.

    scrypt passes over its memory (N KiB for r = 8) twice for each lane; the second pass is random and counts double.
    Four rounds of PBKDF2 take as long as one KiB.
    """
    match kdf["alg"]:
        case "argon2id":
            return int(kdf["m"] * kdf["t"])
        case "scrypt":
            return int(3 * kdf["n"] * kdf["p"])
        case "pbkdf2-sha256":
            return int(kdf["rounds"] // 4)
    return 0


def _check_scrypt(n: object, r: object, p: object) -> None:
    cost = integer(n, "scrypt n", least=2**15, most=2**20)
    integer(r, "scrypt r", least=8, most=8)
    lanes = integer(p, "scrypt p", least=1, most=16)
    if cost & (cost - 1):
        raise ValueError("scrypt n is not a power of two")
    if cost * lanes > 2**21:
        raise ValueError("scrypt n times p is more than 2097152")
    if lanes < {2**15: 3, 2**16: 2}.get(cost, 1):
        raise ValueError(f"scrypt with n={cost} and p={lanes} is too weak")
