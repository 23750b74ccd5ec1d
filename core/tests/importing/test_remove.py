"""The credentials file as a file whose keys can be removed: obstacles, permissions, and the order of the steps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vault_core.errors import ConfigError, StorageError
from vault_core.importing.record import ImportRecords
from vault_core.importing.remove import PlainFile


def plain_file(path: Path, backups: Any = None) -> PlainFile:
    return PlainFile(
        path=path,
        config_file=path.with_name("config"),
        read=lambda file: file.read_bytes() if file.exists() else b"",
        backups=backups,
        records=ImportRecords(path.parent / "imports"),
        locks=path.parent / "locks",
    )


@pytest.mark.parametrize(
    ("mode", "closed", "obstacle"),
    [
        (0o600, "", None),
        (0o020, "", None),
        (0o002, "", None),
        (0o400, "", "{file} is read-only"),
        (0o600, "file", "{file} is read-only"),
        (0o600, "folder", "the folder of {file} is read-only"),
    ],
)
def test_obstacle_names_what_prevents_writing(
    mode: int, closed: str, obstacle: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, link = tmp_path / "credentials", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    assert "is a symbolic link to" in (plain_file(link).obstacle() or "")
    file.chmod(mode)
    unwritable = {"file": file, "folder": tmp_path}.get(closed)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != unwritable)  # root can write everything
    assert plain_file(file).obstacle() == (obstacle.format(file=file) if obstacle else None)
    assert plain_file(file).mode() == mode
    assert plain_file(tmp_path / "none").mode() == 0o600


def test_require_copied_refuses_without_a_record_and_after_a_change(tmp_path: Path) -> None:
    plain = plain_file(tmp_path / "credentials")
    with pytest.raises(ConfigError, match="nothing was copied") as missing:
        plain.require_copied(b"keys")
    assert missing.value.hint == "awsv import credentials-file"
    plain.records.write(plain.path, b"keys", ["a"])
    plain.require_copied(b"keys")
    with pytest.raises(StorageError, match="has changed since it was copied") as changed:
        plain.require_copied(b"other")
    assert changed.value.hint == "'awsv import credentials-file' copies the changes"
