"""``awsv ready``: the sessions of many profiles at once, behind one MFA question a user."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from vault_core.cli.app import App, subcommand
from vault_core.errors import ConfigError, PartlyDone, PassphraseError, VaultError
from vault_core.mfa import MfaRefused
from vault_core.secret import Secret
from vault_core.sessions.engine import Engine
from vault_core.sessions.formats import timestamp
from vault_core.sessions.plan import KeyStep, Plan, Planner, Step
from vault_core.sessions.profiles import SessionOptions
from vault_core.storage.vault import check_name

PARALLEL = 8
"""Sessions made at a time: STS answers that many calls of one account without throttling."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a profile."""

    profile: str
    expires: datetime | None = None
    cached: bool = False
    error: VaultError | None = None


@subcommand("ready")
@click.argument("patterns", metavar="PROFILE|PATTERN...", nargs=-1, required=True)
@click.option("-t", "--mfa-token", metavar="CODE", help="The MFA code, instead of being asked for it.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(app: App, patterns: tuple[str, ...], mfa_token: str | None, as_json: bool) -> None:
    """Make the sessions of many profiles at once, and say until when they last.

    Profiles that start from one user share one MFA question. A pattern matches the profiles of the AWS config.
    The exit code is 0 only if all of them are ready.

    \b
    --json prints a list of objects with
      profile  its name
      ready    whether it has a live session
      expires  until when (UTC); null where it has none, or one without end
      cached   whether the session was there before
      error    why it has none, or null

    \b
    Example:
      awsv ready 'tf-*' && terraform apply
    """
    names = matching(patterns, app.aws_config.names(), lambda: _without_section(app))
    app.host.purpose = f"profile {names[0]}" if len(names) == 1 else f"{len(names)} profiles, {names[0]} the first"
    outcomes: dict[str, Outcome] = {}
    plans = _plans(app.planner(SessionOptions()), names, outcomes)
    engine = app.engine(machine=False, mfa_token=Secret(mfa_token) if mfa_token else None)
    app.host.attended = False  # the sessions are for programs, which see no line of ours
    outcomes.update(make(engine, plans))
    ordered = [outcomes[name] for name in names]
    _raise_if_none(app, ordered)
    show(app, ordered, as_json=as_json)
    ready = sum(outcome.error is None for outcome in ordered)
    if ready < len(ordered):
        hint = next(outcome.error.hint for outcome in ordered if outcome.error is not None)
        raise PartlyDone(f"{ready} of {len(ordered)} profiles are ready", hint=hint)


def matching(patterns: Sequence[str], profiles: Iterable[str], others: Callable[[], Collection[str]]) -> list[str]:
    """The profiles that are meant, each once: a pattern's matches, and every other word as it is.

    What looks like a pattern and is a name means that name. A profile without a section, which is known only by its
    key, is looked for where it could be meant: for ``[``, and where the pattern matches nothing.

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


def _without_section(app: App) -> Collection[str]:
    """The names of live sessions, and of stored keys if those can be seen without asking anybody."""
    from vault_core.cli.list import stored_names

    live = {session.profiles[-1] for session in app.cache.sessions()}
    with suppress(VaultError):  # a store that is broken is told of when it is needed
        live.update(stored_names(app, unlock=False) or ())
    return live


def _plans(planner: Planner, names: Sequence[str], outcomes: dict[str, Outcome]) -> list[Plan]:
    plans = []
    for name in names:
        try:
            plans.append(planner.plan(name))
        except VaultError as error:
            outcomes[name] = Outcome(name, error=error)
    return plans


def make(engine: Engine, plans: Sequence[Plan]) -> dict[str, Outcome]:
    """Carry out the plans: what asks somebody one by one and first, the rest in parallel."""
    outcomes: dict[str, Outcome] = {}
    asking = Asking(engine)
    for plan in plans:
        try:
            asking.prepare(plan)
        except VaultError as error:
            outcomes[plan.profile] = Outcome(plan.profile, error=error)
    left = [plan for plan in plans if plan.profile not in outcomes]
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            for outcome in pool.map(lambda plan: _finish(engine, plan), left):
                outcomes[outcome.profile] = outcome
        except KeyboardInterrupt:
            engine.cancel()
            raise
    return outcomes


class Asking:
    """The steps that may ask a person.

    What failed for one profile is not tried again for the next, and who declined to give a code, or did not know the
    passphrase, is not asked for another one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._failed: dict[str, VaultError] = {}
        self._no_code: MfaRefused | None = None
        self._no_passphrase: PassphraseError | None = None

    def prepare(self, plan: Plan) -> None:
        """Make what may ask, and what that stands on; the rest of the plan asks nobody.

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
        return Outcome(plan.profile, error=error)
    return Outcome(plan.profile, issued.credentials.expires, issued.cached)


def show(app: App, outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """The outcomes as a table or as JSON."""
    if as_json:
        app.write_json([_entry(outcome) for outcome in outcomes])
        return
    rows = []
    for outcome in outcomes:
        if outcome.error is not None:
            rows.append((outcome.profile, "-", f"failed: {outcome.error.message}"))
        else:
            until = outcome.expires.astimezone().strftime("%H:%M:%S") if outcome.expires else "no end"
            rows.append((outcome.profile, until, "still live" if outcome.cached else "new"))
    app.write_table(("Profile", "Until", "State"), rows)


def _entry(outcome: Outcome) -> dict[str, Any]:
    return {
        "profile": outcome.profile,
        "ready": outcome.error is None,
        "expires": timestamp(outcome.expires) if outcome.expires else None,
        "cached": outcome.cached,
        "error": outcome.error.message if outcome.error else None,
    }


def _raise_if_none(app: App, outcomes: Sequence[Outcome]) -> None:
    """A failing command prints no data: where no profile is ready, the last line is the first one's failure."""
    errors = {outcome.profile: outcome.error for outcome in outcomes if outcome.error is not None}
    if len(errors) < len(outcomes):
        return
    first = errors[outcomes[0].profile]
    for profile, error in errors.items():
        if error.message != first.message:
            app.note(f"{profile}: {error.message}")
    raise first
