"""Which store a session was made from: what is part of its identity, and when that is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.memory_backend import MemoryBackend
from vault_core.api import AtRest, Capability, Option, StorageSpec
from vault_core.asking import Asking
from vault_core.errors import StorageLocked
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings
from vault_core.storage.vault import Store, Vault


def store(root: Path, name: str = "odd", environ: dict[str, str] | None = None, **more: Any) -> Store:
    declared: dict[str, Any] = {"at_rest": AtRest.SERVICE, "open": lambda _: MemoryBackend(), **more}
    spec = StorageSpec(name=name, summary="s", **declared)
    host = Host(Settings({"HOME": str(root)} | (environ or {})), Plugins())
    return Store(name, spec, host.context("storage", name, spec.options, store=host.settings.store(name)))


def vault(root: Path, store: Store, *, offline: bool = False) -> Vault:
    return Vault(Host(Settings({"HOME": str(root)}), Plugins(), asking=Asking(offline=offline)), store)


def test_two_names_of_one_folder_are_one_store_and_two_plugins_are_two(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    places = ("folder", "link", "other")
    folder, link, other = (store(tmp_path, locate=lambda _, at=at: str(tmp_path / at)).identity for at in places)
    assert folder == link != other
    assert store(tmp_path, "even", locate=lambda _: str(tmp_path / "folder")).identity != folder


def test_a_place_that_is_no_path_is_not_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path) not in store(tmp_path, locate=lambda _: "the server").identity


def test_without_a_place_options_and_the_data_folder_tell_stores_apart_and_secrets_do_not(tmp_path: Path) -> None:
    options = (Option(name="url", help="h"), Option(name="pin", help="h", secret=True))
    found = [
        store(tmp_path, options=options, environ={"AWS_VAULT_ODD_URL": "a", "AWS_VAULT_ODD_PIN": "canary"}).identity,
        store(tmp_path, options=options, environ={"AWS_VAULT_ODD_URL": "a", "AWS_VAULT_ODD_PIN": "other"}).identity,
        store(tmp_path, options=options, environ={"AWS_VAULT_ODD_URL": "b"}).identity,
        store(tmp_path, options=options, environ={"AWS_VAULT_ODD_URL": "a", "XDG_DATA_HOME": "/data"}).identity,
    ]
    assert "canary" not in found[0]
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_store_that_becomes_another_while_it_is_opened_is_refused(tmp_path: Path) -> None:
    places = ["before"]

    def moves(_: object) -> MemoryBackend:
        places[0] = "after"
        return MemoryBackend()

    moved = store(tmp_path, locate=lambda _: places[0], open=moves)
    with pytest.raises(StorageLocked, match="is not the store, or not the login"):
        vault(tmp_path, moved).get("work")


@pytest.mark.parametrize("capability", [Capability.REMOTE, Capability.NONE])
def test_who_only_looks_opens_no_store_on_the_network(capability: Capability, tmp_path: Path) -> None:
    opened: list[object] = []
    looked = store(tmp_path, capabilities=capability, open=lambda _: opened.append(1) or MemoryBackend())
    offline = vault(tmp_path, looked, offline=True)
    if capability is Capability.REMOTE:
        with pytest.raises(StorageLocked, match="needs the network and was not asked"):
            offline.owners()
    else:
        assert offline.owners() == {}
    assert len(opened) == (capability is Capability.NONE)
    assert vault(tmp_path, looked).owners() == {}
