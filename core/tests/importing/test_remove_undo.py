"""Undo of a removal: what the file held is kept, whenever the process ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.importing import remove
from vault_core.importing.backups import Backup
from vault_core.importing.record import ImportRecords, digest
from vault_core.importing.remove import PlainFile
from vault_core.secret import Secret


def test_undo_interrupted_while_it_writes_keeps_what_the_file_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(b"edited since")
    kept = [Backup(Secret(b"with its keys"), 0o600, digest(b"without its keys"))]
    backups: Any = SimpleNamespace(read=lambda: list(kept), write=lambda now: kept.__setitem__(slice(None), now))
    nothing: Any = None

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(remove, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        PlainFile(path, nothing, Path.read_bytes, backups, nothing, tmp_path / "locks").restore(overwrite=True)
    assert [one.content.reveal() for one in kept] == [b"edited since", b"with its keys"]


def test_undo_of_a_file_that_only_lacks_its_permissions_restores_them(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(b"with its keys")
    path.chmod(0o600)
    kept = [Backup(Secret(b"with its keys"), 0o640, digest(b"without its keys"))]
    backups: Any = SimpleNamespace(read=lambda: list(kept), write=lambda now: kept.__setitem__(slice(None), now))
    records = ImportRecords(tmp_path / "imports")
    PlainFile(path, path.with_name("config"), Path.read_bytes, backups, records, tmp_path / "locks").restore(
        overwrite=False
    )
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"with its keys", 0o640)
    assert kept == []
