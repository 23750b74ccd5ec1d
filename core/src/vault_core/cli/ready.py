"""``awsv ready``: the sessions of many profiles at once, behind one MFA question a user."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from vault_core.cli.app import App, subcommand
from vault_core.cli.formats import timestamp
from vault_core.errors import ConfigError, PartlyDone, VaultError
from vault_core.secret import Secret
from vault_core.sessions.engine import Engine
from vault_core.sessions.plan import KeyStep, Plan, Planner, SessionStep, Step, steps_to
from vault_core.sessions.profiles import Flags
from vault_core.vault import check_name

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
def command(app: App, patterns: tuple[str, ...], mfa_token: str | None, as_json: bool) -> int:
    """Make the sessions of many profiles at once, and say until when they last.

    Profiles that start from one user share one MFA question. A pattern matches the profiles of the AWS config.
    The exit code is 0 only if all of them are ready.

    \b
    Example:
      awsv ready 'tf-*' && terraform apply
    """
    names = matching(patterns, app.aws_config.profiles)
    app.host.purpose = f"profile {names[0]}" if len(names) == 1 else f"{len(names)} profiles, {names[0]} the first"
    planner = app.planner(Flags())
    outcomes: dict[str, Outcome] = {}
    plans = _plans(planner, names, outcomes)
    engine = app.engine(planner, machine=False, mfa_token=Secret(mfa_token) if mfa_token else None)
    outcomes.update(make(engine, plans))
    ordered = [outcomes[name] for name in names]
    show(app, ordered, as_json=as_json)
    return _exit_code(app, ordered)


def matching(patterns: Sequence[str], profiles: Iterable[str]) -> list[str]:
    """The profiles that are meant, each once: a pattern's matches, and every other word as it is.

    :raises ConfigError: a pattern matches nothing.
    """
    profiles = list(profiles)
    names: list[str] = []
    for pattern in patterns:
        if pattern in profiles or not any(char in pattern for char in "*?["):
            names.append(check_name(pattern))
        elif found := [name for name in profiles if fnmatch.fnmatchcase(name, pattern)]:
            names.extend(found)
        else:
            raise ConfigError(f"no profile matches {pattern!r}", hint="'awsv list --profiles' shows them")
    return list(dict.fromkeys(names))


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
    failed: dict[str, VaultError] = {}
    waiting: list[Plan] = []
    for plan in plans:
        try:
            if _prepare(engine, plan, failed):
                waiting.append(plan)
                continue
            outcomes[plan.profile] = _finish(engine, plan)
        except VaultError as error:
            outcomes[plan.profile] = Outcome(plan.profile, error=error)
    with ThreadPoolExecutor(PARALLEL) as pool:
        for outcome in pool.map(lambda plan: _finish(engine, plan), waiting):
            outcomes[outcome.profile] = outcome
    return outcomes


def _prepare(engine: Engine, plan: Plan, failed: dict[str, VaultError]) -> bool:
    """Do the steps that may ask, in this thread; whether something is left that asks nobody.

    A step that failed for one profile is not tried again for the next.
    """
    last = plan.last
    if isinstance(last, SessionStep) and engine.live(last) is not None:
        return False
    for step in steps_to(last):
        if step is last and not _may_ask(step):
            return True
        if step.cache_key in failed:
            raise failed[step.cache_key]
        try:
            engine.obtain(step)
        except VaultError as error:
            failed[step.cache_key] = error
            raise
    return False


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
            rows.append((outcome.profile, "failed", outcome.error.message))
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


def _exit_code(app: App, outcomes: Sequence[Outcome]) -> int:
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not errors:
        return 0
    if len(errors) < len(outcomes):
        ready = len(outcomes) - len(errors)
        raise PartlyDone(f"{ready} of {len(outcomes)} profiles are ready", hint=errors[0].hint)
    raise errors[0]
