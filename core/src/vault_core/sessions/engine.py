"""Walk a plan from its nearest live step, so that nothing is asked, derived or fetched without need."""

import threading
import time
from datetime import UTC, datetime

from vault_core.api import Credentials, SessionRequest
from vault_core.command_line import command_line
from vault_core.errors import ConfigError, MfaRejected, SessionError, StorageError, VaultError
from vault_core.mfa import TRIES, MfaCodes
from vault_core.plugins.boundary.sessions import open_provider
from vault_core.plugins.host import Host
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.sessions.cache import LONGEST, Cache, Session
from vault_core.sessions.plan import KeyStep, Plan, SessionStep, Step, profiles_of
from vault_core.sessions.profiles import Profiles
from vault_core.sessions.singleflight import NETWORK_LIMIT, Flight, SingleFlight
from vault_core.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class IssuedCredentials:
    """The credentials of a profile."""

    credentials: Credentials
    served_until: float | None
    """For a session from the cache: until when it is handed out, in seconds since 1970."""

    @property
    def cached(self) -> bool:
        """They are a session from the cache."""
        return self.served_until is not None


class Engine:
    """Makes the sessions of one operation.

    :param mfa_token: an MFA code to use once, before the sources are asked.
    """

    def __init__(
        self, host: Host, profiles: Profiles, cache: Cache, flights: SingleFlight, mfa_token: Secret | None = None
    ) -> None:
        self._host = host
        self._profiles = profiles
        self._vaults: dict[str, Vault] = {}
        self._cache = cache
        self._flights = flights
        self._codes = MfaCodes(host, mfa_token)
        self._done: dict[str, Credentials] = {}
        self._reading = threading.Lock()
        self._began = datetime.now(UTC)

    def credentials(self, plan: Plan) -> IssuedCredentials:
        """Return the credentials of a plan.

        :raises StorageError: the store failed.
        :raises PassphraseError: the store cannot be unlocked.
        :raises SessionError: MFA or AWS failed.
        """
        live = self._cache.get(plan.last.cache_key) if isinstance(plan.last, SessionStep) else None
        if live is not None:
            return IssuedCredentials(live.credentials, self._cache.served_until(live))
        return IssuedCredentials(self.obtain(plan.last), None)

    def missing(self, plan: Plan) -> list[Step]:
        """The steps that are still to be made, in order: those after the last live one. Never prompts."""
        steps: list[Step] = []
        for step in reversed(plan.steps()):
            if isinstance(step, SessionStep) and self._cache.get(step.cache_key) is not None:
                break
            steps.insert(0, step)
        return steps

    def cancel(self) -> None:
        """Have every thread that makes a session stop soon."""
        self._host.state.cancel()
        self._flights.cancel()

    def obtain(self, step: Step) -> Credentials:
        """Return the credentials of a step; make them if there are none."""
        if step.cache_key not in self._done:
            self._done[step.cache_key] = self._key(step) if isinstance(step, KeyStep) else self._session(step)
        return self._done[step.cache_key]

    def _key(self, step: KeyStep) -> Credentials:
        with self._reading:  # a store is for one thread at a time
            # Two profiles may mean two stores of one name: a profile can set options of its store.
            vault = self._vaults.setdefault(step.store.identity, Vault(self._host, step.store))
            key = vault.get(step.name)
            if key is None:
                raise self._no_key(step, vault)
            return key.credentials

    def _no_key(self, step: KeyStep, vault: Vault) -> VaultError:
        known = self._profiles.config.merged(step.name) is not None
        named = f", which {step.named_by} names" if step.named_by else ""
        if known:
            return StorageError(
                f"no key is stored for profile {step.name!r}{named} in store {step.store.name!r} ({vault.store.place})",
                hint=command_line("awsv add", step.name),
            )
        return ConfigError(
            f"unknown profile {step.name!r}{named}: it is neither in {self._profiles.config.config_file}"
            f" nor in store {step.store.name!r}",
            hint=self._profiles.suggestions(step.name, vault.names()),
        )

    def _session(self, step: SessionStep) -> Credentials:
        def lookup() -> Session | None:
            # However soon it ends: a session that was made while we wait is as good as one that we would get.
            return self._cache.get(step.cache_key, made_since=self._began)

        name = self._cache.name(step.cache_key)
        try:
            session = lookup() or self._flights.run(name, lookup, lambda flight: self._work(step, flight))
        except KeyboardInterrupt:
            raise self._flights.interrupted(name) from None
        return session.credentials

    def _work(self, step: SessionStep, flight: Flight) -> Session:
        before = self._host.state.prompts_shown
        try:
            credentials = self._issue(step, self._source(step, flight), flight)
        finally:
            if self._host.state.prompts_shown > before:
                flight.asked()
        session = Session(credentials, datetime.now(UTC), kind_of(step), profiles_of(step))
        if not self._host.state.suspected:
            asked = step.parameters.get("duration_seconds")
            self._cache.put(step.cache_key, session, seconds=asked if isinstance(asked, int) else LONGEST)
        return session

    def _source(self, step: SessionStep, flight: Flight) -> Credentials | None:
        if isinstance(step.source, KeyStep):
            flight.phase("question")  # for the passphrase, if one is needed
        return self.obtain(step.source) if step.source is not None else None

    def _issue(self, step: SessionStep, source: Credentials | None, flight: Flight) -> Credentials:
        spec = self._host.plugins.load("session", step.provider)
        context = self._host.context("session", step.provider, spec.options, profile=step.options)
        serial = step.parameters.get("mfa_serial")
        for attempt in range(1, TRIES + 1):
            code: Secret | None = None
            if serial:
                flight.phase("question")
                code = self._codes.code(str(serial), step.profile, attempt, step.options)
            flight.phase("network")
            try:
                provider = open_provider(self._host.plugins, spec, context)
                return provider.issue(_request(step, source, code))
            except MfaRejected:
                if attempt == TRIES or self._host.cannot_ask():
                    raise
        raise AssertionError("the last attempt returns or raises")


def _request(step: SessionStep, source: Credentials | None, code: Secret | None) -> SessionRequest:
    def mfa() -> Secret:
        if code is None:
            raise SessionError(
                f"session provider {step.provider!r} asks for an MFA code, and its parameters name no mfa_serial"
            )
        return code

    deadline = time.monotonic() + NETWORK_LIMIT
    return SessionRequest(parameters=step.parameters, source=source, mfa=mfa, deadline=deadline)


def kind_of(step: SessionStep) -> str:
    """The name of a session in a table: ``sts.AssumeRole``."""
    action = step.parameters.get("action")
    return f"{step.provider}.{action}" if action else step.provider
