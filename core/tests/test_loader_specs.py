"""What a module's hooks must give before anything is gone by, and what its options may be called."""

from __future__ import annotations

import importlib
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from vault_core.api import AtRest, Option, PassphraseSourceSpec, StorageSpec, hookimpl
from vault_core.errors import PluginLoadError
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.loader import Plugins


def shelf(monkeypatch: pytest.MonkeyPatch, hooks: dict[str, list[Any]]) -> Plugins:
    """One module with these hooks, offered as ``box`` of two kinds."""
    module = ModuleType("vault_plugin_box")
    for hook, specs in hooks.items():
        function = {}
        exec(f"def {hook}(): return specs", {"specs": specs}, function)
        setattr(module, hook, hookimpl(function[hook]))
    monkeypatch.setattr(importlib, "import_module", lambda _: module)
    plugins = Plugins()
    kinds = ("storage", "passphrase")
    plugins._offers = tuple(
        AvailablePlugin(kind, "box", "vault-plugin-box", "1.0", "vault_plugin_box") for kind in kinds
    )
    return plugins


def storage(*options: str, name: str = "box") -> StorageSpec:
    declared = tuple(Option(name=option, help="h") for option in options)
    return StorageSpec(name=name, summary="s", open=lambda _: None, at_rest=AtRest.CORE, options=declared)  # type: ignore[arg-type, return-value]  # it is not opened


def passphrase(*options: str) -> PassphraseSourceSpec:
    declared = tuple(Option(name=option, help="h") for option in options)
    return PassphraseSourceSpec(name="box", summary="s", open=lambda _: None, options=declared)  # type: ignore[arg-type, return-value]  # it is not opened


def test_load_takes_spec_by_kind_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    right = storage()
    found = [SimpleNamespace(name="box"), passphrase(), storage(name="bag"), right, storage("later")]
    assert shelf(monkeypatch, {"vault_storage_backends": found}).load("storage", "box") is right
    with pytest.raises(PluginLoadError, match="but no StorageSpec of that name"):
        shelf(monkeypatch, {"vault_storage_backends": found[:3]}).load("storage", "box")


@pytest.mark.parametrize("option", ["passphrase", "passphrase-file", "passphrase-fd", "passphrase-command"])
def test_load_option_with_passphrase_variable_is_refused(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = shelf(
        monkeypatch, {"vault_storage_backends": [storage(option)], "vault_passphrase_sources": [passphrase(option)]}
    )
    with pytest.raises(PluginLoadError, match=f"has an option '{option}', and AWS_VAULT_BOX_.* is awsv's own"):
        plugins.load("storage", "box")
    assert plugins.load("passphrase", "box").options[0].name == option  # there is no store of that name


def test_load_module_with_unknown_hook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: dict[str, list[Any]] = {
        "vault_storage_backends": [storage()],
        "vault_passphrase_sources": [passphrase()],
        "vault_unknown": [],
    }
    plugins = shelf(monkeypatch, hooks)
    for kind in ("storage", "passphrase", "storage"):
        with pytest.raises(PluginLoadError, match="vault_unknown"):
            plugins.load(kind, "box")
