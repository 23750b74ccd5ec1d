"""The child that examines a plugin imports from where this process does, and from nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vault_core.plugins.check.parent import check
from vault_core.plugins.discovery import scan

SOURCE = """
from vault_core.api import *
@hookimpl
def vault_storage_backends():
    return (StorageSpec(name="shelf", summary="s", open=print),)
"""


@pytest.mark.process
@pytest.mark.parametrize("place", ["path", "environment"])
def test_the_import_path_is_handed_on(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where awsv was installed with ``pip install --user``: an isolated interpreter alone would not look there."""
    info = tmp_path / "shelf-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[vault.storage.v1]\nshelf = check_shelf\n")
    (tmp_path / "check_shelf.py").write_text(SOURCE)
    offers = scan([str(tmp_path)])
    environ = {"HOME": str(tmp_path), "PYTHONPATH": "/nowhere"}
    if place == "path":
        monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    else:
        environ["PYTHONPATH"] = str(tmp_path)
    found = check(offers, flags={}, environ=environ)["storage", "shelf"]
    assert found["state"] == ("ok" if place == "path" else "broken"), found
    assert found["offers"].get("summary") == ("s" if place == "path" else None)
