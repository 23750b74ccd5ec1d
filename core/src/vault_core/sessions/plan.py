"""The plan: the steps from a stored key to the credentials of a profile. Pure data; making it never prompts.

``stored key → session token with MFA → role A → role B``: a step is a session provider with parameters, and uses the
credentials of the step before. Profiles with an equal step have the same cache key for it, so the session is made, and
its MFA code is asked for, once for all of them.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from vault_core.api import Profile, SessionSpec, SourceNeed
from vault_core.errors import ConfigError, UsageError
from vault_core.plugins.boundary.sessions import parameters
from vault_core.plugins.host import Host
from vault_core.records import dataclass
from vault_core.sessions.generations import Generations
from vault_core.sessions.profiles import AwsProfile, Profiles, SessionOptions, seconds_of
from vault_core.storage.vault import Store, check_name

CHAINED_ROLE_MAX = 3600
"""The most seconds that AWS gives a role assumed by a role ("role chaining" in the IAM user guide)."""

TOKEN_TTL = 3600
CHAINED_TOKEN_TTL = 8 * 3600
ROLE_TTL = 3600
FEDERATION_TTL = 3600
"""Seconds; aws-vault's defaults of AWS_SESSION_TOKEN_TTL, AWS_CHAINED_SESSION_TOKEN_TTL, AWS_ASSUME_ROLE_TTL and
AWS_FEDERATION_TOKEN_TTL."""

STS = "sts"
"""The default session provider."""

FEDERATION = "sts-federation"
"""The session provider that gives a user, who has no role, a session for the console."""

CONSOLE_SECONDS = range(900, 43200 + 1)
"""What AWS's federation endpoint takes as the duration of a console session ("custom identity broker" in the IAM user
guide)."""


@dataclass(frozen=True, slots=True)
class KeyStep:
    """The key stored under a name."""

    name: str
    store: Store = field(repr=False)
    cache_key: str = field(repr=False)
    named_by: str = ""
    """For messages: the profile that names it and the line, unless that is the requested profile."""


@dataclass(frozen=True, slots=True)
class SessionStep:
    """A session that a provider issues, from the credentials of another step or from none."""

    provider: str
    profile: str
    parameters: Mapping[str, Any] = field(repr=False)
    """What the provider made of the profile. Not in the repr: options of a provider may be secret."""
    source: Step | None
    cache_key: str = field(repr=False)
    """Covers everything that can change the session."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The keys of the profile, which may set options of the provider."""


Step = KeyStep | SessionStep


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that a profile needs."""

    profile: str
    last: Step
    region: str | None
    """The region for programs; None if neither the options, the environment nor the config has one."""
    chain: tuple[AwsProfile, ...]
    notes: tuple[str, ...] = ()
    console_seconds: int | None = None
    """How long the console is to last; None: as long as the session."""

    def steps(self) -> tuple[Step, ...]:
        """From the stored key to the credentials."""
        return steps_to(self.last)


def steps_to(step: Step | None) -> tuple[Step, ...]:
    """Return a step and the steps before it, the stored key first."""
    steps: list[Step] = []
    while step is not None:
        steps.append(step)
        step = None if isinstance(step, KeyStep) else step.source
    return tuple(reversed(steps))


def profiles_of(step: Step) -> tuple[str, ...]:
    """Return the profiles that a step depends on, the profile of the stored key first."""
    return tuple(dict.fromkeys(one.name if isinstance(one, KeyStep) else one.profile for one in steps_to(step)))


class Planner:
    """Makes plans from the profiles, the session options and the settings."""

    def __init__(self, host: Host, profiles: Profiles, generations: Generations, options: SessionOptions) -> None:
        self._host = host
        self._profiles = profiles
        self._generations = generations
        self._options = options
        self._marks: dict[str, list[str]] = {}
        self._notes: list[str] = []

    def plan(self, name: str) -> Plan:
        """Return the plan of a profile.

        :raises ConfigError: the profile, or one of its source profiles, makes no sense.
        :raises PluginError: a session provider or storage backend that it names cannot be loaded.
        """
        chain = self._profiles.chain(name)
        self._marks = self._generations_of(chain)
        self._notes = []
        last = self._steps(chain)
        self._refuse_unkept(name, last)
        environ = self._host.settings.environ
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or chain[0].keys.get("region")
        seconds = self._options.duration if self._is_role_of_key(last) else None
        return Plan(name, last, self._options.region or region, chain, tuple(self._notes), seconds)

    def _is_role_of_key(self, step: Step) -> bool:
        """The step is a role for the console that a long-term key assumes: of these alone AWS lets us choose how long
        the console lasts."""
        if not self._options.console or not isinstance(step, SessionStep) or step.provider != STS:
            return False
        return isinstance(step.source, KeyStep)

    def _refuse_unkept(self, name: str, last: Step) -> None:
        """Refuse a request that the session of a plan cannot keep.

        :raises UsageError: a duration of the console that AWS does not grant, or a policy that would not be applied.
        """
        options = self._options
        applied = last.parameters.get("policy") if isinstance(last, SessionStep) else None
        if options.policy is not None and applied != options.policy:
            raise UsageError(f"the session of profile {name!r} takes no policy", hint="omit --policy")
        if (
            not options.console
            or not options.duration
            or (isinstance(last, SessionStep) and last.provider == FEDERATION)
        ):
            return
        if not self._is_role_of_key(last):
            raise UsageError(
                f"the console of profile {name!r} cannot have a duration: AWS grants one only for a role that is"
                " assumed with a user's own key",
                hint="omit --duration",
            )
        if options.duration not in CONSOLE_SECONDS:
            raise UsageError(f"a console session lasts 15 minutes to 12 hours, and not {options.duration} s")

    def user(self, name: str) -> tuple[KeyStep, SessionStep | None]:
        """Return the stored key that a profile starts from, and the session with MFA of its user; None without an MFA
        device, or if no session is wanted.

        :raises ConfigError: it starts from no stored key; or as :meth:`plan`.
        """
        chain = self._profiles.chain(name)
        for profile in chain:
            if (provider := self._provider(profile)) != STS:
                raise ConfigError(
                    f"profile {name!r} starts from no stored key: session provider {provider!r} gives its credentials",
                    hint="'awsv list' shows the profiles with a stored key",
                )
        self._marks = self._generations_of(chain)
        key, serial = self._key(chain), None if self._options.no_session else _serial(chain)
        return key, self._token(chain[-1], key, serial, shown=False) if serial is not None else None

    def _generations_of(self, chain: Sequence[AwsProfile]) -> dict[str, list[str]]:
        """The generations for the steps of a profile: its own, and those of profiles without a step.

        A profile without a step passes on the step of its source, and after ``clear`` must not be served the old one.
        """
        marks: dict[str, list[str]] = {}
        found: set[str] = set()
        for profile in chain:
            found.add(self._generations.of_profile(profile.name))
            if profile.role or profile is chain[-1] or self._provider(profile) != STS:
                marks[profile.name] = sorted(found)
                found = set()
        return marks

    def _steps(self, chain: Sequence[AwsProfile]) -> Step:
        foreign = next((number for number, profile in enumerate(chain) if self._provider(profile) != STS), None)
        if foreign == 0:
            return self._from_provider(chain)
        roles = [profile for profile in reversed(chain[:foreign]) if profile.role]
        serial = _serial(roles)
        if foreign is not None:
            return self._roles(roles, chain[0], self._steps(chain[foreign:]), serial)
        key = self._key(chain)
        if self._options.console and not roles:
            return self._federation(chain[-1], key)
        if self._options.no_session:
            return self._roles(roles, chain[0], key, serial)
        if not roles:
            return self._token(chain[-1], key, _serial(chain), shown=True)
        if serial is None or self._long_single_role(roles, chain[0]):
            return self._roles(roles, chain[0], key, serial)
        return self._roles(roles, chain[0], self._token(chain[-1], key, serial, shown=False), None)

    def _provider(self, profile: AwsProfile) -> str:
        return self._host.settings.value("session_provider", profile.keys).text or STS

    def _roles(self, roles: Sequence[AwsProfile], target: AwsProfile, step: Step, serial: str | None) -> Step:
        """The roles in a chain; an MFA code goes to the first one."""
        for number, role in enumerate(roles):
            is_last = number == len(roles) - 1
            step = self._role(role, step, serial if number == 0 else None, role is target, is_last=is_last)
        return step

    def _long_single_role(self, roles: Sequence[AwsProfile], target: AwsProfile) -> bool:
        """A single role for longer than an hour: STS grants that to a long-term key, not to a session token. For the
        console STS grants it any duration that the user chose."""
        if len(roles) != 1:
            return False
        seconds = self._role_seconds(roles[0], roles[0] is target)
        if self._options.console:
            return self._options.duration is not None or seconds != ROLE_TTL
        return seconds > CHAINED_ROLE_MAX

    def _key(self, chain: Sequence[AwsProfile]) -> KeyStep:
        base = chain[-1]
        check_name(base.name)
        store = Store.choose(self._host, base.keys)
        generation = self._generations.current(store.identity, base.name)
        cache_key = _digest("stored key", store.identity, base.name, generation, self._marks.get(base.name))
        named_by = ""
        if len(chain) > 1:
            key = "source_profile" if "source_profile" in chain[-2].keys else "credential_process"
            named_by = f"profile {chain[-2].name!r} ({chain[-2].origins[key]})"
        return KeyStep(base.name, store, cache_key, named_by)

    def _token(self, base: AwsProfile, key: KeyStep, serial: str | None, *, shown: bool) -> SessionStep:
        """A session token. With MFA it is the long one that roles also start from, so that one code serves both.

        :param shown: the token itself is what was asked for, not what roles start from.
        """
        seconds = (self._options.duration or self._seconds("AWS_SESSION_TOKEN_TTL")) if shown else None
        if seconds is None and (serial is not None or not shown):
            seconds = self._seconds("AWS_CHAINED_SESSION_TOKEN_TTL") or CHAINED_TOKEN_TTL
        keys = {name: value for name, value in base.keys.items() if name not in ("role_arn", "mfa_serial")}
        keys["duration_seconds"] = str(seconds or TOKEN_TTL)
        if serial is not None:
            keys["mfa_serial"] = serial
        return self._session(STS, base.name, keys, key)

    def _federation(self, base: AwsProfile, key: KeyStep) -> SessionStep:
        """A session for the console of a user; AWS takes no MFA code for it."""
        seconds = self._options.duration or self._seconds("AWS_FEDERATION_TOKEN_TTL") or FEDERATION_TTL
        keys = {name: value for name, value in base.keys.items() if name not in ("role_arn", "mfa_serial")}
        keys["duration_seconds"] = str(seconds)
        return self._session(FEDERATION, base.name, keys, key, policy=self._options.policy)

    def _role(
        self, role: AwsProfile, source: Step, serial: str | None, is_target: bool, *, is_last: bool
    ) -> SessionStep:
        keys = {name: value for name, value in role.keys.items() if name != "mfa_serial"}
        seconds = self._role_seconds(role, is_target)
        if isinstance(source, SessionStep) and seconds > CHAINED_ROLE_MAX:
            self._notes.append(
                f"role of profile {role.name!r}: {seconds} s shortened to 3600, AWS's limit behind a session"
            )
            seconds = CHAINED_ROLE_MAX
        keys["duration_seconds"] = str(seconds)
        if serial is not None:
            keys["mfa_serial"] = serial
        policy = self._options.policy if is_last else None
        by_default = is_last and self._options.console and isinstance(source, SessionStep)
        if by_default and seconds < ROLE_TTL:
            self._notes.append(
                f"role of profile {role.name!r}: the console lasts an hour, AWS's limit behind a session"
            )
        return self._session(STS, role.name, keys, source, policy=policy, default_duration=by_default)

    def _role_seconds(self, role: AwsProfile, is_target: bool) -> int:
        if is_target and self._options.duration and not self._options.console:
            return self._options.duration
        if (seconds := self._seconds("AWS_ASSUME_ROLE_TTL")) is not None:
            return seconds
        if (text := role.keys.get("duration_seconds")) is None:
            return ROLE_TTL
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ConfigError(f"{role.origins['duration_seconds']}: duration_seconds {text!r} is not a number")
        return int(text)

    def _seconds(self, variable: str) -> int | None:
        text = self._host.settings.environ.get(variable)
        return seconds_of(variable, text) if text else None

    def _from_provider(self, chain: Sequence[AwsProfile]) -> Step:
        """A profile that names its session provider, which uses the credentials of the rest of the chain."""
        provider = self._provider(chain[0])
        need: SourceNeed = self._host.plugins.load("session", provider).source
        source: Step | None = None
        if need is not SourceNeed.NEVER and len(chain) > 1:
            source = self._behind()._steps(chain[1:])
        elif need is SourceNeed.REQUIRED:
            source = self._key(chain)
        return self._session(provider, chain[0].name, dict(chain[0].keys), source, policy=self._options.policy)

    def _behind(self) -> Planner:
        """Plans what another provider's session is made from, which is neither narrowed nor for the console."""
        planner = copy.copy(self)
        planner._options = replace(self._options, console=False, policy=None)
        return planner

    def _session(
        self,
        provider: str,
        name: str,
        keys: Mapping[str, str],
        source: Step | None,
        *,
        policy: str | None = None,
        default_duration: bool = False,
    ) -> SessionStep:
        spec: SessionSpec = self._host.plugins.load("session", provider)
        context = self._host.context("session", provider, spec.options, profile=keys)
        profile = Profile(name=name, keys=keys, policy=policy, default_duration=default_duration)
        found = parameters(self._host.plugins, spec, context.options, profile)
        below = source.cache_key if source else ""
        cache_key = _digest(provider, found, below, self._marks.get(name))
        return SessionStep(provider, name, found, source, cache_key, keys)


def _serial(profiles: Sequence[AwsProfile]) -> str | None:
    return next((profile.keys["mfa_serial"] for profile in profiles if "mfa_serial" in profile.keys), None)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
