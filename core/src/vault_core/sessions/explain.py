"""The plan of a profile, the origin of each value, and what is cached: what ``awsv explain`` shows. Never prompts."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from vault_core.awsconfig.quoting import PROCESS
from vault_core.awsconfig.shared import may_be_shown, without_passwords
from vault_core.child_env import is_secret_variable
from vault_core.errors import PassphraseError, StorageError, WrongSecret
from vault_core.plugins.host import Host
from vault_core.records import dataclass
from vault_core.sessions.cache import Cache
from vault_core.sessions.engine import kind_of
from vault_core.sessions.plan import KeyStep, Plan, SessionStep, Step
from vault_core.settings import PROFILE_SETTINGS, Value
from vault_core.storage.vault import Vault

MASK = "***"
"""In place of a value that may be secret."""
STORED_KEY = "stored key"


@dataclass(frozen=True, slots=True)
class ExplainedKey:
    """The first step of a plan: a stored key.

    :param state: whether there is one, or why that was not checked.
    """

    step: str
    profile: str
    store: str
    place: str
    state: str


@dataclass(frozen=True, slots=True)
class ExplainedSession:
    """A session that a provider makes.

    :param parameters: what the provider made of the profile, without secrets.
    :param cached_until: None where the session is not cached.
    """

    step: str
    profile: str
    provider: str
    parameters: Mapping[str, Any]
    cached_until: datetime | None


@dataclass(frozen=True, slots=True)
class ExplainedValue:
    """A key of a profile, with the place where it is set."""

    profile: str
    key: str
    value: str
    origin: str = field(metadata={"json": "from"})


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a profile gets its credentials."""

    profile: str
    region: str | None
    steps: Sequence[ExplainedKey | ExplainedSession]
    values: Sequence[ExplainedValue]
    settings: Mapping[str, Value]
    notes: Sequence[str]


def explain(host: Host, cache: Cache, plan: Plan) -> Explanation:
    """Explain a plan."""
    return Explanation(
        profile=plan.profile,
        region=plan.region,
        steps=[_step(host, step, cache) for step in plan.steps()],
        values=[
            ExplainedValue(profile.name, key, _shown(host, key, value), profile.origins[key])
            for profile in plan.chain
            for key, value in profile.keys.items()
            if key in profile.origins
        ],
        settings={
            name: value for name in PROFILE_SETTINGS if (value := host.settings.value(name, plan.chain[-1].keys)).text
        },
        notes=list(plan.notes),
    )


def _shown(host: Host, key: str, value: str) -> str:
    """The value, or :data:`MASK` if it may be secret: only the options that an opened plugin declares are shown."""
    known = {one for one in host.state.shown_keys if not is_secret_variable(f"AWS_{one.upper()}")}
    if key == PROCESS:
        from vault_core.awsconfig.redacted_diff import without_secret

        value = without_secret(f"{key} = {value}").removeprefix(f"{key} = ")
    return without_passwords(value) if may_be_shown(key, known) else MASK


def _parameters(host: Host, step: SessionStep) -> dict[str, Any]:
    """What the provider made of the profile, without the values of secret options."""
    declared = host.plugins.load("session", step.provider).options
    understood = host.context("session", step.provider, declared, profile=step.options).options
    secrets: set[str] = set()
    for one in declared:
        if one.secret and (given := host.settings.option(step.provider, one.name, None, step.options)):
            secrets |= {given.text, *_texts(understood[one.name])}  # as it is written, and as it is parsed

    def without(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: without(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [without(one) for one in value]
        return MASK if any(secret in str(value) for secret in secrets) else value

    return {name: without(value) for name, value in step.parameters.items()}


def _texts(value: Any) -> Iterator[str]:
    """The texts in the value of an option."""
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        for one in value:
            yield from _texts(one)
    elif value not in (None, ""):
        yield str(value)


def _step(host: Host, step: Step, cache: Cache) -> ExplainedKey | ExplainedSession:
    if isinstance(step, KeyStep):
        return ExplainedKey(STORED_KEY, step.name, step.store.name, step.store.place, _stored(host, step))
    live = cache.get(step.cache_key)
    until = live.credentials.expires if live else None
    return ExplainedSession(kind_of(step), step.profile, step.provider, _parameters(host, step), until)


def _stored(host: Host, step: KeyStep) -> str:
    try:
        key = Vault(host, step.store).get(step.name)
    except (StorageError, WrongSecret) as error:
        return f"not checked: {error.message}"
    except PassphraseError:
        return "not checked: locked"
    if key is None:
        return "missing"
    return f"stored: {key.credentials.access_key_id}{', shared' if key.shared else ''}"
