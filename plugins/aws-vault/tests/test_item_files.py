"""Which files of aws-vault's folder are read, and which items are sessions."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from vault_core.api import ConfigError, ImportScan
from vault_plugin_aws_vault import items, jwe


def test_read_items_ignores_links_folders_and_pipes_without_waiting(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"eyJ")
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "item").write_bytes(b"eyJx")
    (folder / "empty").touch()
    (folder / ".DS_Store").write_bytes(b"\0\0")
    found: list[dict[str, bytes]] = []
    reading = threading.Thread(target=lambda: found.append(items.read_items(folder)), daemon=True)
    reading.start()
    reading.join(5)
    assert found == [{"item": b"eyJx", "empty": b""}]


@pytest.mark.parametrize(("most", "refused"), [(8, False), (7, True)])
def test_read_items_total_size_is_limited(
    most: int, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "MAX_TOTAL_BYTES", most)
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"eyJx")
    if refused:
        with pytest.raises(ConfigError, match=r"MiB of files that look like items of aws-vault$"):
            items.read_items(tmp_path)
    else:
        assert set(items.read_items(tmp_path)) == {"a", "b"}


def test_read_items_reads_no_more_than_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwe, "MAX_BYTES", 5)
    (tmp_path / "a").write_bytes(b"eyJ" + b"x" * 90)
    assert items.read_items(tmp_path) == {"a": b"eyJxxx"}


@pytest.mark.parametrize("length", [63, 64, 65])
def test_odd_pbkdf2_hashes_a_passphrase_longer_than_a_block(length: int) -> None:
    passphrase = b"p" * length
    key = passphrase if length <= 64 else hashlib.sha256(passphrase).digest()
    outer = bytes(byte ^ 0x5C for byte in key + bytes(64 - len(key)))
    inner = hashlib.sha256(outer + b"salt" + b"\0\0\0\1").digest()
    assert jwe.odd_pbkdf2(passphrase, b"salt", 1) == hashlib.sha256(outer + inner).digest()[:16]


KEY = {"AccessKeyID": "AKIA", "SecretAccessKey": "s"}


@pytest.mark.parametrize(
    ("further", "session"),
    [
        ({}, False),
        ({"Token": "t"}, True),
        ({"Token": None}, True),
        ({"SessionToken": "t"}, True),
        ({"SessionToken": ""}, False),
        ({"AccessKeyId": "ASIA", "Expiration": "soon"}, True),
        ({"AccessKeyId": "ASIA"}, False),
        ({"Expiration": "soon"}, False),
    ],
    ids=str,
)
def test_add_item_is_a_session_by_its_fields(further: dict[str, str | None], session: bool) -> None:
    result = ImportScan("here")
    items._add(result, "file", "work", {**KEY, **further})
    assert (result.sessions, list(result.keys)) == ((["work"], []) if session else ([], ["work"]))
