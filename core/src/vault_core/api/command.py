"""Commands: what a plugin adds to ``awsv``, and what such a command may ask of its host."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from vault_core.api.context import Context
from vault_core.api.session import Credentials
from vault_core.api.storage import StorageBackend, StoreContext
from vault_core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A command on offer (group ``vault.command.v1``); the core's own names are taken."""

    name: str
    """What the user types: ``awsv NAME``."""
    summary: str
    """One line, for the documentation; ``awsv --help`` shows the distribution instead, as it imports nothing."""
    target: str
    """``package.module:attribute``: a ``click`` command or group, imported when it is run. Its ``obj`` is a
    :class:`CommandContext`."""


class CommandContext(Protocol):
    """What a plugin's command may ask of its host. Failures are raised as VaultError; the host prints them."""

    def storage(self, plugin: str) -> StoreContext:
        """The context of the store that the settings name, if its backend is ``plugin``; else of the plugin's default
        store. For a storage plugin's own commands.

        :raises UsageError: ``--backend`` names a store of another backend.
        """

    def changing_store(self, plugin: str) -> AbstractContextManager[None]:
        """Around a change of which keys the store of :meth:`storage` holds: whatever becomes of it, no session of a key
        that was there before is served afterwards.

        :raises StorageError: that cannot be promised; nothing was changed.
        """

    def source(self, plugin: str) -> Context:
        """The context of a passphrase source for the store that the settings name. For such a plugin's own commands."""

    def offer_recovery(self, plugin: str, backend: StorageBackend) -> None:
        """Offer the user a recovery key for the store of :meth:`storage`, which was just made, as ``awsv add`` does.

        Without effect if ``backend`` has no key slots, or there is no terminal.
        """

    def credentials(self, profile: str) -> Credentials:
        """The credentials of a profile, as ``exec`` would hand them out."""

    def write(self, text: str) -> None:
        """Lines for a person, on standard output; a newline is added. What could drive a terminal is escaped, all but
        line ends."""

    def write_json(self, value: Any) -> None:
        """Data for a program."""

    def write_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Data for a person, in columns."""

    def note(self, message: str) -> None:
        """One line on standard error. Never a secret."""

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        """As :meth:`Context.ask`."""

    def confirm(self, question: str, *, flag: str) -> bool:
        """Ask yes or no; ``flag`` is what to give where nobody can be asked, for the hint. A command that is
        told no raises :class:`Cancelled` with what it left as it was.

        :raises VaultError: nobody can be asked.
        """
