"""``awsv rotate``: renew stored keys."""

from __future__ import annotations

from collections.abc import Sequence

import click

from vault_core.cli.app import App
from vault_core.cli.options import profile_name, subcommand
from vault_core.errors import PartlyDone, UsageError
from vault_core.rotation.place import Rotated, Wishes
from vault_core.secret import Secret
from vault_core.sessions.profiles import SessionOptions


@subcommand("rotate")
@click.argument("patterns", metavar="PROFILE|PATTERN...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every key of the store.")
@click.option("--finish", is_flag=True, help="Finish what was begun, and delete the old key now.")
@click.option("--leaked", is_flag=True, help="A thief may have the key: deactivate it as early as possible.")
@click.option("--as", "admin", metavar="ADMIN", callback=profile_name, help="A profile that signs, not the key itself.")
@click.option("--revoke-sessions", is_flag=True, help="With --leaked: end all sessions of the user.")
@click.option(
    "--replace", metavar="KEYID", help="If there is no room for a new key: delete this one, which is not stored."
)
@click.option("--shared", is_flag=True, help="Rotate a key that the users of the store share.")
@click.option("-n", "--no-session", is_flag=True, help="Sign with the key itself, also where a session with MFA could.")
@click.option("-t", "--mfa-token", metavar="CODE", help="The MFA code, instead of a prompt for it.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def command(
    app: App,
    patterns: tuple[str, ...],
    every: bool,
    finish: bool,
    leaked: bool,
    admin: str | None,
    revoke_sessions: bool,
    replace: str | None,
    shared: bool,
    no_session: bool,
    mfa_token: str | None,
    as_json: bool,
) -> None:
    """Renew the stored keys of profiles, each key once.

    A new key is made, used and stored before the old one is touched. The old one becomes inactive; the next rotation
    deletes it if AWS_VAULT_ROTATION_GRACE is over, or --finish does. An interrupted rotation is finished by the next
    one. A key that awsv did not make is deleted only if you confirm it, or name it by --replace.

    \b
    --json prints a list of objects with
      name   the name under which the key is stored
      user   the IAM user, or null
      old    the id of the old key, or null
      new    the id of the key that is stored now, or null
      state  inactive, waiting, deleted (the old key), nothing (to finish) or failed
      due    from when on the old key is deleted (UTC), or null
      error  why it failed, or null

    \b
    Examples:
      awsv rotate work
      awsv rotate --leaked --as admin work
    """
    if bool(patterns) == every:
        raise UsageError("name profiles, or give --all", hint="awsv rotate --help")
    if revoke_sessions and not leaked:
        raise UsageError("--revoke-sessions belongs to --leaked", hint="add --leaked, or omit it")
    if leaked and (every or len(patterns) > 1 or finish):
        raise UsageError("--leaked is for one profile, and needs no --finish", hint="name the profile whose key leaked")
    outcomes = app.client.rotate(
        None if every else patterns,
        Wishes(leaked=leaked, finish=finish, revoke=revoke_sessions, replace=replace, shared=shared),
        SessionOptions(no_session=no_session, mfa_token=Secret(mfa_token) if mfa_token else None),
        admin=admin,
        asking=app.about("the rotation of keys").asking_for_sessions(machine=False),
    )
    _raise_if_all_failed(app, outcomes)
    if as_json:
        app.write_json(outcomes)
    else:
        app.write_table(("Key of", "Old", "New", "State"), [_row(outcome) for outcome in outcomes])
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if failed:
        raise PartlyDone(f"{len(outcomes) - len(failed)} of {len(outcomes)} keys are done", hint=failed[0].hint)


def _row(outcome: Rotated) -> tuple[str, str, str, str]:
    state = f"failed: {outcome.error.message}" if outcome.error else outcome.state
    if outcome.due is not None:
        state = (
            f"{'old key inactive' if outcome.state == 'inactive' else 'waiting'}, due {outcome.due:%Y-%m-%d %H:%M} UTC"
        )
    elif outcome.state == "deleted":
        state = "old key deleted"
    elif outcome.state == "nothing":
        state = "nothing to finish"
    return outcome.name, outcome.old or "-", outcome.new or "-", state


def _raise_if_all_failed(app: App, outcomes: Sequence[Rotated]) -> None:
    """A failing command prints no data: if nothing is done, the last line is the error of the first key."""
    errors = [(outcome.name, outcome.error) for outcome in outcomes if outcome.error is not None]
    if len(errors) < len(outcomes):
        return
    for name, error in errors[1:]:
        app.note(f"{name}: {error.message}")
    raise errors[0][1]
