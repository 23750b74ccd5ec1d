"""``awsv ready``: the sessions of many profiles at once, with one MFA question for each user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from vault_core.cli.app import App, subcommand
from vault_core.errors import PartlyDone
from vault_core.secret import Secret
from vault_core.sessions.formats import timestamp
from vault_core.sessions.profiles import SessionOptions
from vault_core.sessions.ready import Outcome


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
    options = SessionOptions(mfa_token=Secret(mfa_token) if mfa_token else None)
    outcomes = app.client.ready(patterns, options, asking=app.asking_for_sessions(machine=False))
    _raise_if_none(app, outcomes)
    show(app, outcomes, as_json=as_json)
    ready = sum(outcome.error is None for outcome in outcomes)
    if ready < len(outcomes):
        hint = next(outcome.error.hint for outcome in outcomes if outcome.error is not None)
        raise PartlyDone(f"{ready} of {len(outcomes)} profiles are ready", hint=hint)


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
