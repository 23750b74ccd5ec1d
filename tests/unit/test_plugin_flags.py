"""``-o PLUGIN.KEY=VALUE``, and the flags of aws-vault that set an option of a plugin."""

from __future__ import annotations

import click
import pytest

from vault_core import stdout
from vault_core.api import Option, PassphraseSourceSpec, StorageSpec
from vault_core.cli.app import App
from vault_core.cli.commands import COMMANDS, Program
from vault_core.cli.options import global_options
from vault_core.errors import UsageError
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.install_hint import install_hint


@pytest.fixture(autouse=True)
def _uncaptured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output stays pytest's, although the command line loads plugins."""
    monkeypatch.setattr(stdout, "capture", lambda: None)


def every_command() -> dict[str, click.Command]:
    """The commands by their words, groups and all."""
    program = Program("awsv")
    context = click.Context(program, obj=App())
    commands: dict[str, click.Command] = {}

    def walk(path: str, command: click.Command) -> None:
        commands[path] = command
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                sub = command.get_command(context, name)
                assert sub is not None
                walk(f"{path} {name}", sub)

    for name in (*COMMANDS, "file", "ssm"):
        command = program.get_command(context, name)
        assert command is not None
        walk(name, command)
    return commands


@pytest.fixture
def app() -> App:
    return App()


def parse(app: App, line: str) -> dict[str, str]:
    """The flags that the options of the program have set after parsing."""
    command = click.Command("x", params=global_options(hidden=True))
    command.make_context("awsv", line.split(), obj=app)
    return app.settings.flags


def test_every_command_takes_options_of_plugins(app: App) -> None:
    commands = every_command()
    assert {"exec", "plugins check", "file status"} <= set(commands)
    for path, command in commands.items():
        if not isinstance(command, click.Group):
            names = {name for parameter in command.params for name in parameter.opts}
            assert {"-o", "--file-dir"} <= names, path
            assert len([name for parameter in command.params for name in parameter.opts]) == len(names), path


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("-o file.dir=/x", {"file.dir": "/x"}),
        ("-ofile.dir=/x", {"file.dir": "/x"}),
        ("-o file.dir=a=b.c", {"file.dir": "a=b.c"}),
        ("-o file.dir=", {"file.dir": ""}),
        ("-o file.dir=/x -o keychain.name=y", {"file.dir": "/x", "keychain.name": "y"}),
        ("-o file.dir=/x -o file.dir=/y", {"file.dir": "/y"}),
        ("-o secret-service.collection-name=z", {"secret-service.collection-name": "z"}),
        ("--file-dir /x", {"file.dir": "/x"}),
        ("--file-dir=/x", {"file.dir": "/x"}),
        ("--keychain y", {"keychain.name": "y"}),
        ("--secret-service-collection z", {"secret-service.collection-name": "z"}),
        ("", {}),
    ],
)
def test_option_sets_the_flag_of_its_plugin(line: str, flags: dict[str, str], app: App) -> None:
    assert parse(app, line) == flags


@pytest.mark.parametrize("text", ["", "file", "file.dir", "file=/x", ".dir=/x", "file.=/x", "canary"])
def test_text_without_plugin_key_and_value_is_refused_and_not_shown(text: str, app: App) -> None:
    command = click.Command("x", params=global_options(hidden=True))
    with pytest.raises(UsageError) as caught:
        command.make_context("awsv", ["-o", text], obj=app)
    assert caught.value.message == "option -o needs PLUGIN.KEY=VALUE"


SECRETS = ("hashicorp.password", "hashicorp.secret-id", "drawer.pin", "absent.token", "file.passphrase", "none.token")


@pytest.mark.parametrize("target", SECRETS)
def test_secret_option_is_refused_with_the_place_to_set_it(target: str, app: App) -> None:
    """By its name, or because its plugin declares it; whether that is installed or broken, or not."""
    declared = (Option(name="pin", help="digits", secret=True), Option(name="place", help="a file"))
    app.plugins._offers = (
        *app.plugins.offers(),
        AvailablePlugin("storage", "drawer", "d", "1", "m"),
        AvailablePlugin("passphrase", "absent", "d", "1", "not_installed_anywhere"),
    )
    app.plugins._loaded["storage", "drawer"] = StorageSpec(name="drawer", summary="s", open=print, options=declared)  # type: ignore[arg-type]  # it is not opened
    with pytest.raises(UsageError) as caught:
        parse(app, f"-o {target}=canary")
    plugin, _, option = target.partition(".")
    assert (
        caught.value.message
        == f"option {target} is secret and has no flag: other users can read the arguments of a program"
    )
    variable = f"AWS_VAULT_{plugin}_{option}".replace("-", "_").upper()
    assert caught.value.hint == f"set {variable}, or {option} below [plugin.{plugin}] of config.toml"
    assert parse(app, "-o drawer.place=x") == {"drawer.place": "x"}


@pytest.mark.parametrize("secret", [{"passphrase"}, {"storage"}])
def test_option_that_is_secret_to_one_kind_of_plugin_is_refused(secret: set[str], app: App) -> None:
    """Plugins of several kinds with one name share their options and the keys of profiles, and need not agree."""
    app.plugins._offers = tuple(AvailablePlugin(kind, "drawer", "d", "1", "m") for kind in ("passphrase", "storage"))
    for kind, spec in (("passphrase", PassphraseSourceSpec), ("storage", StorageSpec)):
        options = (Option(name="pin", help="digits", secret=kind in secret),)
        app.plugins._loaded[kind, "drawer"] = spec(name="drawer", summary="s", open=print, options=options)  # type: ignore[arg-type]  # it is not opened
        app.host.context(kind, "drawer", options)
    with pytest.raises(UsageError, match=r"option drawer\.pin is secret"):
        parse(app, "-o drawer.pin=canary")
    assert app.host.state.shown_keys == set()


@pytest.mark.parametrize(
    ("target", "problem", "hint"),
    [
        (
            "hashicorp.passwrod",
            "plugin 'hashicorp' has no option 'passwrod'",
            "set AWS_VAULT_HASHICORP_PASSWORD, or password below [plugin.hashicorp] of config.toml",
        ),
        (
            "hashicorp.adress",
            "plugin 'hashicorp' has no option 'adress'",
            "did you mean '-o hashicorp.address'?",
        ),
        ("file.zzzzzzzz", "plugin 'file' has no option 'zzzzzzzz'", "'awsv plugins check file' lists its options"),
        ("flie.dir", "no plugin 'flie' is installed (-o flie.dir)", "did you mean 'file'?"),
        ("zzzzzz.dir", "no plugin 'zzzzzz' is installed (-o zzzzzz.dir)", "'awsv plugins list' shows the plugins"),
    ],
)
def test_unknown_option_is_refused_with_the_nearest_one(target: str, problem: str, hint: str, app: App) -> None:
    """A secret that was meant is not ignored silently, and a misspelt folder is not another store."""
    with pytest.raises(UsageError) as caught:
        parse(app, f"-o {target}=canary")
    assert (caught.value.message, caught.value.hint) == (problem, hint)


def test_plugin_of_this_repository_that_is_missing_comes_with_its_install_line(app: App) -> None:
    app.plugins._offers = tuple(offer for offer in app.plugins.offers() if offer.name != "hashicorp")
    with pytest.raises(UsageError, match=r"no plugin 'hashicorp' is installed") as caught:
        parse(app, "-o hashicorp.address=x")
    assert caught.value.hint == install_hint("vault-plugin-hashicorp")
