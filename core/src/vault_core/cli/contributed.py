"""Commands that plugins contribute: found by metadata, imported when they are run."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from vault_core.api import CommandContext, Context, Credentials
from vault_core.cli.app import App
from vault_core.errors import PluginLoadError, SourceUnavailable
from vault_core.settings import StoreSettings

if TYPE_CHECKING:
    from vault_core.secret import Secret


def contributed(app: App) -> dict[str, str]:
    """Command to the distribution that offers it."""
    return {offer.name: offer.distribution for offer in app.plugins.offers() if offer.kind == "command"}


def load(app: App, ctx: click.Context, name: str) -> click.Command:
    """A plugin's command, ready to run: what it gets as ``obj`` is a :class:`~vault_core.api.CommandContext`.

    :raises PluginError: it cannot be loaded, or is no command.
    """
    spec = app.plugins.load("command", name)
    with app.plugins.blame("command", name):
        module, _, attribute = spec.target.partition(":")
        command = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(command, click.Command):
        raise PluginLoadError(f"command {name!r}: {spec.target} is no click command", hint=f"this is a bug of {module}")
    ctx.obj = Commands(app)
    return command


class Commands(CommandContext):
    """The host's side of a plugin's command."""

    def __init__(self, app: App) -> None:
        self._app = app

    def storage(self, plugin: str) -> Context:
        settings = self._app.settings.store(self._app.settings.value("backend").text)
        store = settings if settings.backend == plugin else StoreSettings(plugin, plugin)
        spec = self._app.plugins.load("storage", plugin)
        self._app.host.purpose = f"store {store.name}"
        return self._app.host.context("storage", plugin, spec.options, store=store)

    def credentials(self, profile: str) -> Credentials:
        from vault_core.cli.sessions import obtain
        from vault_core.sessions.profiles import Flags

        return obtain(self._app, profile, flags=Flags(), machine=False)[1].credentials

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
