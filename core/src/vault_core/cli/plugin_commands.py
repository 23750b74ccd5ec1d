"""Commands that plugins contribute: found by metadata, imported when they are run."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import click

from vault_core.api import CommandContext, Context, Credentials, ImportScan, StorageBackend, StoreContext
from vault_core.cli.app import App, Output
from vault_core.cli.key_slots import offer_recovery
from vault_core.cli.options import global_options
from vault_core.errors import UsageError, VaultError
from vault_core.plugins.boundary.calls import Calls
from vault_core.secret import Secret
from vault_core.sessions.profiles import SessionOptions
from vault_core.settings import StoreSettings
from vault_core.storage.vault import Store
from vault_core.vlt import SlotKeeper

MOST_CODE = 255
"""The largest exit code that a system passes on."""


def load(app: App, name: str) -> click.Command:
    """A plugin's command, with the options that every command takes. :class:`PluginCommand` runs it.

    :raises PluginError: it cannot be loaded, or the target is not a click command.
    """
    command: click.Command = app.plugins.command(name)
    _settle(command)
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


class PluginCommand(click.Command):
    """Runs a plugin's command: an error that it must not raise, or a wrong result, is a bug of its distribution."""

    def __init__(self, app: App, name: str, command: click.Command) -> None:
        super().__init__(name, add_help_option=False)
        self._app = app
        self._command = command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = args  # the command itself parses them
        return args

    def invoke(self, ctx: click.Context) -> int:
        calls = Calls(self._app.plugins, "command", self.name or "")
        returned = calls(calls.name, self._run, ctx)
        if isinstance(returned, click.ClickException) and not isinstance(returned, click.UsageError):
            raise _converted(self._app, calls.name, returned, ctx.command_path)
        if isinstance(returned, (click.UsageError, click.exceptions.Exit, click.Abort)):
            raise returned
        if returned is None or (isinstance(self._command, click.Group) and self._command.chain):
            return 0
        if isinstance(returned, bool) or not (isinstance(returned, int) and 0 <= returned <= MOST_CODE):
            calls.refuse(calls.name, type(returned).__name__, f"None or an exit code, 0 to {MOST_CODE}")
        return returned

    def _run(self, ctx: click.Context) -> Any:
        """The command's result, or the exception by which it ends click's way."""
        try:
            # In the place of this command, for the usage lines.
            with self._command.make_context(
                ctx.info_name, ctx.args, parent=ctx.parent, obj=Commands(self._app, self.name or "")
            ) as own:
                return self._command.invoke(own)
        except (click.ClickException, click.exceptions.Exit, click.Abort) as control:
            return control


def _converted(app: App, name: str, error: click.ClickException, path: str) -> VaultError:
    """An error that a command reports as click does: a file that cannot be opened, for example.

    :param path: the words that run the command.
    """
    owner, version = app.plugins.owner("command", name)
    message = error.format_message().rstrip(".")
    converted = VaultError(
        f"command {name!r} from {owner} {version}: {message[:1].lower()}{message[1:]}", hint=f"{path} --help"
    )
    if 0 < error.exit_code <= MOST_CODE:
        converted.exit_code = error.exit_code
    return converted


class Commands(Output, CommandContext):
    """The host's side of a plugin's command."""

    def __init__(self, app: App, name: str) -> None:
        self._app = app
        self._name = name

    @property
    def environ(self) -> Mapping[str, str]:
        return self._app.host.context("command", self._name, ()).environ

    def storage(self, plugin: str) -> StoreContext:
        return self._store(plugin).context

    def changing_store(self, plugin: str) -> AbstractContextManager[None]:
        return self._app.client.key_changes.changing_store(self._store(plugin))

    def _store(self, plugin: str) -> Store:
        named = self._app.settings.value("backend")
        store = self._app.settings.store(named.text)
        if store.backend != plugin:
            if named.origin == "--backend":  # given for this very command, so it is not ignored
                found = Store.named(self._app.host, named.text)
                raise UsageError(
                    f"--backend {named.text} is a store of {found.spec.name!r}, and this command is for those of"
                    f" {plugin!r}",
                    hint=f"omit it, or name {plugin!r} or a store of that backend",
                )
            store = StoreSettings(plugin, plugin)
        spec = self._app.plugins.load("storage", plugin)
        host = self._app.about(f"store {store.name}").host
        return Store(store.name, spec, host.context("storage", plugin, spec.options, store=store))

    def source(self, plugin: str) -> Context:
        spec = self._app.plugins.load("passphrase", plugin)
        store = self._app.settings.store(self._app.settings.value("backend").text)
        return self._app.host.context("passphrase", plugin, spec.options, store=store)

    def credentials(self, profile: str) -> Credentials:
        return self._app.session(profile, SessionOptions(), machine=False)[1].credentials

    def offer_recovery(self, plugin: str, backend: StorageBackend) -> None:
        if isinstance(backend, SlotKeeper):
            offer_recovery(self._app, self._store(plugin).context, backend)

    def import_keys(
        self,
        scan: ImportScan,
        profile_of: Callable[[Sequence[str]], str | None] | None = None,
        *,
        overwrite: bool,
        dry_run: bool,
        yes: bool,
        as_json: bool,
    ) -> None:
        from vault_core.cli.importing import offer_recovery_keys, replace_lines, show
        from vault_core.importing.copy import import_scan
        from vault_core.importing.vaults import Vaults

        app = self._app.about(f"importing keys from {scan.source}")
        vaults = Vaults(app.vault)
        report = import_scan(scan, vaults, app.changing_key, overwrite=overwrite, dry_run=dry_run)
        failure = show(app, report, as_json=as_json)
        offer_recovery_keys(app, vaults)
        if profile_of is not None:
            replace_lines(app, profile_of, vaults, report, yes=yes)
        if failure is not None:
            raise failure

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        app = self._app if self._app.asking.purpose else self._app.about(f"command {self._name}")
        return app.host.ask(question, secret=secret)

    def confirm(self, question: str, *, flag: str) -> bool:
        return self._app.confirm(question, flag=flag)
