"""A key is replaced or forgotten only as it was seen, by stores that can check that and by those that cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.memory_backend import BOTH, MemoryBackend
from vault_core.api import AtRest, Capability, Credentials, Secret, StorageConflict, StorageSpec
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings
from vault_core.storage.vault import Store, Vault

ONE = Credentials(access_key_id="AKIAONE", secret_access_key=Secret("one"))
OTHER = Credentials(access_key_id="AKIAONE", secret_access_key=Secret("other"))
EACH = pytest.mark.parametrize("able", [Capability.NONE, Capability.CREATE_ONLY, Capability.CAS, BOTH], ids=str)


def vault(root: Path, able: Capability, inner: MemoryBackend) -> Vault:
    spec = StorageSpec(name="odd", summary="s", open=lambda _: inner, at_rest=AtRest.SERVICE, capabilities=able)
    host = Host(Settings({"HOME": str(root)}), Plugins())
    return Vault(host, Store("odd", spec, host.context("storage", "odd", (), store=host.settings.store("odd"))))


class Trusting(MemoryBackend):
    """Checks nothing, as a store may that does not say that it does."""

    def put(self, key: Any, value: Any, **_: Any) -> Any:
        return super().put(key, value)

    def delete(self, key: Any, **_: Any) -> Any:
        return super().delete(key)


@EACH
def test_a_key_that_has_changed_is_neither_replaced_nor_forgotten(able: Capability, tmp_path: Path) -> None:
    opened = vault(tmp_path, able, MemoryBackend() if Capability.CAS in able else Trusting())
    opened.put("work", ONE)
    seen = opened.get("work")
    assert seen is not None
    opened.put("work", OTHER, expect=seen.version)
    with pytest.raises(StorageConflict):
        opened.put("work", ONE, expect=seen.version)
    with pytest.raises(StorageConflict):
        opened.delete("work", expect=seen.version)
    found = opened.get("work")
    assert found is not None
    assert found.credentials == OTHER
    assert opened.delete("work", expect=found.version)


@EACH
def test_only_this_key_is_moved_away(able: Capability, tmp_path: Path) -> None:
    inner = MemoryBackend()
    opened = vault(tmp_path, able, inner)
    assert not opened.delete_only("work", ONE)
    opened.put("work", OTHER)
    assert not opened.delete_only("work", ONE)
    assert opened.get("work") is not None
    assert opened.delete_only("work", OTHER)
    assert inner.kept == {}


@EACH
def test_a_key_that_changes_after_it_was_looked_at_is_not_moved_away(able: Capability, tmp_path: Path) -> None:
    inner = MemoryBackend()
    opened = vault(tmp_path, able, inner)
    opened.put("work", ONE)
    delete = opened.delete

    def late(name: Any, **named: Any) -> Any:
        opened.put("work", OTHER)
        return delete(name, **named)

    opened.delete = late  # type: ignore[method-assign]  # somebody is faster
    assert not opened.delete_only("work", ONE)
    found = opened.get("work")
    assert found is not None
    assert found.credentials == OTHER


def test_another_kind_of_item_is_not_told_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened = vault(tmp_path, BOTH, MemoryBackend({"seeds/a": "x", "credentials/a": "x"}))
    assert opened.owners() == {"a": False}
    assert capfd.readouterr().err == ""


def test_an_original_is_kept_apart_from_the_key_of_its_name(tmp_path: Path) -> None:
    inner = MemoryBackend()
    opened = vault(tmp_path, BOTH, inner)
    opened.put("work", ONE)
    assert opened.backup("work") is None
    opened.keep_backup("work", Secret("text"))
    assert opened.backup("work") == Secret("text")
    assert set(inner.kept) == {"credentials/work", "original/work"}
    opened.keep_backup("work", None)
    assert set(inner.kept) == {"credentials/work"}
