"""A folder of aws-vault's items that somebody else may have written into: what opening them costs has a limit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from support.awsvault import PASSPHRASE, write_item
from vault_core.errors import ConfigError, WrongSecret
from vault_core.importing import awsvault, jwe
from vault_core.importing.awsvault import START, open_items, tokens
from vault_core.secret import Secret

KEY = {"AccessKeyID": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two items as aws-vault writes them, the last ones by their names, and thirty dear ones."""
    for name in ("yours", "zebra"):
        write_item(tmp_path, name, name, KEY)
    for number in range(30):
        write_item(tmp_path, f"dear-{number:02}", f"dear-{number}", KEY, rounds=jwe.MOST_ROUNDS, seal=False)
    return tmp_path


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds of each derivation; those of dear ones are not done."""
    real, done = hashlib.pbkdf2_hmac, []

    def counted(name: str, secret: bytes, salt: bytes, rounds: int, length: int) -> bytes:
        done.append(rounds)
        return real(name, secret, salt, min(rounds, 8192), length)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counted)
    return done


def test_dear_items_cost_ten_seconds_together_and_the_cheap_ones_come_first(folder: Path, derived: list[int]) -> None:
    found = open_items(folder, tokens(folder), Secret(PASSPHRASE.encode()))
    assert sorted(found.keys) == ["yours", "zebra"]
    assert sum(derived) <= jwe.MOST_TOGETHER
    assert derived[:2] == [8192, 8192]
    refused = [bad for bad in found.bad if "too many beside those of the other items" in bad.reason]
    assert len(refused) == 30 - (jwe.MOST_TOGETHER - 2 * 8192) // jwe.MOST_ROUNDS
    assert "its 1,300,000 rounds" in refused[0].reason


def test_with_the_wrong_passphrase_too(folder: Path, derived: list[int]) -> None:
    with pytest.raises(WrongSecret):
        open_items(folder, tokens(folder), Secret(b"wrong"))
    assert sum(derived) <= jwe.MOST_TOGETHER


def test_the_odd_derivation_counts_as_well(tmp_path: Path, derived: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done for each item that the passphrase does not open, and takes eight times as long."""
    odd: list[bytes] = []
    monkeypatch.setattr(jwe, "odd_pbkdf2", lambda passphrase, salt, rounds: odd.append(salt) or bytes(16))
    monkeypatch.setattr(jwe, "MOST_TOGETHER", 100 * jwe.ODD_ROUNDS)
    for number in range(30):
        write_item(tmp_path, f"item-{number:02}", f"item-{number}", KEY, seal=False)
    with pytest.raises(WrongSecret):
        open_items(tmp_path, tokens(tmp_path), Secret(b"wrong"))
    assert sum(derived) + len(odd) * jwe.ODD_COST <= 100 * jwe.ODD_ROUNDS + jwe.ODD_COST
    assert len(derived) == len(odd) == 12


def test_what_fills_the_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awsvault, "MOST_BYTES", 5 << 20)
    for number in range(9):
        with (tmp_path / f"item-{number}").open("wb") as file:
            file.write(awsvault.START)
            file.truncate(1 << 30)
        if number == 3:
            assert len(tokens(tmp_path)) == 4
    with pytest.raises(ConfigError, match="holds more than 5 MiB"):
        tokens(tmp_path)


def test_of_a_file_that_is_no_item_for_its_size_no_more_is_read_than_shows_it(tmp_path: Path) -> None:
    with (tmp_path / "endless").open("wb") as file:
        file.write(START)
        file.truncate(8 * jwe.LARGEST)
    found = tokens(tmp_path)
    assert len(found["endless"]) == jwe.LARGEST + 1
    assert [bad.name for bad in open_items(tmp_path, found, Secret(PASSPHRASE.encode())).bad] == ["endless"]
