"""The sessions of many profiles at once, behind one MFA prompt per user."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from vault_core.errors import ConfigError, PassphraseError, VaultError
from vault_core.mfa import MfaRefused
from vault_core.sessions.engine import Engine
from vault_core.sessions.plan import KeyStep, Plan, Planner, Step
from vault_core.storage.vault import check_name

PARALLEL = 8
"""Sessions made at a time: STS answers that many calls of one account without throttling."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one profile.

    :param ready: whether it has a live session.
    :param expires: None where it has no session, or one that does not expire.
    :param cached: whether the session was there before.
    :param error: why it has no session.
    """

    profile: str
    ready: bool
    expires: datetime | None = None
    cached: bool = False
    error: VaultError | None = None


def make_ready(planner: Planner, engine: Engine, names: Sequence[str]) -> list[Outcome]:
    """Make the sessions of the profiles, and return the outcomes in this order. An error of one stops no other."""
    outcomes: dict[str, Outcome] = {}
    plans = []
    for name in names:
        try:
            plans.append(planner.plan(name))
        except VaultError as error:
            outcomes[name] = _failed(name, error)
    outcomes.update(make(engine, plans))
    return [outcomes[name] for name in names]


def matching(patterns: Sequence[str], profiles: Iterable[str], others: Callable[[], Collection[str]]) -> list[str]:
    """The profiles that the words mean, each once: the matches of a pattern, and every other word as it is.

    A word that looks like a pattern and is the name of a profile means that profile. Profiles without a section, which
    are known only by their key, are looked up if a pattern has a ``[`` or matches nothing.

    :param others: the names of such profiles.
    :raises ConfigError: a pattern matches nothing.
    """
    profiles = list(profiles)
    names: list[str] = []
    for pattern in patterns:
        is_name = pattern in profiles or not any(char in pattern for char in "*?[")
        found = [] if is_name else [name for name in profiles if fnmatch.fnmatchcase(name, pattern)]
        if is_name or ((not found or "[" in pattern) and pattern in others()):
            names.append(check_name(pattern))
        elif found:
            names.extend(found)
        else:
            raise ConfigError(f"no profile matches {pattern!r}", hint="'awsv list --profiles' shows them")
    return list(dict.fromkeys(names))


def make(engine: Engine, plans: Sequence[Plan]) -> dict[str, Outcome]:
    """Carry out the plans: first the steps that may prompt, one by one, then the rest in parallel."""
    outcomes: dict[str, Outcome] = {}
    prompting = Prompting(engine)
    for plan in plans:
        try:
            prompting.prepare(plan)
        except VaultError as error:
            outcomes[plan.profile] = _failed(plan.profile, error)
    left = [plan for plan in plans if plan.profile not in outcomes]
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            for outcome in pool.map(lambda plan: _finish(engine, plan), left):
                outcomes[outcome.profile] = outcome
        except KeyboardInterrupt:
            engine.cancel()
            raise
    return outcomes


class Prompting:
    """The steps that may prompt.

    A step that failed for one profile is not tried again for the next. A user who gave no MFA code, or no right
    passphrase, is not prompted for another one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._failed: dict[str, VaultError] = {}
        self._no_code: MfaRefused | None = None
        self._no_passphrase: PassphraseError | None = None

    def prepare(self, plan: Plan) -> None:
        """Make the steps that may prompt, and those that they depend on. The rest of the plan never prompts.

        :raises VaultError: the plan has failed.
        """
        steps = self._engine.missing(plan)
        while steps and not _may_prompt(steps[-1]):
            steps.pop()
        for step in steps:
            self._make(step)

    def _make(self, step: Step) -> None:
        known = self._failed.get(step.cache_key) or (
            self._no_passphrase if isinstance(step, KeyStep) else self._no_code if _may_prompt(step) else None
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


def _may_prompt(step: Step) -> bool:
    return isinstance(step, KeyStep) or bool(step.parameters.get("mfa_serial"))


def _finish(engine: Engine, plan: Plan) -> Outcome:
    try:
        issued = engine.credentials(plan)
    except VaultError as error:
        return _failed(plan.profile, error)
    return Outcome(plan.profile, True, issued.credentials.expires, issued.cached)


def _failed(profile: str, error: VaultError) -> Outcome:
    return Outcome(profile, False, error=error)
