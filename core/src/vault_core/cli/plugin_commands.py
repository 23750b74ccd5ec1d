"""Commands that plugins contribute: found by metadata, imported when they are run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from vault_core.api import CommandContext, Context, Credentials, StorageBackend, StoreContext
from vault_core.cli.app import App, global_options
from vault_core.errors import PluginLoadError, SourceUnavailable, UsageError, VaultError
from vault_core.plugins.boundary import Calls
from vault_core.settings import StoreSettings

if TYPE_CHECKING:
    from vault_core.secret import Secret
    from vault_core.storage.vault import Store

MOST_CODE = 255
"""The largest exit code that a system passes on."""


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
    """Give a command the options that every command of the program takes."""
    taken = {name for parameter in command.params for name in parameter.opts}
    command.params = [
        *command.params,
        *(one for one in global_options(hidden=True) if not taken.intersection(one.opts)),
    ]
    if isinstance(command, click.Group):
        for member in command.commands.values():
            _settle(member)


def _blame(app: App, name: str, command: click.Command) -> None:
    """What the command, or an option of it, raises or returns and should not is a bug of its distribution."""
    calls = Calls(app.plugins, "command", name)

    def blamed(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            ended: click.ClickException | click.exceptions.Exit | click.Abort | None = None

            def called_by_click() -> Any:
                nonlocal ended
                try:
                    return call(*arguments, **named)
                except (click.ClickException, click.exceptions.Exit, click.Abort) as control:
                    ended = control

            returned = calls(name, called_by_click)
            if isinstance(ended, click.ClickException) and not isinstance(ended, click.UsageError):
                raise _told(app, name, ended)
            if ended is not None:
                raise ended
            return returned

        return called

    def invoke(ctx: click.Context) -> int:
        returned = invoked(ctx)
        if returned is None or (isinstance(command, click.Group) and command.chain):
            return 0
        if isinstance(returned, bool) or not (isinstance(returned, int) and 0 <= returned <= MOST_CODE):
            calls.refuse(name, type(returned).__name__, f"None or an exit code, 0 to {MOST_CODE}")
        return returned

    invoked = blamed(command.invoke)
    command.make_context = blamed(command.make_context)  # type: ignore[method-assign]  # one process runs one command
    command.invoke = invoke  # type: ignore[method-assign]  # as above


def _told(app: App, name: str, error: click.ClickException) -> VaultError:
    """What a command tells its user in click's way: a file that cannot be opened, say."""
    owner, version = app.plugins.owner("command", name)
    message = error.format_message().rstrip(".")
    told = VaultError(
        f"command {name!r} from {owner} {version}: {message[:1].lower()}{message[1:]}", hint=f"awsv {name} --help"
    )
    if 0 < error.exit_code <= MOST_CODE:
        told.exit_code = error.exit_code
    return told


class Commands(CommandContext):
    """The host's side of a plugin's command."""

    def __init__(self, app: App) -> None:
        self._app = app

    def storage(self, plugin: str) -> StoreContext:
        return self._store(plugin).context

    def changing_store(self, plugin: str) -> AbstractContextManager[None]:
        return self._app.changing_store(self._store(plugin))

    def _store(self, plugin: str) -> Store:
        from vault_core.storage.vault import Store

        named = self._app.settings.value("backend")
        store = self._app.settings.store(named.text)
        if store.backend != plugin:
            if named.origin == "--backend":  # said of this very command: not to be passed over
                self._refuse(plugin, named.text)
            store = StoreSettings(plugin, plugin)
        spec = self._app.plugins.load("storage", plugin)
        self._app.host.purpose = f"store {store.name}"
        return Store(store.name, spec, self._app.host.context("storage", plugin, spec.options, store=store))

    def _refuse(self, plugin: str, name: str) -> NoReturn:
        from vault_core.storage.vault import Store

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

    def offer_recovery(self, plugin: str, backend: StorageBackend) -> None:
        from vault_core.cli.recovery import offer
        from vault_core.vlt import SlotKeeper

        if isinstance(backend, SlotKeeper):
            offer(self._app, self._store(plugin).context, backend)

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
