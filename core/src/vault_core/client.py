"""The library: what the command line does, for a Python program, without an effect on the program itself.

A :class:`Client` composes settings, plugins, vault and sessions once. It writes nothing, changes nothing of the
process (descriptors, signal handlers, ``sys.path``, umask, limits), and asks the user only through the object that it
is given for that. It does not harden the process either: ``docs/library.md`` says what that costs.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Self

from vault_core.asking import Asking, Prompter, RunState, at_terminal
from vault_core.errors import VaultError
from vault_core.output import printable
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from vault_core.api import Credentials
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.rotation.inventory import Inventory
    from vault_core.rotation.listing import KeyReport
    from vault_core.rotation.place import Rotated, Wishes
    from vault_core.rotation.revoke import Revoked
    from vault_core.secret import Secret
    from vault_core.sessions.cache import Cache
    from vault_core.sessions.engine import Engine, IssuedCredentials
    from vault_core.sessions.generations import Generations
    from vault_core.sessions.key_changes import KeyChanges
    from vault_core.sessions.plan import Plan, Planner
    from vault_core.sessions.profiles import Profiles, SessionOptions
    from vault_core.sessions.ready import Outcome
    from vault_core.storage.vault import Vault


class Client:
    """A vault and its sessions.

    Settings and the AWS config are read once; a new client reads them again. Derived keys of stores are kept in memory
    until :meth:`close`. Calls from several threads run one after the other.

    :param settings: default: the environment of the process and ``config.toml``, as the command line reads them.
    :param ask: asks the user: a :class:`vault_core.terminal.Terminal`, or an object with its methods. None: never ask;
        a call that would need an answer raises.
    :param notice: receives one line for the user. Default: a warning of the logger ``vault_core``.
    """

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the open stores (a login ends, for example) and forget the derived keys."""
        self.state.close_stores()
        self.state.forget_keys("")

    # -- what a program asks for -------------------------------------------------------------------------------------

    def credentials(
        self, profile: str, options: SessionOptions | None = None, *, asking: Asking | None = None
    ) -> Credentials:
        """Return the credentials of a profile: a live session from the cache, or a new one.

        :param asking: how the user may be asked; default: :meth:`asking`.
        :raises ConfigError: the profile is unknown, or its configuration makes no sense.
        :raises PluginError: a plugin that the profile needs cannot be loaded.
        :raises StorageError: the store failed, or has no key of the profile.
        :raises PassphraseError: the store is locked, and no passphrase source opens it.
        :raises SessionError: MFA or AWS failed.
        """
        return self.session(profile, options, asking=asking)[1].credentials

    def region(self, profile: str, options: SessionOptions | None = None) -> str | None:
        """Return the region for programs that use the profile: of the options, the environment or the profile, in that
        order; None if none of them has one.

        :raises ConfigError: as :meth:`plan`.
        """
        return self.plan(profile, options).region

    def plan(self, profile: str, options: SessionOptions | None = None) -> Plan:
        """Return the steps from a stored key to the credentials of a profile. Opens no store and never asks.

        :raises ConfigError: the profile, or one of its source profiles, makes no sense.
        :raises PluginError: a session provider or storage backend that it names cannot be loaded.
        """
        with self._lock:
            return self.planner(options).plan(profile)

    def profiles(self) -> list[str]:
        """Return the names of the profiles in the AWS config.

        :raises ConfigError: the AWS config cannot be read.
        """
        return self.aws_config.names()

    def keys(self, *, asking: Asking | None = None) -> list[str]:
        """Return the names under which the selected store has a key, sorted.

        :raises PassphraseError: the store is locked, and no passphrase source opens it.
        :raises StorageLocked: the store is locked, and only the user can unlock it.
        :raises StorageError: the store failed.
        """
        with self._operation():
            return list(self.vault(asking=asking or self.asking("the list of stored keys")).names())

    def ready(
        self, patterns: Sequence[str], options: SessionOptions | None = None, *, asking: Asking | None = None
    ) -> list[Outcome]:
        """Make the sessions of many profiles in parallel. Profiles of one user need one MFA code.

        :param patterns: names, and patterns (``tf-*``) over the profiles of the AWS config.
        :returns: the outcome of each profile, errors included.
        :raises ConfigError: a pattern matches nothing.
        """
        from vault_core.sessions.ready import make_ready, matching

        with self._operation():
            names = matching(patterns, self.profiles(), self._names_without_section)
            purpose = f"profile {names[0]}" if len(names) == 1 else f"{len(names)} profiles, {names[0]} the first"
            # The sessions are for other programs, which do not see our notices.
            asking = dataclasses.replace(asking or self.asking(), purpose=purpose, attended=False)
            engine = self.engine(options, asking=asking, foreground=True)
            return make_ready(self.planner(options, asking=asking), engine, names)

    def rotate(
        self,
        patterns: Sequence[str] | None,
        wishes: Wishes | None = None,
        options: SessionOptions | None = None,
        *,
        admin: str | None = None,
        asking: Asking | None = None,
    ) -> list[Rotated]:
        """Renew the stored keys that profiles start from, each key once.

        :param patterns: as for :meth:`ready`; None: every key of the selected store.
        :param wishes: default: a rotation whose old key waits for as long as ``AWS_VAULT_ROTATION_GRACE`` says.
        :param admin: a profile whose credentials sign, in place of those of the users.
        :returns: the outcome of each key, errors included.
        :raises ConfigError: a pattern matches nothing, or a single profile starts from no stored key.
        """
        from vault_core.rotation.many import Rotations
        from vault_core.rotation.place import Wishes
        from vault_core.sessions.ready import matching

        with self._operation():
            asking = asking or self.asking("the rotation of keys")
            if patterns is None:
                owners = self.vault(asking=asking).owners()
                names = [name for name, shared in owners.items() if shared == bool(wishes and wishes.shared)]
            else:
                names = matching(patterns, self.profiles(), self._names_without_section)
            rotations = Rotations(
                host=self.host(asking),
                planner=self.planner(options, asking=asking),
                engine=self.engine(options, asking=asking, foreground=True),
                profiles=self.resolver,
                changes=self.key_changes,
                folder=self.rotations_dir,
                wishes=dataclasses.replace(wishes or Wishes(), grace=self._seconds("rotation_grace")),
                tell=self._notice,
                admin=admin,
            )
            return rotations.run(sorted(names) if patterns is None else names)

    def key_reports(self, *, asking: Asking | None = None) -> list[KeyReport]:
        """Return age, last use and status of the keys in the selected store, as IAM knows them, and what is due.

        :raises PassphraseError: the store is locked, and no passphrase source opens it.
        :raises StorageError: the store failed.
        """
        from vault_core.rotation.listing import Reports

        with self._operation():
            asking = asking or self.asking("the list of stored keys")
            reports = Reports(
                host=self.host(asking),
                planner=self.planner(asking=asking),
                profiles=self.resolver,
                cache=self.cache,
                folder=self.rotations_dir,
                max_age=self._seconds("key_max_age"),
                grace=self._seconds("rotation_grace"),
            )
            return reports.make(self.vault(asking=asking))

    def inventory(self, *, check: bool = False, asking: Asking | None = None) -> Inventory:
        """Return what a thief of this machine would have, without secrets: stored and plain keys, live sessions.

        :param check: ask AWS who each stored key belongs to.
        :raises VaultError: no store could be read.
        """
        from vault_core.rotation.inventory import Stocktaking

        with self._operation():
            asking = asking or self.asking("the inventory of stored keys")
            return Stocktaking(
                host=self.host(asking),
                planner=self.planner(asking=asking),
                profiles=self.resolver,
                folder=self.rotations_dir,
                sessions=self.cache.sessions(),
                tell=self._notice,
                check=check,
            ).take()

    def revoke(
        self,
        inventory: Path,
        admins: Sequence[str],
        *,
        sessions: bool = False,
        options: SessionOptions | None = None,
        agree: Callable[[Sequence[Revoked]], None] = lambda _: None,
        asking: Asking | None = None,
    ) -> list[Revoked]:
        """Deactivate the keys that an inventory names, and nothing else.

        :param inventory: the file, which is not trusted.
        :param admins: profiles that sign; for each key the first one that knows it.
        :param sessions: also revoke the sessions of their users, and of the roles in the inventory.
        :param agree: gets what is to be done before anything is; what it raises prevents that.
        :returns: the outcomes, errors included.
        :raises VaultError: the file is not an inventory, or no profile has credentials.
        """
        from vault_core.rotation.inventory_file import read
        from vault_core.rotation.revoke import Revocation, administrators

        listed = read(inventory)
        with self._operation():
            asking = asking or self.asking("the revocation of keys")
            host, engine = self.host(asking), self.engine(options, asking=asking, foreground=True)
            plans = self.planner(options, asking=asking)
            signing = administrators(host, plans, engine, self.resolver, admins, self._notice)
            return Revocation(host, signing, listed, self._notice, sessions).run(agree)

    @property
    def rotations_dir(self) -> Path:
        """The folder of the journals of rotations."""
        return self.settings.state_dir / "rotations"

    def _seconds(self, setting: str) -> float:
        from vault_core.sessions.profiles import seconds_of

        value = self.settings.value(setting)
        return float(seconds_of(value.origin, value.text))

    def console_url(
        self,
        profile: str | None,
        options: SessionOptions | None = None,
        *,
        path: str | None = None,
        service: str | None = None,
        asking: Asking | None = None,
    ) -> Secret:
        """Return the address that logs a browser in to the web console. It is a credential, for some 15 minutes.

        :param profile: None: the session in the environment (``AWS_SESSION_TOKEN``).
        :param path: the page of the console, without its host: ``s3/buckets?tab=objects``.
        :param service: instead, the service whose home page is shown: ``ec2``.
        :raises UsageError: AWS opens no console as requested, or the environment has no session.
        :raises VaultError: as :meth:`credentials`.
        """
        from vault_core.sessions import console
        from vault_core.sessions.profiles import SessionOptions

        page = console.Page(path, service)
        options = dataclasses.replace(options or SessionOptions(), console=True)
        asking = asking or self.asking()
        if profile is None:
            environ = self.settings.environ
            region = options.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
            return console.of_environment(self.host(asking), region, options, page)
        plan, issued = self.session(profile, options, asking=asking)
        return console.of_plan(self.host(asking), plan, issued.credentials, page)

    # -- the parts, for the command line -----------------------------------------------------------------------------

    def session(
        self,
        profile: str,
        options: SessionOptions | None = None,
        *,
        asking: Asking | None = None,
        foreground: bool = True,
    ) -> tuple[Plan, IssuedCredentials]:
        """Return the plan of a profile and its credentials.

        :param foreground: the user waits for this call: a failure of another process a moment ago does not count.
        """
        asking = dataclasses.replace(asking or self.asking(), purpose=f"profile {profile}")
        with self._operation():
            plan = self.planner(options, asking=asking).plan(profile)
            for note in plan.notes:
                self._notice(note)
            return plan, self.engine(options, asking=asking, foreground=foreground).credentials(plan)

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

    @contextmanager
    def _operation(self) -> Iterator[None]:
        """One call at a time; the stores that it opens are closed at its end."""
        with self._lock:
            self.state.cancelled = False
            before = len(self.state.stores)
            try:
                yield
            finally:
                self.state.close_stores(keep=before)

    def _names_without_section(self) -> Collection[str]:
        """The profiles of live sessions, and those of stored keys if that needs neither the user nor the network."""
        names = {session.profiles[-1] for session in self.cache.sessions()}
        with suppress(VaultError):  # a broken store is reported where it is needed
            names.update(self.vault(asking=Asking(allowed=False, offline=True, attended=False)).names())
        return names


def _log(message: str) -> None:
    import logging

    logging.getLogger("vault_core").warning("%s", printable(message))
