"""How settings, plugins, vault and sessions fit together: each part is made in one place, when it is first needed."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from vault_core.asking import Asking, Prompter, RunState, at_terminal
from vault_core.output import printable
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.sessions.cache import Cache
    from vault_core.sessions.engine import Engine
    from vault_core.sessions.generations import Generations
    from vault_core.sessions.key_changes import KeyChanges
    from vault_core.sessions.plan import Planner
    from vault_core.sessions.profiles import Profiles, SessionOptions
    from vault_core.storage.vault import Vault


class Parts:
    """The parts of a :class:`vault_core.client.Client`, whose parameters it has."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        ask: Prompter | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = Settings() if settings is None else settings
        self.plugins = Plugins(self.settings.load_plugins)
        self.state = RunState()
        self._prompter = at_terminal() if ask is None else ask
        self._may_ask = ask is not None
        self._notice = _log if notice is None else notice
        self._lock = threading.RLock()

    def asking(self, purpose: str = "") -> Asking:
        """How the user may be asked by default: for as long as ``AWS_VAULT_WAIT`` says; notices are not seen.

        :raises ConfigError: the time limit (``AWS_VAULT_WAIT``) is not a duration.
        """
        return Asking(purpose, attended=False, time_limit=self._seconds("wait"))

    def host(self, asking: Asking) -> Host:
        """The services of one operation. Without a prompter, or under ``--no-input``, it never asks."""
        allowed = asking.allowed and self._may_ask and "no-input" not in self.settings.flags
        asking = dataclasses.replace(asking, allowed=allowed)
        return Host(
            self.settings, self.plugins, terminal=self._prompter, asking=asking, state=self.state, notice=self._notice
        )

    def planner(self, options: SessionOptions | None = None, *, asking: Asking | None = None) -> Planner:
        """Makes plans."""
        from vault_core.sessions.plan import Planner
        from vault_core.sessions.profiles import SessionOptions

        host = self.host(asking or self.asking())
        return Planner(host, self.resolver, self.generations, options or SessionOptions())

    def engine(self, options: SessionOptions | None, *, asking: Asking, foreground: bool) -> Engine:
        """Carries out plans.

        :param foreground: as for :meth:`session`.
        """
        from vault_core.sessions.engine import Engine
        from vault_core.sessions.singleflight import SingleFlight

        host = self.host(asking)
        flights = SingleFlight(
            self.settings.state_dir / "flights",
            float("inf") if asking.time_limit is None else asking.time_limit,
            foreground=foreground and host.cannot_ask() is None,
            sign=self.cache.name,
            notice=self._notice,
        )
        return Engine(host, self.resolver, self.cache, flights, options.mfa_token if options else None)

    def vault(self, profile: str | None = None, *, asking: Asking | None = None) -> Vault:
        """The vault that holds the key of a profile, by the settings and the profile's own ``vault_backend``."""
        from vault_core.storage.vault import Store, Vault

        host = self.host(asking or self.asking())
        section = self.aws_config.merged(profile) if profile is not None else None
        keys = {key: entry.value for key, entry in section.entries.items()} if section else {}
        return Vault(host, Store.choose(host, keys))

    @cached_property
    def aws_config(self) -> AwsConfig:
        """The AWS config and credentials files.

        :raises ConfigError: they cannot be read.
        """
        return self.host(Asking()).aws_config()

    @cached_property
    def resolver(self) -> Profiles:
        """Resolves profiles: config, environment and source profiles."""
        from vault_core.sessions.profiles import Profiles

        return Profiles(self.aws_config, self.settings.environ)

    @cached_property
    def cache(self) -> Cache:
        """The live sessions."""
        from vault_core.sessions.cache import Cache

        return Cache(self.settings, self._notice)

    @cached_property
    def generations(self) -> Generations:
        """The generations of stored keys."""
        from vault_core.sessions.generations import Generations

        return Generations(self.settings.state_dir / "generations")

    @property
    def key_changes(self) -> KeyChanges:
        """Drops the sessions of stored keys that change."""
        from vault_core.sessions.key_changes import KeyChanges

        return KeyChanges(self.cache, self.generations, self.settings.state_dir)

    @property
    def rotations_dir(self) -> Path:
        """The folder of the journals of rotations."""
        return self.settings.state_dir / "rotations"

    def _seconds(self, setting: str) -> float:
        from vault_core.sessions.profiles import seconds_of

        value = self.settings.value(setting)
        return float(seconds_of(value.origin, value.text))


def _log(message: str) -> None:
    import logging

    logging.getLogger("vault_core").warning("%s", printable(message))
