"""An untrusted folder of aws-vault's items: the cost of decrypting it is limited."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from support.awsvault import PASSPHRASE, write_item
from vault_core.api import ConfigError, Secret, WrongSecret
from vault_plugin_aws_vault import items, jwe
from vault_plugin_aws_vault.items import START, read_items, scan

KEY = {"AccessKeyID": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two items as aws-vault writes them, last by name, and thirty expensive ones."""
    for name in ("yours", "zebra"):
        write_item(tmp_path, name, name, KEY)
    for number in range(30):
        write_item(tmp_path, f"expensive-{number:02}", f"expensive-{number}", KEY, rounds=jwe.MAX_ROUNDS, seal=False)
    return tmp_path


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds of each derivation; those of expensive items are not executed."""
    real, done = hashlib.pbkdf2_hmac, []

    def counted(name: str, secret: bytes, salt: bytes, rounds: int, length: int) -> bytes:
        done.append(rounds)
        return real(name, secret, salt, min(rounds, 8192), length)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counted)
    return done


def test_scan_total_rounds_are_limited_and_cheap_items_come_first(folder: Path, derived: list[int]) -> None:
    found = scan(folder, read_items(folder), Secret(PASSPHRASE.encode()))
    assert sorted(found.keys) == ["yours", "zebra"]
    assert sum(derived) <= jwe.MAX_TOTAL_ROUNDS
    assert derived[:2] == [8192, 8192]
    refused = [one for one in found.rejected if "too many in addition to those of the other items" in one.reason]
    assert len(refused) == 30 - (jwe.MAX_TOTAL_ROUNDS - 2 * 8192) // jwe.MAX_ROUNDS
    assert "its 1,300,000 rounds" in refused[0].reason


def test_scan_wrong_passphrase_total_rounds_are_limited(folder: Path, derived: list[int]) -> None:
    with pytest.raises(WrongSecret):
        scan(folder, read_items(folder), Secret(b"wrong"))
    assert sum(derived) <= jwe.MAX_TOTAL_ROUNDS


def test_scan_odd_derivation_counts(tmp_path: Path, derived: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried for each item that the passphrase does not open, and takes eight times as long."""
    odd: list[bytes] = []
    monkeypatch.setattr(jwe, "odd_pbkdf2", lambda passphrase, salt, rounds: odd.append(salt) or bytes(16))  # type: ignore[func-returns-value]  # append returns None
    monkeypatch.setattr(jwe, "MAX_TOTAL_ROUNDS", 100 * jwe.ODD_ROUNDS)
    for number in range(30):
        write_item(tmp_path, f"item-{number:02}", f"item-{number}", KEY, seal=False)
    with pytest.raises(WrongSecret):
        scan(tmp_path, read_items(tmp_path), Secret(b"wrong"))
    assert sum(derived) + len(odd) * jwe.ODD_COST <= 100 * jwe.ODD_ROUNDS + jwe.ODD_COST
    assert len(derived) == len(odd) == 12


def test_read_items_large_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MAX_TOTAL_BYTES", 5 << 20)
    for number in range(9):
        with (tmp_path / f"item-{number}").open("wb") as file:
            file.write(START)
            file.truncate(1 << 30)
        if number == 3:
            assert len(read_items(tmp_path)) == 4
    with pytest.raises(ConfigError, match="contains more than 5 MiB"):
        read_items(tmp_path)


def test_read_items_large_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "endless").open("wb") as file:
        file.write(START)
        file.truncate(8 * jwe.MAX_BYTES)
    found = read_items(tmp_path)
    assert len(found["endless"]) == jwe.MAX_BYTES + 1
    assert [one.name for one in scan(tmp_path, found, Secret(PASSPHRASE.encode())).rejected] == ["endless"]
