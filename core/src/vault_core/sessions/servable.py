"""Which profiles awsv can serve: what ``awsv config credential-process`` checks before it writes. Never prompts.

It makes plans, so it belongs here and not beside the editing of the AWS config.
"""

from collections.abc import Collection
from pathlib import Path

from vault_core.api import Capability
from vault_core.awsconfig.quoting import PROCESS, process_profile
from vault_core.awsconfig.shared import AwsConfig
from vault_core.command_line import command_line
from vault_core.errors import ConfigError, PassphraseError, StorageLocked
from vault_core.plugins.host import Host
from vault_core.sessions.plan import KeyStep, Planner
from vault_core.sessions.profiles import Profiles
from vault_core.storage.vault import Store, Vault


class Servable:
    """Whether awsv can serve a profile.

    :param every: no profile was named, so those without a stored key are not meant.
    """

    def __init__(self, host: Host, profiles: Profiles, planner: Planner, config: AwsConfig, *, every: bool) -> None:
        self._host = host
        self._profiles = profiles
        self._planner = planner
        self._config = config
        self._every = every
        self._stored: dict[str, frozenset[str] | None] = {}

    def __call__(self, name: str) -> None:
        """:raises VaultError: awsv cannot serve the profile; the message says why."""
        first = self._planner.plan(name).steps()[0]
        if not isinstance(first, KeyStep) or not (self._every or name not in self._config.profiles):
            return
        stored = self.names(first.store)
        if stored is None or first.name in stored:
            return
        if self._config.merged(name) is not None:
            raise ConfigError(
                f"profile {name!r}: no key is stored for {first.name!r} in {first.store}",
                hint=command_line("awsv add", first.name),
            )
        raise ConfigError(
            f"unknown profile {name!r}: it is neither in {self._config.config_file} nor in {first.store}",
            hint=self._profiles.suggestions(name, stored),
        )

    def names(self, store: Store) -> frozenset[str] | None:
        """The names in a store. None, with one notice, where it is locked or on a server."""
        if store.identity not in self._stored:
            try:
                self._stored[store.identity] = frozenset(Vault(self._host, store).names())
            except (PassphraseError, StorageLocked):
                self._stored[store.identity] = None
                state = "needs the network" if Capability.REMOTE in store.spec.capabilities else "is locked"
                self._host.notice(f"store {store.name!r} {state}: which keys it has was not checked")
        return self._stored[store.identity]


def all_profiles(config: AwsConfig, copied: Collection[str], stored: Collection[str]) -> list[str]:
    """The profiles that ``--all`` means.

    :param copied: the profiles of the credentials file whose keys were copied into the vault.
    :param stored: the names with a stored key.
    """
    return list(dict.fromkeys([*config.profiles, *sorted(copied), *sorted(stored)]))


def served_profiles(config: AwsConfig, launcher: Path) -> list[str]:
    """The profiles that ``--all --undo`` means: those whose line asks awsv.

    :param launcher: absolute path of awsv.
    """
    lines = [(name, section.get(PROCESS)) for name, section in config.profiles.items()]
    return [name for name, line in lines if line and process_profile(line, launcher) is not None]
