"""Commands that plugins contribute: found by metadata, imported when they are run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from vault_core.api import CommandContext, Context, Credentials, SlotKeeper
from vault_core.cli.app import App, global_options, help_option
from vault_core.errors import PluginLoadError, SourceUnavailable, UsageError
from vault_core.settings import StoreSettings

if TYPE_CHECKING:
    from vault_core.plugins.host import HostContext
    from vault_core.secret import Secret


def load(app: App, name: str) -> click.Command:
    """A plugin's command, ready to run: what it gets as ``obj`` is a :class:`~vault_core.api.CommandContext`.

    :raises PluginError: it cannot be loaded, or is no command.
    """
    spec = app.plugins.load("command", name)
    try:
        module, _, attribute = spec.target.partition(":")
        command = getattr(importlib.import_module(module), attribute, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        owner = next(
            offer.distribution for offer in app.plugins.offers() if (offer.kind, offer.name) == ("command", name)
        )
        raise PluginLoadError(
            f"command {name!r} from {owner} cannot be loaded: {type(error).__name__}",
            hint=f"update or uninstall {owner}; --debug shows where",
        ) from error
    if not isinstance(command, click.Command):
        raise PluginLoadError(f"command {name!r}: {spec.target} is no click command", hint=f"this is a bug of {module}")
    _settle(command)
    # Not ctx.obj itself: the program's own options find the App there.
    command.context_settings = {**command.context_settings, "obj": Commands(app)}
    _blame(app, name, command)
    return command


def _settle(command: click.Command) -> None:
    """Give a command the options that every command of the program takes, and help that goes to standard output."""
    taken = {name for parameter in command.params for name in parameter.opts}
    more = [option for option in (*global_options(hidden=True), help_option()) if not taken.intersection(option.opts)]
    command.params = [*command.params, *more]
    if isinstance(command, click.Group):
        for member in command.commands.values():
            _settle(member)


def _blame(app: App, name: str, command: click.Command) -> None:
    """What the command, or an option of it, raises and should not is a bug of its distribution, not of awsv."""

    def blamed(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            with app.plugins.blame("command", name):
                try:
                    return call(*arguments, **named)
                except (click.ClickException, click.exceptions.Exit, click.Abort) as control:
                    ended = control
            raise ended

        return called

    command.make_context = blamed(command.make_context)  # type: ignore[method-assign]  # one process runs one command
    command.invoke = blamed(command.invoke)  # type: ignore[method-assign]  # as above


class Commands(CommandContext):
    """The host's side of a plugin's command."""

    def __init__(self, app: App) -> None:
        self._app = app

    def storage(self, plugin: str) -> Context:
        return self._storage(plugin)

    def _storage(self, plugin: str) -> HostContext:
        named = self._app.settings.value("backend")
        store = self._app.settings.store(named.text)
        if store.backend != plugin:
            if named.origin == "--backend":  # said of this very command: not to be passed over
                self._refuse(plugin, named.text)
            store = StoreSettings(plugin, plugin)
        spec = self._app.plugins.load("storage", plugin)
        self._app.host.purpose = f"store {store.name}"
        return self._app.host.context("storage", plugin, spec.options, store=store)

    def _refuse(self, plugin: str, name: str) -> NoReturn:
        from vault_core.vault import Store

        found = Store.named(self._app.host, name)
        raise UsageError(
            f"--backend {name} is a store of {found.spec.name!r}, and this command is for those of {plugin!r}",
            hint=f"leave it away, or name {plugin!r} or a store of that backend",
        )

    def source(self, plugin: str) -> Context:
        spec = self._app.plugins.load("passphrase", plugin)
        store = self._app.settings.store(self._app.settings.value("backend").text)
        return self._app.host.context("passphrase", plugin, spec.options, store=store)

    def credentials(self, profile: str) -> Credentials:
        from vault_core.cli.sessions import obtain
        from vault_core.sessions.profiles import Flags

        return obtain(self._app, profile, flags=Flags(), machine=False)[1].credentials

    def offer_recovery(self, plugin: str, keeper: SlotKeeper) -> None:
        from vault_core.cli.recovery import offer

        offer(self._app, self._storage(plugin), keeper)

    def write(self, text: str) -> None:
        self._app.write(text)

    def write_json(self, value: Any) -> None:
        self._app.write_json(value)

    def write_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._app.write_table(head, rows)

    def note(self, message: str) -> None:
        self._app.note(message)

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        host = self._app.host
        reason = host.why_nobody_can_be_asked()
        if reason:
            raise SourceUnavailable(reason)
        return host.terminal.ask(question, secret=secret, asker=host.asker, deadline=host.deadline())

    def confirm(self, question: str, *, flag: str) -> bool:
        return self._app.confirm(question, flag=flag)
