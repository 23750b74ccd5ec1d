"""``-o PLUGIN.KEY=VALUE``: an option of a plugin, on the command line of every command."""

from collections.abc import Iterable
from typing import Any

import click

from vault_core.child_env import is_secret_variable
from vault_core.cli.app import App
from vault_core.command_line import did_you_mean
from vault_core.errors import UsageError, VaultError
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.install_hint import OURS
from vault_core.plugins.variables import variable

AWS_VAULT_FLAGS = {
    "--file-dir": "file.dir",
    "--keychain": "keychain.name",
    "--secret-service-collection": "secret-service.collection-name",
}
"""Flags of aws-vault, and the options that they set."""


def plugin_options(*, hidden: bool) -> list[click.Parameter]:
    """``-o``, and the flags of aws-vault, which are always hidden."""
    option = click.Option(
        ["-o", "plugin_option"],
        metavar="PLUGIN.KEY=VALUE",
        multiple=True,
        help="Set an option of a plugin. 'awsv plugins check PLUGIN' lists them.",
        hidden=hidden,
        expose_value=False,
        callback=_set_options,
    )
    aliases = [
        click.Option([flag], metavar="VALUE", hidden=True, expose_value=False, callback=_set_alias)
        for flag in AWS_VAULT_FLAGS
    ]
    return [option, *aliases]


def _set_options(ctx: click.Context, parameter: click.Parameter, values: Iterable[str]) -> None:
    for text in values:
        target, equals, value = text.partition("=")
        plugin, _, option = target.partition(".")
        if not (plugin and option and equals):
            # Without the text, which may be a secret.
            raise UsageError("option -o needs PLUGIN.KEY=VALUE", hint="for example -o file.dir=/mnt/vault")
        _set(ctx.ensure_object(App), plugin, option, value)


def _set_alias(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is not None:
        plugin, _, option = AWS_VAULT_FLAGS[parameter.opts[0]].partition(".")
        _set(ctx.ensure_object(App), plugin, option, value)


def _set(app: App, plugin: str, option: str, value: str) -> None:
    """
    :raises UsageError: there is no such option, or it is secret: other users can read the arguments of a program.
    """
    _ = app.open_files  # before a plugin is loaded
    named = [offer for offer in app.plugins.offers() if offer.usable and offer.kind != "command"]
    offers = [offer for offer in named if offer.name == plugin]
    options, complete = _declared(app, offers)
    if options.get(option) or is_secret_variable(variable(plugin, option)):
        raise UsageError(
            f"option {plugin}.{option} is secret and has no flag: other users can read the arguments of a program",
            hint=_elsewhere(plugin, option),
        )
    if not offers:
        raise UsageError(
            f"no plugin {plugin!r} is installed (-o {plugin}.{option})", hint=_plugin_hint(app, plugin, named)
        )
    if complete and option not in options:
        raise UsageError(f"plugin {plugin!r} has no option {option!r}", hint=_option_hint(plugin, option, options))
    app.settings.flags[f"{plugin}.{option}"] = value


def _declared(app: App, offers: Iterable[AvailablePlugin]) -> tuple[dict[str, bool], bool]:
    """The options of plugins of several kinds with one name: whether each is secret, to one of them at least; and
    whether these are all, as no plugin is broken."""
    options: dict[str, bool] = {}
    complete = True
    for offer in offers:
        try:
            with app.plugins.attributed_to(offer.kind, offer.name):
                for option in app.plugins.options(offer):
                    options[option.name] = options.get(option.name, False) or option.secret
        except VaultError:  # the command that needs the plugin reports it
            complete = False
    return options, complete


def _plugin_hint(app: App, plugin: str, named: Iterable[AvailablePlugin]) -> str:
    if kinds := [kind for kind, name in OURS if name == plugin and kind != "command"]:
        return app.plugins.hint(kinds[0], plugin)
    return did_you_mean(plugin, {offer.name for offer in named}, "'awsv plugins list' shows the plugins")


def _option_hint(plugin: str, option: str, options: dict[str, bool]) -> str:
    import difflib  # slow, and of use only here

    near = next(iter(difflib.get_close_matches(option, options, n=1)), None)
    if near is None:
        return f"'awsv plugins check {plugin}' lists its options"
    return _elsewhere(plugin, near) if options[near] else f"did you mean '-o {plugin}.{near}'?"


def _elsewhere(plugin: str, option: str) -> str:
    return f"set {variable(plugin, option)}, or {option} below [plugin.{plugin}] of config.toml"
