"""What every command works with: a client of the library, options, output and questions.

A command is a ``click`` command made with :func:`vault_core.cli.options.subcommand`; it gets the :class:`App` by
``@click.pass_obj``. It writes for people with :meth:`App.write`, for programs with :meth:`App.write_json` or
:meth:`App.write_credentials`, shows notices with :meth:`App.note`, and raises a
:class:`~vault_core.errors.VaultError` for every failure: :mod:`vault_core.cli.commands` prints it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vault_core import output, stdout
from vault_core.asking import Asking, at_terminal
from vault_core.cli.harden import refuse_tracer
from vault_core.errors import UsageError
from vault_core.plugins.loader import Plugins
from vault_core.records import dataclass
from vault_core.settings import Settings

if TYPE_CHECKING:
    from vault_core.client import Client
    from vault_core.importing.record import ImportRecords
    from vault_core.plugins.host import Host
    from vault_core.sessions.engine import IssuedCredentials
    from vault_core.sessions.plan import Plan, Planner
    from vault_core.sessions.profiles import SessionOptions
    from vault_core.storage.vault import Vault

MACHINE_QUESTION_LIMIT = 45.0
"""Seconds that the user has for an answer when a program waits for our output: SDKs and editors stop after a minute."""


class Output:
    """Where the results of a command go, and its notices."""

    def write(self, text: str) -> None:
        """Write lines for people to standard output; a newline is added. What could drive a terminal is escaped."""
        stdout.write(f"{text}\n")

    def write_json(self, value: Any) -> None:
        """Write data for a program to standard output, in ASCII without control characters.

        :param value: as for :func:`vault_core.cli.render.to_json`.
        """
        import json  # most commands write none

        from vault_core.cli.render import to_json

        stdout.write_raw(json.dumps(to_json(value), indent=2, ensure_ascii=True) + "\n")

    def write_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write data for people: columns of equal width."""
        cells = [
            [output.printable(cell) for cell in row] for row in (head, ["=" * len(title) for title in head], *rows)
        ]
        widths = [max(output.width(row[column]) for row in cells) for column in range(len(head))]
        padded = (
            "  ".join(cell + " " * (width - output.width(cell)) for cell, width in zip(row, widths, strict=True))
            for row in cells
        )
        self.write("\n".join(line.rstrip() for line in padded))

    def note(self, message: str) -> None:
        """Show one line on standard error."""
        output.notice(message)


@dataclass
class App(Output):
    """One run of the program."""

    settings: Settings = field(default_factory=Settings)
    debug: bool = False
    child: bool = False
    """A child command was given: awsv's own failure is exit code 125."""
    asking: Asking = field(default_factory=Asking)
    """How this command may ask the user; see :meth:`about` and :meth:`looking`."""

    def __post_init__(self) -> None:
        self.plugins = Plugins(self.settings.load_plugins, before_load=stdout.capture)
        """The installed plugins, loaded as they are named."""

    # -- parts -------------------------------------------------------------------------------------------------------

    @cached_property
    def _client(self) -> Client:
        """Made at the first need: the help has none."""
        from vault_core.client import Client

        client = Client(self.settings, ask=at_terminal(), notice=output.notice)
        client.plugins = self.plugins
        return client

    @cached_property
    def client(self) -> Client:
        """The library.

        :raises UsageError: a debugger of another user's program is attached to this process.
        """
        refuse_tracer()  # here and not at the start: for a child command the exit code is another one
        return self._client

    def about(self, purpose: str, *, attended: bool | None = None) -> Self:
        """The same run, with a purpose that each question names.

        :param attended: see :attr:`Asking.attended`; None: as before.
        """
        attended = self.asking.attended if attended is None else attended
        return self._with(replace(self.asking, purpose=purpose, attended=attended))

    def looking(self) -> Self:
        """The same run, for a command that only looks: it asks neither the user nor a server."""
        return self._with(replace(self.asking, allowed=False, offline=True))

    def _with(self, asking: Asking) -> Self:
        assert self._client  # noqa: S101 - one for all variants
        variant = copy.copy(self)
        variant.asking = asking
        return variant

    @cached_property
    def open_files(self) -> Mapping[int, tuple[int, int]]:
        """The open files that a child gets; to be read before any plugin is loaded."""
        from vault_core.sessions.inherited_files import open_files

        return open_files()

    @property
    def host(self) -> Host:
        """The services of this command, for plugins."""
        return self.client.host(self.asking)

    def close(self) -> None:
        """Close what plugins hold open: at the end, and before this process becomes another program."""
        if "_client" in vars(self):
            self._client.close()

    def planner(self, options: SessionOptions) -> Planner:
        """See :meth:`Client.planner`."""
        return self.client.planner(options, asking=self.asking)

    def vault(self, profile: str | None = None) -> Vault:
        """See :meth:`Client.vault`."""
        return self.client.vault(profile, asking=self.asking)

    def changing_key(self, vault: Vault, name: str) -> AbstractContextManager[list[int]]:
        """See :meth:`KeyChanges.changing_key`."""
        return self.client.key_changes.changing_key(vault, name)

    def session(self, profile: str, options: SessionOptions, *, machine: bool) -> tuple[Plan, IssuedCredentials]:
        """See :meth:`Client.session`.

        :param machine: a program reads our output (``exec -j``, ``export``): questions end after 45 seconds, and a
            failure of another process a moment ago is taken over instead of asking again.
        """
        asking = self.asking_for_sessions(machine=machine)
        return self.client.session(profile, options, asking=asking, foreground=not machine)

    def asking_for_sessions(self, *, machine: bool) -> Asking:
        """How the user may be asked while sessions are made; ``machine`` as for :meth:`session`."""
        limit = MACHINE_QUESTION_LIMIT if machine else self._client.asking().time_limit
        attended = not machine and output.is_seen() and self.host.cannot_ask() is None
        return replace(self.asking, time_limit=limit, attended=attended)

    @property
    def config_locks(self) -> Path:
        """The folder of the locks of the AWS files."""
        return self.settings.state_dir / "locks"

    def sweep_aws_files(self) -> None:
        """Remove what a command that was killed left beside the AWS files: it may hold plain keys."""
        from vault_core.awsconfig.write import sweep

        for path in (self.settings.aws_config_file, self.settings.aws_credentials_file):
            sweep(path, locks=self.config_locks)

    @cached_property
    def import_records(self) -> ImportRecords:
        """The records of what was copied from plain files."""
        from vault_core.importing.record import ImportRecords

        return ImportRecords(self.settings.state_dir / "imports")

    @property
    def launcher(self) -> Path:
        """The absolute path of this program, for lines that other programs run."""
        script = Path(sys.argv[0]).absolute()
        if not script.name.startswith("awsv"):
            script = script.resolve()  # a link to it
        return script if script.name.startswith("awsv") else Path(sys.executable).with_name("awsv")

    def write_credentials(self, text: str) -> None:
        """Write credentials for a program as they are (:mod:`vault_core.sessions.formats` checks what is in them); a
        newline is added. Warn if they go to a file that other users can open."""
        if why := stdout.open_to_others():
            self.note(f"warning: these credentials go to a file that others may read: {why}")
        stdout.write_raw(f"{text}\n")

    # -- questions -----------------------------------------------------------------------------------------------------

    def confirm(self, question: str, *, flag: str) -> bool:
        """Ask yes or no at the terminal.

        :param flag: the option that answers instead, for the hint.
        :raises UsageError: the user cannot be asked.
        """
        reason = self.host.cannot_ask()
        if reason:
            raise UsageError(f"this needs a yes or no, and no question is possible: {reason}", hint=f"give {flag}")
        return self.host.terminal.confirm(question, default=False)
