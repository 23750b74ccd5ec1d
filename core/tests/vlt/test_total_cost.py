"""What all slots of a store may cost together (docs/file-format.md §3.2): looked at before anything is derived."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import Secret, StorageError
from vault_core.keyslots import new_slot
from vault_core.vlt import NewSlot, primitives
from vault_core.vlt.encoding import to_base64
from vault_core.vlt.kdf import MAX_TOTAL, Argon2id
from vault_core.vlt.slot_table import SlotTable
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.security("S5")

SALT = to_base64(bytes(16))
STORE = to_base64(bytes(16))
NUMBERS = itertools.count()


def argon(memory: Any, passes: Any) -> Any:
    return {"alg": "argon2id", "m": memory, "p": 1, "salt": SALT, "t": passes}


def scrypt(n: Any, lanes: Any) -> Any:
    return {"alg": "scrypt", "n": n, "p": lanes, "r": 8, "salt": SALT}


def pbkdf2(rounds: Any) -> Any:
    return {"alg": "pbkdf2-sha256", "rounds": rounds, "salt": SALT}


def slot(*kdfs: Any) -> Any:
    """A passphrase slot of this derivation, or a composite one of these."""
    head = {"type": "passphrase", "kdf": kdfs[0]}
    if len(kdfs) > 1:
        factors = [{"kdf": kdf, "source": f"source-{number}"} for number, kdf in enumerate(kdfs)]
        head = {"type": "composite", "factors": factors}
    common = {"commit": to_base64(bytes(32)), "wrap": to_base64(bytes(48)), "label": ""}
    return {**common, **head, "id": f"{next(NUMBERS):016x}"}


LARGEST = argon(1_048_576, 4)
TODAY = argon(65_536, 3)
FIT = [
    [slot(LARGEST)],
    [slot(LARGEST), slot(LARGEST)],
    [slot(scrypt(2**20, 2))],
    [slot(scrypt(2**17, 16))],
    [slot(pbkdf2(10_000_000)) for _ in range(3)],
    [slot(TODAY, TODAY, TODAY, TODAY) for _ in range(8)],
    [slot(argon(1_048_576, 4)), slot(argon(1_048_576, 3)), slot(argon(524_288, 2))],
]
TOO_MUCH = [
    [slot(LARGEST) for _ in range(8)],
    [slot(LARGEST), slot(LARGEST), slot(argon(19_456, 2))],
    [slot(scrypt(2**20, 2)), slot(scrypt(2**19, 2))],
    [slot(LARGEST, LARGEST, argon(19_456, 2))],
    [slot(LARGEST, {"alg": "none"}), slot(LARGEST), slot(pbkdf2(600_000))],
    [slot(pbkdf2(10_000_000)) for _ in range(4)],
]


@pytest.mark.parametrize("slots", FIT)
def test_fits(independent: Any, slots: Any) -> None:
    SlotTable.parse(STORE, slots)
    independent.check_table(STORE, slots)


@pytest.mark.parametrize("slots", TOO_MUCH)
def test_refused_before_anything_is_derived(independent: Any, monkeypatch: pytest.MonkeyPatch, slots: Any) -> None:
    for name in ("argon2id", "scrypt", "pbkdf2"):
        monkeypatch.setattr(primitives, name, None)
    with pytest.raises(ValueError, match="together"):
        SlotTable.parse(STORE, slots)
    with pytest.raises(independent.Damaged, match="all derivations"):
        independent.check_table(STORE, slots)


def test_no_slot_is_made_that_exceeds_it(tmp_path: Path) -> None:
    full, dek = SlotTable.parse(STORE, [slot(LARGEST), slot(LARGEST)]), Secret(bytes(32))
    cheap = new_slot.passphrase(full.store, lambda *_: Secret(bytes(64)), cost=Argon2id(19_456, 2, 1))
    dear = NewSlot(full.store, {**slot(scrypt(2**20, 2)), "commit": "", "wrap": ""}, Secret(bytes(64)))
    with pytest.raises(StorageError, match=r"would pass over 8\.04 GiB of memory; the maximum is 8 GiB") as caught:
        full.add(dek, cheap)
    assert (
        caught.value.hint == f"remove or replace the most expensive slot first: awsv slot remove {full.slots[0].id[:8]}"
    )
    with pytest.raises(StorageError, match=r"would pass over 10\.00 GiB"):
        full.replace(dek, full.slots[0].id, dear)
    replaced = full.replace(dek, full.slots[0].id, cheap)
    assert sum(slot.cost for slot in replaced.slots) <= MAX_TOTAL
    key = new_slot.key(full.store, FakeContext(tmp_path), "keychain")  # derives nothing
    assert len(full.add(dek, key).slots) == 3
