"""Make the sessions of many profiles at once: first the steps that may ask the user, then the rest in parallel."""

import fnmatch
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from vault_core.errors import ConfigError, PassphraseError, VaultError
from vault_core.mfa import MfaRefused
from vault_core.records import dataclass
from vault_core.sessions.engine import Engine
from vault_core.sessions.plan import KeyStep, Plan, Planner, Step
from vault_core.storage.vault import check_name

PARALLEL = 16
"""Sessions made at a time: at 0.1 s a call that is a quarter of the 600 calls a second that STS answers an account in a
region without throttling ("IAM and AWS STS quotas" in the IAM user guide)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one profile: a session, or an error."""

    profile: str
    ready: bool
    expires: datetime | None = None
    """Aware, UTC; None for an error, and for a session without end."""
    cached: bool = False
    """The session was in the cache."""
    error: VaultError | None = None


def matching(patterns: Sequence[str], profiles: Iterable[str], others: Callable[[], Collection[str]]) -> list[str]:
    """Expand patterns to profile names, each once. A word that is not a pattern is a name as it is.

    A word that looks like a pattern and is a name means that name. ``others`` is called only if it can matter, and
    once: for a word with ``[``, and for a pattern that matches nothing.

    :param others: the names of profiles that are not in the AWS config: those of stored keys and of live sessions.
    :raises ConfigError: a pattern matches nothing.
    """
    profiles = dict.fromkeys(profiles)
    names: list[str] = []
    further: Collection[str] | None = None
    for pattern in patterns:
        is_name = pattern in profiles or not any(char in pattern for char in "*?[")
        matches = [] if is_name else [name for name in profiles if fnmatch.fnmatchcase(name, pattern)]
        if not is_name and (not matches or "[" in pattern):
            further = frozenset(others()) if further is None else further
            is_name = pattern in further
        if is_name:
            names.append(check_name(pattern))
        elif matches:
            names.extend(matches)
        else:
            raise ConfigError(f"no profile matches {pattern!r}", hint="'awsv list --profiles' shows them")
    return list(dict.fromkeys(names))


def make_ready(planner: Planner, engine: Engine, names: Sequence[str]) -> list[Outcome]:
    """Make the sessions of the profiles; the outcomes in the order of the names.

    :raises KeyboardInterrupt: Ctrl-C; the threads stop soon.
    """
    outcomes: dict[str, Outcome] = {}
    plans = []
    questions = _Questions(engine)
    for name in names:
        try:
            plans.append(planner.plan(name))
        except VaultError as error:
            outcomes[name] = Outcome(name, False, error=error)
    for plan in plans:
        try:
            questions.prepare(plan)
        except VaultError as error:
            outcomes[plan.profile] = Outcome(plan.profile, False, error=error)
    rest = [plan for plan in plans if plan.profile not in outcomes]
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            for outcome in pool.map(lambda plan: _finish(engine, plan), rest):
                outcomes[outcome.profile] = outcome
        except KeyboardInterrupt:
            engine.cancel()
            raise
    return [outcomes[name] for name in names]


class _Questions:
    """Makes the steps that may ask the user.

    A step that failed for one profile is not tried again for the next one. A user who declined to give a code, or did
    not know the passphrase, is not asked again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._failed: dict[str, VaultError] = {}
        self._no_code: MfaRefused | None = None
        self._no_passphrase: PassphraseError | None = None

    def prepare(self, plan: Plan) -> None:
        """Make each step that may ask, and the steps before it; the remaining steps of the plan never ask.

        :raises VaultError: the plan has failed.
        """
        steps = self._engine.missing(plan)
        while steps and not _may_ask(steps[-1]):
            steps.pop()
        for step in steps:
            self._make(step)

    def _make(self, step: Step) -> None:
        known = self._failed.get(step.cache_key) or (
            self._no_passphrase if isinstance(step, KeyStep) else self._no_code if _may_ask(step) else None
        )
        if known is not None:
            raise known
        try:
            self._engine.obtain(step)
        except VaultError as error:
            self._failed[step.cache_key] = error
            if isinstance(error, MfaRefused):
                self._no_code = error
            elif isinstance(error, PassphraseError):
                self._no_passphrase = error
            raise


def _may_ask(step: Step) -> bool:
    return isinstance(step, KeyStep) or bool(step.parameters.get("mfa_serial"))


def _finish(engine: Engine, plan: Plan) -> Outcome:
    try:
        issued = engine.credentials(plan)
    except VaultError as error:
        return Outcome(plan.profile, False, error=error)
    return Outcome(plan.profile, True, issued.credentials.expires, issued.cached)
