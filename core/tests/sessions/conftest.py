"""What the tests of sessions share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.scripted import Machine
from vault_core.storage.vault import StoredKey, Vault


@pytest.fixture
def vaults(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Which machine's keys a vault gives out: the store itself is tested elsewhere."""
    found: dict[str, Any] = {"names": ["elsewhere"]}

    def get(vault: Vault, name: str) -> StoredKey | None:
        found["machine"].read.append(name)
        key: StoredKey | None = found["machine"].stored.get(name)
        return key

    monkeypatch.setattr(Vault, "get", get)
    monkeypatch.setattr(Vault, "names", lambda _: found["names"])
    return found


@pytest.fixture
def make(tmp_path: Path, vaults: dict[str, Any]) -> Callable[..., Machine]:
    def made(**options: Any) -> Machine:
        vaults["machine"] = Machine(tmp_path, **options)
        machine: Machine = vaults["machine"]
        return machine

    return made
