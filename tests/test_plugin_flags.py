"""``--PLUGIN-OPTION``: taken out of the command line, but not from a command that has such an option itself."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from support.failures import assert_shape
from support.home import Home
from support.vaults import KEY_ID, SECRET, fill, offline
from vault_core import output
from vault_core.api import Option, PassphraseSourceSpec, StorageSpec
from vault_core.cli.app import App
from vault_core.cli.commands import COMMANDS, Program, take_plugin_flags
from vault_core.errors import UsageError
from vault_core.plugins.discovery import Offer


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A machine without AWS, with a key of ``work``."""
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    home.configure("[profile work]\nregion = eu-west-1\n")
    return home


def every_option() -> dict[str, list[click.Option]]:
    """Command to its options, groups and all."""
    program = Program("awsv")
    context = click.Context(program)
    found: dict[str, list[click.Option]] = {}

    def walk(path: str, command: click.Command) -> None:
        found[path] = [option for option in command.params if isinstance(option, click.Option)]
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                sub = command.get_command(context, name)
                assert sub is not None
                walk(f"{path} {name}", sub)

    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None
        walk(name, command)
    return found


def test_no_plugin_takes_a_flag_of_a_command_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a plugin is called: what a command has for an option is that option, behind the command's word."""
    monkeypatch.setattr(output, "guard", lambda: None)
    for command, options in every_option().items():
        for option in options:
            for name in (*option.opts, *option.secondary_opts):
                if "-" not in name.removeprefix("--"):
                    continue
                plugin = name.removeprefix("--").partition("-")[0]
                app = App()
                app.plugins._offers = (
                    Offer("storage", plugin, "d", "1", "m"),
                    Offer("storage", "other", "d", "1", "m"),
                )
                words = [*command.split(), name, *([] if option.is_flag else ["--other-value"])]
                assert take_plugin_flags(app, [*words, "--other-place", "x"]) == {"other-place": "x"}, words


def test_a_plugins_own_command_has_its_options_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "guard", lambda: None)
    app = App()
    app.plugins._offers = (*app.plugins.offers(), Offer("storage", "kms", "d", "1", "m"))
    words = ["--kms-key", "a", "ssm", "put-passphrase", "--kms-key", "b", "--kms-other", "c"]
    assert take_plugin_flags(app, words) == {"kms-key": "a", "kms-other": "c"}
    assert words == ["ssm", "put-passphrase", "--kms-key", "b"]


@pytest.mark.parametrize(
    ("argv", "flags", "rest"),
    [
        ("list --file-dir /x", {"file-dir": "/x"}, "list"),
        ("--file-dir=/x list", {"file-dir": "/x"}, "list"),
        ("add work --file-dir /x --env", {"file-dir": "/x"}, "add work --env"),
        ("exec --file-dir /x work cmd --file-dir /y", {"file-dir": "/x"}, "exec work cmd --file-dir /y"),
        ("exec work --file-dir /x cmd", {"file-dir": "/x"}, "exec work cmd"),
        ("exec -d 1h --region r --file-dir /x work cmd", {"file-dir": "/x"}, "exec -d 1h --region r work cmd"),
        ("--backend b exec --file-dir /x work", {"file-dir": "/x"}, "--backend b exec work"),
        ("exec work -- --file-dir /x", {}, "exec work -- --file-dir /x"),
        ("exec --no-session --mfa-token 1 work", {}, "exec --no-session --mfa-token 1 work"),
        ("list --other-dir /x --filer-dir /y", {}, "list --other-dir /x --filer-dir /y"),
        ("list --file-dir= ", {"file-dir": ""}, "list"),
        ("list --file- x", {"file-": "x"}, "list"),
    ],
)
def test_flags_of_plugins(argv: str, flags: dict[str, str], rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "guard", lambda: None)  # a plugin is loaded to learn which of its options are secret
    app = App()
    app.plugins._offers = tuple(Offer("storage", name, "d", "1", "m") for name in ("file", "mfa", "no", "UPPER"))
    words = argv.split()
    assert take_plugin_flags(app, words) == flags
    assert words == rest.split()


SECRET_FLAGS = ("--hashicorp-password", "--hashicorp-secret-id", "--drawer-pin", "--absent-token", "--file-passphrase")


@pytest.mark.parametrize("flag", SECRET_FLAGS)
@pytest.mark.parametrize(
    "line",
    [
        "FLAG VALUE list",
        "FLAG=VALUE list",
        "list FLAG VALUE",
        "exec FLAG=VALUE work -- true",
        "exec work FLAG VALUE -- true",
        "--debug FLAG VALUE --help",
        "--region r export work FLAG=VALUE",
        "no-such-command FLAG VALUE",
        "list FLAG",
        "list FLAG=",
    ],
)
def test_a_secret_is_no_argument(flag: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything else happens, by its name or because its plugin declares it."""
    monkeypatch.setattr(output, "guard", lambda: None)
    app = App()
    declared = (Option(name="pin", help="digits", secret=True), Option(name="place", help="a file"))
    app.plugins._offers = (
        *app.plugins.offers(),
        Offer("storage", "drawer", "d", "1", "m"),
        Offer("passphrase", "absent", "d", "1", "not_installed_anywhere"),
    )
    app.plugins._loaded["storage", "drawer"] = StorageSpec(name="drawer", summary="s", open=print, options=declared)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as caught:
        take_plugin_flags(app, line.replace("FLAG", flag).replace("VALUE", "canary").split())
    assert caught.value.message == f"there is no {flag}: other users can read the arguments of a program"
    assert caught.value.hint == f"set AWS_VAULT_{flag[2:].replace('-', '_').upper()}"
    assert take_plugin_flags(app, ["list", "--drawer-place", "x"]) == {"drawer-place": "x"}
    assert take_plugin_flags(app, ["exec", "work", "--", "tool", flag, "canary"]) == {}


@pytest.mark.parametrize("secret", [{"passphrase"}, {"storage"}])
def test_what_is_a_secret_to_one_kind_of_plugin_is_one(secret: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins of several kinds with one name share a flag and a key of profiles, and need not agree."""
    monkeypatch.setattr(output, "guard", lambda: None)
    app = App()
    app.plugins._offers = tuple(Offer(kind, "drawer", "d", "1", "m") for kind in ("passphrase", "storage"))
    for kind, spec in (("passphrase", PassphraseSourceSpec), ("storage", StorageSpec)):
        options = (Option(name="pin", help="digits", secret=kind in secret),)
        app.plugins._loaded[kind, "drawer"] = spec(name="drawer", summary="s", open=print, options=options)  # type: ignore[arg-type]
        app.host.context(kind, "drawer", options)
    with pytest.raises(UsageError, match="there is no --drawer-pin"):
        take_plugin_flags(app, ["list", "--drawer-pin", "canary"])
    assert app.host.shown_keys == set()


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("--hashicorp-passwrod", "set AWS_VAULT_HASHICORP_PASSWORD"),
        ("--hashicorp-adress", "did you mean '--hashicorp-address'?"),
        ("--file-zzzzzzzz", "'awsv plugins check file' shows its options"),
    ],
)
def test_a_misspelt_option_of_a_plugin_is_refused(flag: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was meant for it is not passed over in silence, and a folder is not another one."""
    monkeypatch.setattr(output, "guard", lambda: None)
    with pytest.raises(UsageError) as caught:
        take_plugin_flags(App(), ["list", flag, "canary"])
    assert (caught.value.message, caught.value.hint) == (f"no such option {flag!r}", hint)


def test_the_program_refuses_a_secret_as_an_argument(home: Home) -> None:
    done = home.awsv("list", "--hashicorp-password=canary")
    assert done.returncode == 2
    assert_shape(done.stdout, done.stderr)
    assert "canary" not in done.stderr
    assert home.awsv("exec", "work", "--hashicorp-password=canary", "--", "true").returncode == 125


def test_help_beside_a_plugins_flag_is_on_standard_output(home: Home) -> None:
    """The plugin was loaded to learn whether its option is a secret."""
    done = home.awsv("--file-dir", "/x", "list", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: awsv list" in done.stdout
