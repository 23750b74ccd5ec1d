"""What every command works with: settings, plugins, the AWS config, output and questions.

A command is a ``click`` command made with :func:`subcommand`; it gets the :class:`App` by ``@click.pass_obj``. It
writes for people with :meth:`App.write`, for programs with :meth:`App.write_json` or :meth:`App.write_credentials`,
tells people things with :meth:`App.note`, and raises a :class:`~vault_core.errors.VaultError` for every failure:
:mod:`vault_core.cli.commands` prints it.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vault_core import output, stdout
from vault_core.cli.harden import refuse_tracer
from vault_core.errors import Cancelled, StorageError, UsageError
from vault_core.pasting import command_line
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.sessions.generations import WHOLE
from vault_core.settings import Settings

if TYPE_CHECKING:
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.importing.record import Receipts
    from vault_core.secret import Secret
    from vault_core.sessions.cache import Cache
    from vault_core.sessions.engine import Engine
    from vault_core.sessions.generations import Generations
    from vault_core.sessions.plan import Planner
    from vault_core.sessions.profiles import Profiles, SessionOptions
    from vault_core.storage.vault import Store, Vault

_MAY_BE_SERVED = "sessions of the old key may still be served: run 'awsv clear'"
MACHINE_QUESTION_LIMIT = 45.0
"""Seconds that a person has for an answer when a program waits for our output: SDKs and editors give up at a minute."""


@dataclass
class App:
    """One run of the program."""

    settings: Settings = field(default_factory=Settings)
    debug: bool = False
    child: bool = False
    """A child command was given: awsv's own failure is exit code 125."""

    # -- parts -------------------------------------------------------------------------------------------------------

    @cached_property
    def open_files(self) -> Mapping[int, tuple[int, int]]:
        """The open files that a child gets; to be asked for before any plugin is loaded."""
        from vault_core.cli.inherited import open_files

        return open_files()

    @cached_property
    def plugins(self) -> Plugins:
        """The installed plugins, loaded as they are named."""
        return Plugins(self.settings.load_plugins)

    @cached_property
    def host(self) -> Host:
        """Serves the plugins; ``may_ask``, ``purpose`` and ``question_limit`` are the command's to set.

        :raises UsageError: another program reads along.
        """
        refuse_tracer()  # here and not at the start: with a child's command the exit code is another
        return Host(self.settings, self.plugins, may_ask="no-input" not in self.settings.flags)

    def close(self) -> None:
        """Let go of what plugins hold open: at the end, and before this process becomes another program."""
        if "host" in vars(self):
            self.host.close()

    @cached_property
    def aws_config(self) -> AwsConfig:
        """The AWS config and credentials files.

        :raises ConfigError: they cannot be read.
        """
        return self.host.aws_config()

    @property
    def config_locks(self) -> Path:
        """Where writers of the AWS files take turns."""
        return self.settings.state_dir / "locks"

    def sweep_aws_files(self) -> None:
        """Remove what a command that was killed left beside the AWS files: it may hold plain keys."""
        from vault_core.awsconfig.write import sweep

        for path in (self.settings.aws_config_file, self.settings.aws_credentials_file):
            sweep(path, locks=self.config_locks)

    @cached_property
    def profiles(self) -> Profiles:
        """The profiles as awsv understands them."""
        from vault_core.sessions.profiles import Profiles

        return Profiles(self.aws_config, self.settings.environ)

    @cached_property
    def cache(self) -> Cache:
        """The live sessions."""
        from vault_core.sessions.cache import Cache

        return Cache(self.settings)

    @cached_property
    def generations(self) -> Generations:
        """The generations of stored keys."""
        from vault_core.sessions.generations import Generations

        return Generations(self.settings.state_dir / "generations")

    def planner(self, options: SessionOptions) -> Planner:
        """Makes plans with these options."""
        from vault_core.sessions.plan import Planner

        return Planner(self.host, self.profiles, self.generations, options)

    def engine(self, *, machine: bool, mfa_token: Secret | None = None) -> Engine:
        """Carries out plans.

        :param machine: a program reads our output (``exec -j``, ``export``): questions end after 45 seconds, and a
            failure of another process just now is taken over instead of asking again.
        """
        from vault_core.sessions.engine import Engine
        from vault_core.sessions.profiles import seconds_of
        from vault_core.sessions.singleflight import SingleFlight

        wait = self.settings.value("wait")
        limit = MACHINE_QUESTION_LIMIT if machine else float(seconds_of(wait.origin, wait.text))
        self.host.question_limit = limit
        foreground = not machine and self.host.why_nobody_can_be_asked() is None
        self.host.attended = foreground and output.is_seen()
        flights = SingleFlight(self.settings.state_dir / "flights", limit, foreground=foreground, sign=self.cache.name)
        return Engine(self.host, self.profiles, self.cache, flights, mfa_token)

    def vault(self, profile: str | None = None) -> Vault:
        """The vault that a profile's key lies in, by the settings and the profile's own ``vault_backend``."""
        from vault_core.storage.vault import Store, Vault

        section = self.aws_config.merged(profile) if profile is not None else None
        keys = {key: entry.value for key, entry in section.entries.items()} if section else {}
        return Vault(self.host, Store.choose(self.host, keys))

    @contextmanager
    def changing_key(self, vault: Vault, name: str) -> Iterator[list[int]]:
        """Around a change of a stored key: whatever becomes of it, no session of the old key is served afterwards.

        The generation is renewed before, because the change may be done and its end never be seen, and after, because
        a session may have been made from the old key meanwhile.

        :returns: a list that holds how many live sessions were dropped, once the change is done.
        :raises StorageError: the state folder cannot be written; nothing was changed.
        """
        dropped: list[int] = []
        cache = self.cache  # with a setting that is wrong before the change, not after it
        self._renew(vault.store, name, "nothing was changed")
        try:
            yield dropped
        except KeyboardInterrupt:
            raise Cancelled(
                f"interrupted while the key of profile {name!r} was changed: it is the old one or the new one",
                hint=f"'{command_line('awsv explain', name)}' shows which",
            ) from None
        finally:
            dropped.append(cache.drop(name).sessions)
            self._renew(vault.store, name, _MAY_BE_SERVED)

    @contextmanager
    def changing_store(self, store: Store) -> Iterator[None]:
        """As :meth:`changing_key`, around a change of which keys a store holds. The sessions of all stores are dropped,
        as nobody knows which keys the store held.

        :raises StorageError: as :meth:`changing_key`.
        """
        cache = self.cache  # as there
        self._renew(store, WHOLE, "nothing was changed")
        try:
            yield
        finally:
            cache.drop()
            self._renew(store, WHOLE, _MAY_BE_SERVED)

    def _renew(self, store: Store, name: str, otherwise: str) -> None:
        try:
            self.generations.advance(store.identity, name)
        except OSError as error:
            raise StorageError(
                f"{self.settings.state_dir} cannot be written ({error.strerror or error}); {otherwise}",
                hint=f"look at its permissions: ls -ld {shlex.quote(str(self.settings.state_dir))}",
            ) from None

    @cached_property
    def receipts(self) -> Receipts:
        """What was copied from plain files."""
        from vault_core.importing.record import Receipts

        return Receipts(self.settings.state_dir / "imports")

    def copied(self, raw: bytes) -> frozenset[str]:
        """The profiles whose key was copied from the credentials file, if it still holds what it held then."""
        from vault_core.importing.record import digest

        receipt = self.receipts.read(self.settings.aws_credentials_file)
        return receipt.profiles if receipt is not None and receipt.digest == digest(raw) else frozenset()

    @property
    def launcher(self) -> Path:
        """The absolute path of this program, for lines that other programs run."""
        script = Path(sys.argv[0]).absolute()
        if not script.name.startswith("awsv"):
            script = script.resolve()  # a link to it
        return script if script.name.startswith("awsv") else Path(sys.executable).with_name("awsv")

    # -- talking -----------------------------------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Lines for a person, on standard output; a newline is added. What could drive a terminal is escaped."""
        stdout.write(f"{text}\n")

    def write_json(self, value: Any) -> None:
        """Data for a program, in ASCII without control characters."""
        stdout.write_raw(json.dumps(value, indent=2, ensure_ascii=True) + "\n")

    def write_credentials(self, text: str) -> None:
        """Credentials for a program, as they are (:mod:`vault_core.sessions.formats` sees to what is in them); a
        newline is added. Warn where they go to a file that others can open."""
        if why := stdout.open_to_others():
            self.note(f"warning: these credentials go to a file that others may read: {why}")
        stdout.write_raw(f"{text}\n")

    def write_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Data for a person: columns of equal width."""
        cells = [
            [output.printable(cell) for cell in row] for row in (head, ["=" * len(title) for title in head], *rows)
        ]
        widths = [max(output.width(row[column]) for row in cells) for column in range(len(head))]
        for row in cells:
            line = "  ".join(cell + " " * (width - output.width(cell)) for cell, width in zip(row, widths, strict=True))
            stdout.write(f"{line.rstrip()}\n")

    def note(self, message: str) -> None:
        """One line on standard error."""
        output.notice(message)

    def confirm(self, question: str, *, flag: str) -> bool:
        """Ask yes or no at the terminal.

        :param flag: what to give where nobody can be asked, for the hint.
        :raises UsageError: nobody can be asked.
        """
        reason = self.host.why_nobody_can_be_asked()
        if reason:
            raise UsageError(f"this needs a yes or no, and nobody can be asked: {reason}", hint=f"give {flag}")
        return self.host.terminal.confirm(question, default=False)


GLOBAL_OPTIONS: Mapping[str, str] = {
    "backend": "The store: a storage plugin's name, or a [store.NAME] of config.toml.",
    "passphrase-source": "Where passphrases come from, in order (env,prompt).",
    "prompt": "Where MFA codes come from, in order (terminal).",
}


def _set_flag(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value:
        assert parameter.name is not None  # noqa: S101 - click gives every option a name
        ctx.ensure_object(App).settings.flags[parameter.name.replace("_", "-")] = "1" if value is True else value


def _set_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    app = ctx.ensure_object(App)
    app.debug = app.debug or value


def _show_help(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(App).write(ctx.get_help())
        ctx.exit()


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """The options of the program, which every command takes too, as aws-vault's do; ``--help`` is the last."""
    options: list[click.Parameter] = [
        click.Option([f"--{name}"], metavar="NAME", help=text, hidden=hidden, expose_value=False, callback=_set_flag)
        for name, text in GLOBAL_OPTIONS.items()
    ]
    options.append(
        click.Option(
            ["--no-input"],
            is_flag=True,
            help="Ask nobody: fail instead.",
            hidden=hidden,
            expose_value=False,
            callback=_set_flag,
        )
    )
    options.append(
        click.Option(
            ["--debug"],
            is_flag=True,
            help="Show where a failure came from.",
            hidden=hidden,
            expose_value=False,
            callback=_set_debug,
        )
    )
    # click's own writes to descriptor 1, which is standard error once a plugin is loaded.
    options.append(
        click.Option(
            ["--help"],
            is_flag=True,
            is_eager=True,
            help="Show this message and exit.",
            expose_value=False,
            callback=_show_help,
        )
    )
    return options


def subcommand(
    name: str, *, cls: type[click.Command] = click.Command, **attributes: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of the program: ``click.command`` with the global options added, hidden.

    The docstring of the function is its help; the first line is what the program's own ``--help`` shows.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = click.command(name, cls=cls, **attributes)(function)
        made.params.extend(global_options(hidden=True))
        return made

    return decorate


def profile_name(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Callback of every profile argument: the name (or names) can be one."""
    from vault_core.storage.vault import check_name

    if isinstance(value, tuple):
        return tuple(check_name(name) for name in value)
    return None if value is None else check_name(value)
