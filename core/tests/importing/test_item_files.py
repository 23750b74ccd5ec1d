"""Which files of aws-vault's folder are opened, and the odd derivation at the block's border."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from vault_core.errors import ConfigError
from vault_core.importing import awsvault, jwe
from vault_core.importing.scan import Found


def test_a_link_a_folder_and_a_pipe_are_no_items_and_nobody_waits_for_them(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"eyJ")
    items = tmp_path / "keys"
    items.mkdir()
    (items / "link").symlink_to(outside)
    (items / "folder").mkdir()
    os.mkfifo(items / "pipe")
    (items / "item").write_bytes(b"eyJx")
    (items / "empty").touch()
    (items / ".DS_Store").write_bytes(b"\0\0")
    found: list[dict[str, bytes]] = []
    reading = threading.Thread(target=lambda: found.append(awsvault.tokens(items)), daemon=True)
    reading.start()
    reading.join(5)
    assert found == [{"item": b"eyJx", "empty": b""}]


@pytest.mark.parametrize(("most", "refused"), [(8, False), (7, True)])
def test_all_items_together_have_so_many_bytes_and_no_more(
    most: int, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awsvault, "MOST_BYTES", most)
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"eyJx")
    if refused:
        with pytest.raises(ConfigError, match=r"MiB of what looks like items of aws-vault$"):
            awsvault.tokens(tmp_path)
    else:
        assert set(awsvault.tokens(tmp_path)) == {"a", "b"}


def test_no_more_of_a_file_is_read_than_a_token_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwe, "LARGEST", 5)
    (tmp_path / "a").write_bytes(b"eyJ" + b"x" * 90)
    assert awsvault.tokens(tmp_path) == {"a": b"eyJxxx"}


@pytest.mark.parametrize("length", [63, 64, 65])
def test_only_a_passphrase_longer_than_a_block_is_hashed_first(length: int) -> None:
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
def test_a_session_is_told_from_a_key_by_what_is_in_it(further: dict[str, str | None], session: bool) -> None:
    found = Found("here")
    awsvault._sort_in(found, "file", ("work", {**KEY, **further}))
    assert (found.sessions, list(found.keys)) == ((["work"], []) if session else ([], ["work"]))
