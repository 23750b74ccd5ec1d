"""``awsv ready``: the sessions of many profiles at once, behind one MFA prompt per user."""

from collections.abc import Sequence

import click

from vault_core.cli.app import App
from vault_core.cli.options import subcommand
from vault_core.errors import PartlyDone
from vault_core.secret import Secret
from vault_core.sessions.profiles import SessionOptions
from vault_core.sessions.ready import Outcome


@subcommand("ready")
@click.argument("patterns", metavar="PROFILE|PATTERN...", nargs=-1, required=True)
@click.option("-t", "--mfa-token", metavar="CODE", help="The MFA code, instead of a prompt for it.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def command(app: App, patterns: tuple[str, ...], mfa_token: str | None, as_json: bool) -> None:
    """Make the sessions of many profiles at once, and show when they expire.

    Profiles that start from the same user share one MFA prompt. A pattern matches the profiles of the AWS config.
    The exit code is 0 only if all of them are ready.

    \b
    --json prints a list of objects with
      profile  its name
      ready    whether it has a live session
      expires  when it expires (UTC); null without a session, or if it does not expire
      cached   whether the session was there before
      error    why it has none, or null

    \b
    Example:
      awsv ready 'tf-*' && terraform apply
    """
    options = SessionOptions(mfa_token=Secret(mfa_token) if mfa_token else None)
    outcomes = app.client.ready(patterns, options, asking=app.asking_for_sessions(machine=False))
    _raise_if_none(app, outcomes)
    if as_json:
        app.write_json(outcomes)
    else:
        app.write_table(("Profile", "Until", "State"), [_row(outcome) for outcome in outcomes])
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if failed:
        ready = len(outcomes) - len(failed)
        raise PartlyDone(f"{ready} of {len(outcomes)} profiles are ready", hint=failed[0].hint)


def _row(outcome: Outcome) -> tuple[str, str, str]:
    if outcome.error is not None:
        return outcome.profile, "-", f"failed: {outcome.error.message}"
    until = outcome.expires.astimezone().strftime("%H:%M:%S") if outcome.expires else "no end"
    return outcome.profile, until, "still live" if outcome.cached else "new"


def _raise_if_none(app: App, outcomes: Sequence[Outcome]) -> None:
    """A failing command prints no data: if no profile is ready, the last line is the error of the first one."""
    errors = {outcome.profile: outcome.error for outcome in outcomes if outcome.error is not None}
    if len(errors) < len(outcomes):
        return
    first = errors[outcomes[0].profile]
    for profile, error in errors.items():
        if error.message != first.message:
            app.note(f"{profile}: {error.message}")
    raise first
