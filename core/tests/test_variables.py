"""Which variables a plugin sees: its own and what is no secret; and less while it is only looked at.

And which of them the children of ``exec`` do not get, and which ones say that a dialog may be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from vault_core.api import Option
from vault_core.asking import Asking
from vault_core.child_env import is_secret_variable
from vault_core.errors import PluginLoadError
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.plugins.variables import for_examination, owner, visible
from vault_core.settings import Settings

SECRETS = {
    "AWS_VAULT_PASSPHRASE": "canary",
    "AWS_VAULT_FILE_PASSPHRASE": "canary",
    "AWS_VAULT_FILE_PASSPHRASE_FD": "canary",
    "AWS_VAULT_HASHICORP_PASSWORD": "canary",
    "AWS_VAULT_HASHICORP_SECRET_ID": "canary",
    "AWS_VAULT_BROKER_TOKEN": "canary",
    "VAULT_TOKEN": "canary",
    "BAO_TOKEN": "canary",
    "AWS_VAULT_DRAWER_PIN": "canary",  # a secret only to who has loaded that plugin
    "AWS_VAULT_A_B_C": "canary",
}
PLAIN = {"PATH": "/bin", "GNUPGHOME": "/g", "AWS_VAULT_BACKEND": "file", "AWS_VAULT_X_PLACE": "p", "VAULT_ADDR": "a"}
INSTALLED = ("file", "hashicorp", "broker", "drawer", "a", "a-b", "x")
PIN = Option(name="pin", help="digits", secret=True)


def seen(plugin: str, *declared: Option, reads: tuple[str, ...] = ()) -> set[str]:
    return set(visible({**SECRETS, **PLAIN}, plugin, declared, reads, INSTALLED))


def test_visible_hides_secrets_of_other_plugins() -> None:
    assert seen("x") == set(PLAIN)


@pytest.mark.parametrize(
    ("plugin", "declared", "reads", "more"),
    [
        ("drawer", (PIN,), (), {"AWS_VAULT_DRAWER_PIN"}),
        ("hashicorp", (Option(name="secret-id", help="s", secret=True),), (), {"AWS_VAULT_HASHICORP_SECRET_ID"}),
        ("broker", (), ("BAO_TOKEN", "VAULT_*"), {"BAO_TOKEN", "VAULT_TOKEN"}),
        ("a-b", (), (), {"AWS_VAULT_A_B_C"}),
        ("a", (Option(name="b-c", help="h"),), (), {"AWS_VAULT_A_B_C"}),
        ("a", (), (), set()),
        ("env", (), ("*",), set(SECRETS)),
        ("file", (), (), set()),  # the passphrase of its store is the env source's
    ],
)
def test_visible_includes_own_and_declared_variables(
    plugin: str, declared: tuple[Option, ...], reads: tuple[str, ...], more: set[str]
) -> None:
    others = {"AWS_VAULT_X_PLACE"} if "*" not in reads else set()
    assert seen(plugin, *declared, reads=reads) == (set(PLAIN) - others) | more


def test_context_environ_hides_secrets_of_other_plugins(tmp_path: Path) -> None:
    host = Host(Settings({**SECRETS, **PLAIN, "HOME": str(tmp_path)}), Plugins())
    names = {"env": ("passphrase", True), "hashicorp": ("storage", False), "file": ("storage", False)}
    for name, (kind, everything) in names.items():
        spec = host.plugins.load(kind, name)
        environ = host.context(kind, name, spec.options, store=host.settings.store("file")).environ
        assert (environ.keys() >= SECRETS.keys()) is everything
        assert ("VAULT_TOKEN" in environ) is (name != "file")
        assert ("AWS_VAULT_FILE_PASSPHRASE" in environ) is everything


@pytest.mark.process
def test_run_environment_has_no_secret(tmp_path: Path) -> None:
    """Not even by naming it."""
    secrets = {name: text for name, text in SECRETS.items() if is_secret_variable(name)}
    host = Host(Settings({**secrets, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}), Plugins())
    done = host.context("storage", "x", ()).run(["env"], env=[*secrets])
    assert b"canary" not in done.stdout.reveal()


def test_examination_environment_has_places_and_no_secret() -> None:
    ambient = {"AWS_SECRET_ACCESS_KEY": "canary", "AWS_SESSION_TOKEN": "canary", "GITHUB_PAT": "c", "DATABASE_URL": "c"}
    places = {
        "XDG_DATA_HOME": "/d",
        "AWS_CONFIG_FILE": "/c",
        "PASSWORD_STORE_DIR": "/p",
        "LC_CTYPE": "C",
        "DISPLAY": ":0",
    }
    found = for_examination({**SECRETS, **PLAIN, **ambient, **places}, "drawer", INSTALLED)
    assert set(found) == {*places, *PLAIN, "AWS_VAULT_DRAWER_PIN"} - {"AWS_VAULT_X_PLACE"}


@pytest.mark.parametrize("plugin", ["file", "file-passphrase", "passphrase", "env"])
def test_examination_environment_has_no_passphrase_command(plugin: str) -> None:
    names = [f"AWS_VAULT_{store}PASSPHRASE{form}" for store in ("", "FILE_") for form in ("_COMMAND", "_FILE", "_FD")]
    assert for_examination(dict.fromkeys(names, "canary"), plugin, ["file", "file-passphrase", "passphrase"]) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("CONSUL_HTTP_ADDR", "PASSWORD_STORE_DIR", "AWS_CONFIG_FILE", "DOCKER_HOST", "VAULT_NAMESPACE", "REDIS_PORT"),
        *("AWS_REGION", "GNUPGHOME", "XDG_DATA_HOME", "LC_CTYPE", "PATH", "LANG", "DISPLAY", "TZ"),
    ],
)
def test_examination_environment_has_names_of_places(name: str) -> None:
    assert for_examination({name: "here"}, "drawer", INSTALLED) == {name: "here"}


@pytest.mark.parametrize("name", ["MY_HOST_PIN", "GNUPGHOME2", "XDG_DATA_HOME2", "LC_pin"])
def test_examination_environment_matches_whole_names(name: str) -> None:
    assert for_examination({name: "canary"}, "drawer", INSTALLED) == {}


def test_examination_environment_has_no_secret_of_the_plugin() -> None:
    own = {"AWS_VAULT_DRAWER_TOKEN": "canary", "AWS_VAULT_DRAWER_PASSPHRASE": "canary"}
    assert for_examination(own, "drawer", INSTALLED) == {}


class Odd(Plugins):
    """One plugin, ``odd``, with these options; None: it does not load."""

    def __init__(self, declared: tuple[Option, ...] | None) -> None:
        super().__init__()
        self.declared = declared

    def offers(self) -> tuple[AvailablePlugin, ...]:
        return (AvailablePlugin("storage", "odd", "vault-plugin-odd", "1.0", "m"),)

    def options(self, offer: AvailablePlugin) -> Sequence[Option]:
        if self.declared is None:
            raise PluginLoadError("it is broken")
        return self.declared


@pytest.mark.parametrize(
    ("declared", "hidden"),
    [((Option(name="pin", help="h"),), False), ((PIN,), True), (None, True)],
    ids=["plain", "secret", "broken"],
)
@pytest.mark.parametrize("known", ["by the settings", "by its use", "not at all"])
def test_child_environment_keeps_public_options_of_plugins_in_use(
    declared: tuple[Option, ...] | None, hidden: bool, known: str, tmp_path: Path
) -> None:
    """Of one that does not load, and of one that nobody named, nobody knows: all that may be its own goes."""
    named = {"AWS_VAULT_BACKEND": "odd"} if known == "by the settings" else {}
    host = Host(Settings({"HOME": str(tmp_path), "AWS_VAULT_ODD_PIN": "canary", **named}), Odd(declared))
    if known == "by its use":
        host.context("storage", "odd", declared or ())
    assert host.secret_variables() == ({"AWS_VAULT_ODD_PIN"} if hidden or known == "not at all" else set())


@pytest.mark.parametrize(("name", "shown"), [("DISPLAY", True), ("CI", False), ("SSH_CONNECTION", False)])
def test_dialog_is_not_shown_in_ci_or_over_ssh(name: str, shown: bool, tmp_path: Path) -> None:
    """Over SSH it would appear to whoever sits at that desktop."""
    host = Host(Settings({"HOME": str(tmp_path), name: "1"}), Plugins())
    assert host.context("storage", "x", ()).can_show_dialog is shown
    host = replace(host, asking=Asking(allowed=False))
    assert not host.context("storage", "x", ()).can_show_dialog


@pytest.mark.parametrize(
    ("name", "plugins", "whose"),
    [
        ("AWS_VAULT_FILE_DIR", ("file",), "file"),
        ("AWS_VAULT_FILES_DIR", ("file",), None),
        ("AWS_VAULT_FILE", ("file",), None),
        ("AWS_VAULT_SESSION_CACHE", ("session",), None),  # the core's own
        ("AWS_VAULT_SESSION_URL", ("session",), "session"),
        ("AWS_VAULT_A_B_C", ("a-b", "a"), "a-b"),
        ("AWS_VAULT_A_C", ("a-b", "a"), "a"),
        ("MY_AWS_VAULT_A_C", ("a",), None),
    ],
)
def test_owner_is_plugin_with_longest_name(name: str, plugins: tuple[str, ...], whose: str | None) -> None:
    assert owner(name, plugins) == whose


def test_visible_with_plugin_of_longer_name() -> None:
    """Whether or not it is installed: an editable one, or one of a test, is not."""
    assert visible({"AWS_VAULT_A_B_C": "x"}, "a-b", (), (), ("a",)) == {"AWS_VAULT_A_B_C": "x"}
    assert visible({"AWS_VAULT_A_B_C": "x"}, "a", (), (), ("a-b",)) == {}
