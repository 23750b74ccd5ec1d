"""Fixtures for sealed stores: cheap but legal key derivation, done once for each input; the second implementation."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from vault_core.keyslots import new_slot
from vault_core.vlt import primitives
from vault_core.vlt.kdf import Argon2id

CHEAP = Argon2id(memory=19_456, passes=2, lanes=1)


@pytest.fixture(scope="session")
def independent() -> Any:
    """The second implementation of the format (``independent.py``)."""
    path = Path(__file__).parent / "vlt" / "independent.py"
    spec = importlib.util.spec_from_file_location("awsv_independent_format", path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def memos() -> Any:
    return {name: functools.cache(getattr(primitives, name)) for name in ("argon2id", "scrypt", "pbkdf2")}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch, memos: Any) -> None:
    monkeypatch.setattr(new_slot, "DEFAULT_COST", CHEAP)
    for name, memo in memos.items():
        monkeypatch.setattr(primitives, name, memo)
