"""Commands that a plugin adds to ``awsv``, and their host."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from vault_core.api.context import Context
from vault_core.api.scan import ImportScan
from vault_core.api.session import Credentials
from vault_core.api.spec import PluginSpec
from vault_core.api.storage import StorageBackend, StoreContext
from vault_core.records import dataclass
from vault_core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec(PluginSpec):
    """The spec of a command (group ``vault.command.v1``): the user types ``awsv NAME``. The core's own names are taken.

    A command ``import-NAME`` is an importer: the user types ``awsv import NAME``. ``awsv --help`` shows the
    distribution instead of the summary, as it imports no plugin.
    """

    target: str
    """``package.module:attribute``: a ``click`` command or group, which is imported when it runs. Its ``obj`` is a
    :class:`CommandContext`."""
    secret_variables: tuple[str, ...] = ()
    """Names of environment variables that :attr:`CommandContext.environ` would hide otherwise: secrets, and variables
    of other plugins."""


class CommandContext(Protocol):
    """The host, as a plugin's command sees it. Every method may raise a VaultError, which the host prints."""

    @property
    def environ(self) -> Mapping[str, str]:
        """A read-only snapshot of the environment, without the secrets of others."""

    def storage(self, plugin: str) -> StoreContext:
        """The context of the store that the settings name, if its backend is ``plugin``; else of the plugin's default
        store. For a storage plugin's own commands.

        :raises UsageError: ``--backend`` names a store of another backend.
        """

    def changing_store(self, plugin: str) -> AbstractContextManager[None]:
        """Enter this around a change of the keys in the store of :meth:`storage`: no session of an earlier key is
        served afterwards, even if the change fails.

        :raises StorageError: this cannot be guaranteed; change nothing.
        """

    def source(self, plugin: str) -> Context:
        """The context of a passphrase source for the store that the settings name. For a source's own commands."""

    def offer_recovery(self, plugin: str, backend: StorageBackend) -> None:
        """Offer the user a recovery key for the store of :meth:`storage`, which was just made, as ``awsv add`` does.

        Without effect if ``backend`` has no key slots, or there is no terminal.
        """

    def credentials(self, profile: str) -> Credentials:
        """The credentials of a profile, as ``exec`` gets them."""

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
        """Copy each key of a scan into its profile's store, read it back, compare it, and print the result of every
        entry. The source is not touched. A recovery key is offered for a store that the import creates.

        :param profile_of: from the words of a ``credential_process`` line to the profile whose credentials the line
            gets from the program that the keys are imported from; None for the line of another program. It raises
            ConfigError to say why a line has to stay. The host shows how the AWS config would change for these lines to
            run awsv, and asks.
        :param overwrite: replace stored keys that differ.
        :param dry_run: print what would be done and write nothing.
        :param yes: change the AWS config without asking.
        :param as_json: print JSON.
        :raises VaultError: some keys were not stored.
        """

    def write(self, text: str) -> None:
        """Write text for the user to standard output, and a newline. Control characters other than line ends are
        escaped."""

    def write_json(self, value: Any) -> None:
        """Write data for a program, as JSON."""

    def write_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write data for the user, in columns."""

    def note(self, message: str) -> None:
        """Write one line to standard error. Never a secret."""

    def ask(self, question: str, *, secret: bool = True) -> Secret:
        """See :meth:`Context.ask`."""

    def confirm(self, question: str, *, flag: str) -> bool:
        """Ask the user yes or no. If the answer is no, a command raises :class:`Cancelled` and says what it left
        unchanged.

        :param flag: the option that answers yes, for the hint of the error.
        :raises VaultError: the user cannot be asked.
        """
