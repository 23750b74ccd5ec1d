"""Which of several offers is meant, which may load, and whom a bug belongs to: by metadata alone."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from vault_core.errors import PluginConflict, PluginDisabled, PluginLoadError, PluginNotFound
from vault_core.plugins import loader
from vault_core.plugins.discovery import API, AvailablePlugin
from vault_core.plugins.loader import Plugins


def shelf(*offers: AvailablePlugin, allowed: tuple[str, ...] | None = None, **how: Any) -> Plugins:
    plugins = Plugins(allowed, **how)
    plugins._offers = offers
    return plugins


def offer(
    name: str = "box", distribution: str = "vault-plugin-box", version: str = "1.0", api: int = API
) -> AvailablePlugin:
    return AvailablePlugin("storage", name, distribution, version, "vault_plugin_box_that_is_not_there", api)


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "scan_slowly", tuple)


def test_load_unknown_name_scans_slowly_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "scan_slowly", lambda: (offer(),))
    with pytest.raises(PluginLoadError, match=r"'box' from vault-plugin-box 1\.0 cannot be loaded"):
        shelf().load("storage", "box")
    with pytest.raises(PluginNotFound):
        shelf().load("storage", "bag")


def test_owner_is_the_usable_distribution() -> None:
    old = offer(distribution="vault-plugin-old", version="0.1", api=API + 1)
    assert shelf(old, offer()).owner("storage", "box") == ("vault-plugin-box", "1.0")
    assert shelf(old).owner("storage", "box") == ("box", "of unknown version")
    assert shelf(offer()).owner("passphrase", "box") == ("box", "of unknown version")


@pytest.mark.parametrize("name", ["Box", "b", "a" * 33, "1box", "box\n"])
def test_load_invalid_name_is_not_found(name: str) -> None:
    with pytest.raises(PluginNotFound):
        shelf(offer(name)).load("storage", name)


@pytest.mark.parametrize(("api", "hint"), [(API + 1, "update vault-core"), (API - 1, "update vault-plugin-box")])
def test_load_other_api_version_hints_what_to_update(api: int, hint: str) -> None:
    with pytest.raises(PluginLoadError, match=f"needs vault.storage.v{api}; this awsv has v{API}") as refused:
        shelf(offer(api=api)).load("storage", "box")
    assert str(refused.value.hint).startswith(hint)


def test_load_plugins_variable_does_not_resolve_conflict() -> None:
    both = offer(), offer(distribution="vault-plugin-bag")
    for allowed in (None, ("vault-plugin-box",), ()):
        with pytest.raises(PluginConflict, match="is offered by vault-plugin-box and vault-plugin-bag"):
            shelf(*both, allowed=allowed).load("storage", "box")
    with pytest.raises(PluginConflict, match=r"installed twice in one folder \(1\.0 and 2\.0\)"):
        shelf(offer(), offer(version="2.0")).load("storage", "box")


@pytest.mark.parametrize(
    ("allowed", "may_load"),
    [
        (None, True),
        ((), False),
        (("box",), True),
        (("vault-plugin-box",), True),
        (("Vault_Plugin.Box",), True),
        (("bag", "vault-plugin-bag"), False),
    ],
)
def test_may_load_by_name_or_distribution(allowed: tuple[str, ...] | None, may_load: bool) -> None:
    with pytest.raises(
        PluginLoadError if may_load else PluginDisabled, match="cannot be loaded" if may_load else "may not"
    ):
        shelf(offer(), allowed=allowed).load("storage", "box")


def test_hint_with_standard_plugins_installs_only_the_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "install_hint", lambda *names: " ".join(names))
    standard = offer("file", "vault-plugin-file")
    assert "vault-plugin-env" not in shelf(standard).hint("storage", "hashicorp")
    assert "vault-plugin-hashicorp" in shelf(standard).hint("storage", "hashicorp")
    assert "vault-plugin-aws" in shelf().hint("storage", "file")  # all of the default settings
    assert "vault-plugin-aws" not in shelf(standard).hint("passphrase", "env")
    assert "vault-plugin-file" not in shelf().hint("storage", "hashicorp")


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(0), GeneratorExit(), ImportError("a\nb")], ids=repr)
def test_load_module_that_raises_is_refused(raised: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line captures standard output before; Ctrl-C is the user's, not the plugin's."""
    calls: list[str] = []

    def fail(name: str) -> None:
        calls.append(name)
        raise raised

    monkeypatch.setattr(importlib, "import_module", fail)
    wanted = KeyboardInterrupt if isinstance(raised, KeyboardInterrupt) else PluginLoadError
    with pytest.raises(wanted) as refused:
        shelf(offer(), before_load=lambda: calls.append("before")).load("storage", "box")
    assert calls == ["before", "vault_plugin_box_that_is_not_there"]
    assert "\n" not in str(refused.value)


def test_options_of_command_is_empty_without_loading() -> None:
    command = AvailablePlugin("command", "box", "vault-plugin-box", "1.0", "vault_plugin_box_that_is_not_there")
    assert shelf(command).options(command) == ()
