"""Resolve an AWS profile: its config keys, the environment and its source profile.

The config decides, never the content of a store. A profile with a key that awsv does not support is refused by the name
of the key, because ignoring it would give other credentials than the requested ones.
"""

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field

from vault_core.awsconfig import OWN_COMMANDS
from vault_core.awsconfig.shared import AwsConfig, Section
from vault_core.errors import ConfigError, UsageError
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.settings import DEFAULTS, PREFIX, PROFILE_SETTINGS, Value

ELSEWHERE = (
    "credential_source",
    "login_session",
    "sso_account_id",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
    "web_identity_token_process",
)
"""Keys by which a profile has its credentials from elsewhere, and not from a stored key."""
NOT_YET = (*ELSEWHERE, "include_profile", "mfa_process")
"""Keys that change the identity of a profile and that no session provider supports."""

RENAMED = ("role_arn", "source_profile", "mfa_serial")
"""Keys with a second spelling ``vault_…``: SDKs ignore that one, and so use the profile's ``credential_process``."""

DECIDING = frozenset((*NOT_YET, *RENAMED, *(f"vault_{key}" for key in RENAMED), "credential_process", "services"))
"""Keys that decide the identity of a profile, or where its credentials come from."""

ENDPOINT = (
    "ca_bundle",
    "endpoint_url",
    "region",
    "sts_regional_endpoints",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
)
"""Keys that decide the STS endpoint, and not the identity."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What the caller asks of a session beyond what the profile says."""

    duration: int | None = None
    """Seconds, for the session of the requested profile."""
    no_session: bool = False
    """Omit GetSessionToken: without a role, the stored key itself is returned."""
    region: str | None = None
    """The region to report to the user of the credentials; the STS endpoint does not depend on it."""
    mfa_token: Secret | None = None
    """An MFA code, used once instead of asking the MFA sources."""
    console: bool = False
    """The session is for the web console, which AWS does not open for every session. ``duration`` is the console's."""
    policy: str | None = None
    """A policy in JSON that narrows the session of the requested profile."""


@dataclass(frozen=True, slots=True)
class AwsProfile:
    """One profile, without its source profiles."""

    name: str
    keys: Mapping[str, str] = field(repr=False)
    """Lower-case keys to values, without empty ones; the ``vault_`` spelling of :data:`RENAMED` is resolved."""
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    """A key to the origin of its value: ``FILE:LINE`` or a variable."""
    source: str | None = None
    """The profile whose credentials it uses; None: the key that is stored under its own name."""

    @property
    def role(self) -> bool:
        return "role_arn" in self.keys


LONGEST_CHAIN = 50
"""The maximum number of source profiles: far more than in use, and few enough for the locks and calls they need."""


class Profiles:
    """The profiles of the AWS config and credentials files, resolved with the environment.

    :param environ: has the variables that AWS tools and aws-vault read.
    """

    def __init__(self, config: AwsConfig, environ: Mapping[str, str]) -> None:
        self.config = config
        self._environ = environ

    def chain(self, name: str) -> tuple[AwsProfile, ...]:
        """Return the profile, its source profile, and so on, down to the profile of a stored key.

        :raises ConfigError: a cycle, a missing ``source_profile``, more than :data:`LONGEST_CHAIN` profiles, or a key
            that awsv does not support.
        """
        chain = [self.profile(name, target=True)]
        while chain[-1].source is not None:
            source = chain[-1].source
            if len(chain) > LONGEST_CHAIN:
                raise ConfigError(
                    f"profile {name!r} has a chain of more than {LONGEST_CHAIN} source profiles",
                    hint=f"shorten the chain, for example at {self._where(chain[-1], 'source_profile')}",
                )
            if source in (profile.name for profile in chain):
                path = " → ".join([*(profile.name for profile in chain), source])
                raise ConfigError(
                    f"source_profile cycle: {path}", hint=f"fix {self._where(chain[-1], 'source_profile')}"
                )
            chain.append(self.profile(source, target=False))
        return tuple(chain)

    def profile(self, name: str, *, target: bool) -> AwsProfile:
        """Return one profile.

        :param target: it is the requested profile: variables such as ``AWS_ROLE_ARN`` apply to it alone.
        """
        section = self.config.merged(name)
        values = self._values(section, target)
        for key in NOT_YET:
            if key in values:
                raise ConfigError(
                    f"profile {name!r} needs {key} ({values[key].origin}), which awsv does not support yet",
                    hint="use this profile with the AWS CLI, or remove that line",
                )
        self._refuse_ineffective(name, values)
        self._refuse_empty(name, section, values)
        keys = {key: value.text for key, value in values.items()}
        origins = {key: value.origin for key, value in values.items()}
        return AwsProfile(name, keys, origins, self._source_profile(name, section, values))

    def _refuse_ineffective(self, name: str, values: Mapping[str, Value]) -> None:
        """Refuse a setting of awsv that no profile can choose: it would be ignored.

        :raises ConfigError: there is one.
        """
        for setting in DEFAULTS:
            if setting not in PROFILE_SETTINGS and (value := values.get(f"vault_{setting}")):
                raise ConfigError(
                    f"profile {name!r}: vault_{setting} ({value.origin}) has no effect in a profile",
                    hint=f"remove the line, and set {PREFIX}{setting.upper()} or {setting} in config.toml instead",
                )

    def _refuse_empty(self, name: str, section: Section | None, values: Collection[str]) -> None:
        """Refuse an empty value (``role_arn =``): awsv would ignore it, and SDKs fail or use another identity.

        :raises ConfigError: a key that decides the identity has no value.
        """
        for key, entry in (section.entries if section else {}).items():
            if not entry.value and key in DECIDING and key.removeprefix("vault_") not in values:
                raise ConfigError(
                    f"profile {name!r}: {key} ({entry.path}:{entry.line}) is empty",
                    hint="give it a value, or remove the line",
                )

    def endpoint(self, name: str, service: str = "sts") -> dict[str, str]:
        """Return the keys of a profile that decide the endpoint of an AWS service."""
        values = self._values(self.config.merged(name), target=False, service=service)
        return {key: value.text for key, value in values.items() if key in ENDPOINT}

    def suggestions(self, name: str, stored: Iterable[str] = ()) -> str:
        """Return a hint for an unknown name."""
        import difflib

        near = difflib.get_close_matches(name, sorted({*self.config.names(), *stored}), n=3)
        if near:
            return f"did you mean {' or '.join(repr(one) for one in near)}?"
        return "'awsv list' shows the profiles, 'awsv add PROFILE' stores a key"

    def _values(self, section: Section | None, target: bool, service: str = "sts") -> dict[str, Value]:
        values = {
            key: Value(entry.value, f"{entry.path}:{entry.line}")
            for key, entry in (section.entries if section else {}).items()
            if entry.value
        }
        for key in RENAMED:
            if f"vault_{key}" in values:
                values[key] = values.pop(f"vault_{key}")
        for variable, key in self._variables(target):
            if value := self._from_environ(variable):
                values[key] = value
        self._resolve_endpoint(values, service)
        return values

    def _from_environ(self, *variables: str) -> Value | None:
        """The value of the first of these variables that is set."""
        return next((Value(self._environ[name], name) for name in variables if self._environ.get(name)), None)

    def _variables(self, target: bool) -> Iterable[tuple[str, str]]:
        yield "AWS_MFA_SERIAL", "mfa_serial"
        yield "AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints"
        yield "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"
        yield "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"
        if target:
            if not self._environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
                # With it they say who the environment itself is (a pod of EKS, a CI job), and no profile that is named.
                yield "AWS_ROLE_ARN", "role_arn"
                yield "AWS_ROLE_SESSION_NAME", "role_session_name"
            yield "AWS_SOURCE_IDENTITY", "source_identity"
            yield "AWS_SESSION_TAGS", "session_tags"
            yield "AWS_TRANSITIVE_TAGS", "transitive_session_tags"

    def _resolve_endpoint(self, values: dict[str, Value], service: str) -> None:
        """Resolve an endpoint in the order of the AWS SDKs, with the region of the profile, else the environment.

        The environment does not win as in the AWS CLI: a session is valid in every region of its partition, so twelve
        shells with twelve regions can share one.
        """
        if "region" not in values and (region := self._from_environ("AWS_REGION", "AWS_DEFAULT_REGION")):
            values["region"] = region
        ignore = self._from_environ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or values.get(
            "ignore_configured_endpoint_urls"
        )
        if ignore and ignore.text.lower() == "true":
            values.pop("endpoint_url", None)
            return
        if url := self._from_environ(f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
            values["endpoint_url"] = url
            return
        if "services" not in values:
            return
        name, origin = values["services"].text, values["services"].origin
        services = self.config.services.get(name)
        if not services:  # AWS's public endpoint would be asked instead of the one that was meant
            raise ConfigError(
                f"services = {name} ({origin}): there is no [services {name}] with a service in it in"
                f" {self.config.config_file}",
                hint="add that section, or remove the line",
            )
        if endpoint := services.get(service, {}).get("endpoint_url"):
            values["endpoint_url"] = Value(endpoint, f"[services {name}]")

    def _source_profile(self, name: str, section: Section | None, values: Mapping[str, Value]) -> str | None:
        """The source profile of a profile. It needs no section: it may be the name of a stored key."""
        given, process = values.get("source_profile"), values.get("credential_process")
        source = given.text if given and given.text != name else None
        if process is None or _assumes_a_role(name, section):
            return source
        asked = own_profile(process.text, name)
        if asked is None:
            raise ConfigError(
                f"profile {name!r} needs credential_process ({process.origin}), which awsv does not run yet",
                hint=f"use the AWS CLI's own --profile={shlex.quote(name)}, or remove that line",
            )
        if asked == name:
            return source
        for key in ("role_arn", "source_profile"):
            value = values.get(key)
            if value and value.text != asked and value.origin != "AWS_ROLE_ARN":
                raise ConfigError(
                    f"profile {name!r} has credential_process ({process.origin}), which requests"
                    f" {asked!r}, and {key} ({value.origin}), which names another profile or role",
                    hint="remove one of the two",
                )
        return asked

    def _where(self, profile: AwsProfile, key: str) -> str:
        return profile.origins.get(key) or profile.origins.get("credential_process") or f"profile {profile.name!r}"


def _assumes_a_role(name: str, section: Section | None) -> bool:
    """Whether SDKs assume the role of a profile with the credentials of another one, and ignore its process."""
    return section is not None and bool(section.get("role_arn")) and section.get("source_profile") not in (None, name)


_HARMLESS = frozenset(("-j", "--json", "--format=json", "--no-input", "--debug"))
"""Options of an awsv line that do not change the identity."""


_SESSION_ONLY = frozenset(("-n", "--no-session", "-d", "--duration"))
"""Options of an awsv line that change the session, not the stored key."""


def own_profile(process: str, asking: str | None = None) -> str | None:
    """Return the profile that a ``credential_process`` line requests from awsv; None for another program's line.

    :param asking: the profile with the line. A line that requests its own profile may have session options.
    :raises ConfigError: the line runs awsv with an option that gives other credentials than the profile's.
    """
    try:
        words = shlex.split(process)
    except ValueError:
        return None
    if not words or words[0].rpartition("/")[2] not in OWN_COMMANDS:
        return None
    names: list[str] = []
    further: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        if word == "--":
            names.extend(rest)
        elif word == "--format":
            names.extend([] if next(rest, "") == "json" else [word])
        elif word.startswith("--prompt"):  # the MFA source does not change the identity
            _ = "=" in word or next(rest, None)
        elif not word.startswith("-"):
            names.append(word)
        elif word not in _HARMLESS:
            further.append(word)
            if word in ("-d", "--duration"):
                next(rest, None)
    itself = len(names) == 2 and names[1] == asking and _SESSION_ONLY.issuperset(further)
    if further and not itself:
        raise ConfigError(
            # Not the whole line: the value of an option may be a secret.
            f"the credential_process line{f' of profile {asking!r}' if asking else ''} runs awsv with"
            f" {further[0].partition('=')[0]}, which awsv does not follow from here",
            hint="set it in the profile (vault_backend, duration_seconds), or use that profile directly",
        )
    return names[1] if len(names) == 2 and names[0] in ("exec", "export") else None


_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def duration(text: str) -> int:
    """Return the seconds of ``90m``, ``1h30m``, ``7d`` or ``3600``.

    :raises UsageError: the text is neither a number of seconds nor days, hours, minutes and seconds.
    """
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return int(text)
    if not re.fullmatch(r"(\d{1,9}[dhms])+", text, re.ASCII):
        raise UsageError(f"{text!r} is not a duration", hint="for example 90m, 1h30m, 7d or 3600")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", text))


def seconds_of(variable: str, text: str) -> int:
    """Return the seconds of a duration in a variable.

    :raises ConfigError: it is not a duration; the message names the variable.
    """
    try:
        return duration(text)
    except UsageError as error:
        raise ConfigError(f"{variable}: {error.message}", hint=error.hint) from None
