"""Plugins by the name that somebody typed: those that are listed, or the hint about the one that is not."""

from __future__ import annotations

import pytest

from vault_core.errors import PluginNotFound
from vault_core.plugins.check.listing import PluginEntry, named
from vault_core.plugins.loader import Plugins

DRAWER = PluginEntry("storage", "drawer", "vault-plugin-drawer", "1", "installed", None)
SAME_NAME = PluginEntry("passphrase", "drawer", "elsewhere", "1", "installed", None)


class Hints(Plugins):
    """Gives a hint that says what it is about."""

    def hint(self, kind: str, name: str, more: object = ()) -> str:
        return f"install {kind} {name}"


def test_plugins_are_found_by_name_and_by_distribution() -> None:
    assert named(Hints(), "drawer", [DRAWER, SAME_NAME]) == [DRAWER, SAME_NAME]
    assert named(Hints(), "Vault_Plugin.Drawer", [DRAWER, SAME_NAME]) == [DRAWER]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("kwallet", "install storage kwallet"),  # one of ours
        ("sts", "install session sts"),
        ("drawr", "did you mean 'drawer'?"),
        ("zzz", "'awsv plugins list' shows them"),
    ],
)
def test_missing_plugin_of_ours_has_its_install_command_and_others_have_none(name: str, hint: str) -> None:
    with pytest.raises(PluginNotFound, match=f"^no plugin named '{name}' is installed$") as caught:
        named(Hints(), name, [DRAWER, SAME_NAME])
    assert caught.value.hint == hint
