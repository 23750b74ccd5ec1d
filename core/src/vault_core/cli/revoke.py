"""``awsv revoke``: deactivate the keys of a machine that is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from vault_core.cli.app import App
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.text import counted
from vault_core.errors import Cancelled, PartlyDone, UsageError
from vault_core.rotation.revoke import DONE, Revoked
from vault_core.secret import Secret
from vault_core.sessions.profiles import SessionOptions


@subcommand("revoke")
@click.option("--from", "inventory", metavar="FILE", required=True, help="What 'awsv inventory --json' printed.")
@click.option(
    "--as",
    "admins",
    metavar="ADMIN",
    multiple=True,
    required=True,
    callback=profile_name,
    help="A profile that signs. May be repeated, for other accounts.",
)
@click.option("--revoke-sessions", is_flag=True, help="Also revoke the sessions of the users, and of the roles.")
@click.option("-t", "--mfa-token", metavar="CODE", help="The MFA code, instead of a prompt for it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def command(
    app: App,
    inventory: str,
    admins: tuple[str, ...],
    revoke_sessions: bool,
    mfa_token: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Deactivate the keys that an inventory names, from another machine.

    Nothing else is changed, no key is deleted, and repeating the command does no harm. Every key is tried. If one may
    still be active, or a revocation failed, the exit code is 7. Sessions of a role are revoked for everybody who uses
    it; sessions of the next minute are revoked, too.

    \b
    --json prints a list of objects with
      kind     key, user or role
      subject  the id of the key, the name of the user, the ARN of the role
      account  or null
      user     whose key it is, or null
      admin    the profile that signs, or null
      state    inactive, was inactive, deleted, revoked, foreign (of an account of no --as) or failed
      error    why it is not done, or null

    \b
    Example:
      awsv revoke --from inventory.json --as admin --revoke-sessions
    """
    app = app.about("the revocation of keys")
    if not yes and (reason := app.host.cannot_ask()):
        raise UsageError(f"this needs a yes or no, and no question is possible: {reason}", hint="give --yes")
    outcomes = app.client.revoke(
        Path(inventory),
        admins,
        sessions=revoke_sessions,
        options=SessionOptions(mfa_token=Secret(mfa_token) if mfa_token else None),
        agree=lambda found: _agree(app, found, yes),
        asking=app.asking_for_sessions(machine=False),
    )
    if as_json:
        app.write_json(outcomes)
    else:
        app.write_table(("What", "Account", "User", "Signed by", "State"), [_row(one) for one in outcomes])
    if rest := [one for one in outcomes if one.state not in DONE]:
        active = counted(sum(one.kind == "key" for one in rest), "key")
        hint = next((one.error.hint for one in rest if one.error and one.error.hint), "repeat the command")
        raise PartlyDone(
            f"{len(outcomes) - len(rest)} of {len(outcomes)} are done; {active} may still be active", hint=hint
        )


def _agree(app: App, found: Sequence[Revoked], yes: bool) -> None:
    """Show what is going to be done, and have the user confirm it.

    :raises Cancelled: the user does not.
    """
    for one in found:
        app.note(_announced(one))
    todo = [one for one in found if one.is_open]
    if not todo or yes:
        return
    kinds = [one.kind for one in todo]
    question = f"Deactivate {counted(kinds.count('key'), 'key')}"
    if others := [counted(kinds.count(kind), kind) for kind in ("user", "role") if kind in kinds]:
        question += f", and revoke the sessions of {' and '.join(others)}"
    if not app.confirm(f"{question}?", flag="--yes"):
        raise Cancelled("nothing was changed")


def _announced(one: Revoked) -> str:
    if one.error is not None:
        return f"{one.subject}: left out: {one.error.message}"
    if one.kind != "key":
        return f"{one.kind} {one.subject} in account {one.account}: sessions will be revoked by {one.admin!r}"
    what = f"{one.subject} of user {one.user} in account {one.account}"
    return f"{what}: will be deactivated by {one.admin!r}" if one.is_open else f"{what}: {one.state}"


def _row(one: Revoked) -> tuple[str, ...]:
    state = f"{one.state}: {one.error.message}" if one.error is not None else one.state
    subject = f"user {one.subject}" if one.kind == "user" else one.subject
    return subject, one.account or "-", one.user or "-", one.admin or "-", state
