"""``awsv list``: profiles, stored keys and sessions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from vault_core import output
from vault_core.cli.app import App
from vault_core.cli.options import subcommand
from vault_core.command_line import command_line
from vault_core.errors import UsageError
from vault_core.sessions.listing import ListedProfile, LiveSession, listed, live, stored_names

if TYPE_CHECKING:
    from vault_core.rotation.listing import KeyReport

LOCKED = "locked"
SHARED = " (shared)"


@subcommand("list")
@click.option(
    "--credentials", "only", flag_value="credentials", help="Print only profiles with a stored key, one per line."
)
@click.option(
    "--profiles", "only", flag_value="profiles", help="Print only the profiles of the AWS config, one per line."
)
@click.option("--sessions", "only", flag_value="sessions", help="Print only the live sessions, one per line.")
@click.option("--shared", is_flag=True, help="Print only profiles with a shared key, one per line.")
@click.option("--keys", is_flag=True, help="Print the stored keys with age, last use and status at IAM.")
@click.option("--unlock", is_flag=True, help="Prompt for the passphrase if it is needed to list the stored keys.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def command(app: App, only: str | None, shared: bool, keys: bool, unlock: bool, as_json: bool) -> None:
    """List profiles, stored keys and sessions.

    The store is opened only if that takes neither a prompt nor a server; otherwise Credentials is "locked". --unlock
    prompts, and so do --credentials, --shared and --keys, which need the store. --keys also asks AWS, signing with each
    key.

    \b
    --json prints a list of objects with
      profile    its name
      in_config  whether it is a profile of the AWS config; a section with only a plain key is not
      stored     whether a key is stored for it; null where the store is locked
      shared     whether the users of the store share that key; null where the store is locked
      sessions   the live ones: a list of objects with kind and expires (UTC)

    \b
    --keys --json prints a list of objects with
      name, key, shared             where it is stored, its id, whether the users of the store share it
      user, active, created         of the key at IAM (UTC); null where it is not known
      last_used, last_used_service  null where it is not known, or if it was never used
      is_old                        whether it is older than AWS_VAULT_KEY_MAX_AGE; null where it is not known
      due, due_key, due_from        finish or delete: what a rotation has still to do, to which key, and when; or null
      reason                        why something is not known, or null

    \b
    Examples:
      awsv list --unlock
      awsv list --keys
    """
    if keys:
        return _write_keys(app, only or ("shared" if shared else None), as_json)
    only = only or ("shared" if shared else None)
    if only and as_json:
        raise UsageError("--json lists everything", hint=f"omit --{only} or --json")
    app.sweep_aws_files()
    configured = app.client.aws_config.names()
    if only == "profiles":
        return _write_lines(app, configured)
    sessions = list(app.client.cache.sessions())
    if only == "sessions":
        return _write_lines(app, [label(live(session)) for session in sessions])
    unlock = unlock or only is not None
    asking = app.about("the list of stored keys")
    stored = stored_names((asking if unlock else asking.looking()).vault(), app.note, unlock=unlock)
    if only is not None:
        return _write_lines(app, [name for name, common in (stored or {}).items() if common or not shared])
    profiles = listed(configured, stored, sessions)
    if as_json:
        return app.write_json(profiles)
    if not profiles:
        app.note(
            "no profile in the AWS config, and the store was not opened: 'awsv list --unlock' shows what it holds"
            if stored is None
            else "nothing here yet: 'awsv add PROFILE' stores a profile's keys"
        )
    return app.write_table(("Profile", "Credentials", "Sessions"), [row(profile) for profile in profiles])


def _write_keys(app: App, only: str | None, as_json: bool) -> None:
    from vault_core.cli.text import MAX_NAMED  # the other lists do not need it

    if only:
        raise UsageError(f"--keys and --{only} are two lists", hint=f"omit --{only} or --keys")
    reports = app.client.key_reports(asking=app.about("the list of stored keys").asking)
    if as_json:
        return app.write_json(reports)
    if not reports:
        app.note("no key is stored: 'awsv add PROFILE' stores one")
    app.write_table(("Profile", "Key", "Age", "Last used", "Status", "Due"), [key_row(one) for one in reports])
    for one in reports:
        if one.reason is not None:
            app.note(f"{one.name}: {one.reason}")
    if old := [one.name for one in reports if one.is_old]:
        limit = app.settings.value("key_max_age")
        shown = ", ".join(map(repr, old[:MAX_NAMED])) + (" and more" if len(old) > MAX_NAMED else "")
        app.note(f"older than {limit.text} ({limit.origin}): {shown}; {command_line('awsv rotate', *old[:MAX_NAMED])}")
    return None


def key_row(key: KeyReport) -> tuple[str, ...]:
    """One line of the table of keys."""
    from vault_core.rotation.text import age

    status = {True: "active", False: "refused" if key.created is None else "inactive", None: "not known"}[key.active]
    last_used = f"{age(key.last_used)} ago, {key.last_used_service}" if key.last_used else "never"
    if key.active is None or key.reason is not None:
        last_used = "not known"
    due = "-"
    if key.due == "finish":
        due = "finish the rotation"
    elif key.due_from is not None:
        due = f"delete {key.due_key} from {key.due_from:%Y-%m-%d} on"
    name = key.name + (SHARED if key.shared else "")
    return name, key.key, age(key.created) if key.created else "not known", last_used, status, due


def _write_lines(app: App, names: Iterable[str]) -> None:
    for name in names:
        app.write(output.printable(name))  # a name with a line break must not look like two


def label(session: LiveSession) -> str:
    """aws-vault's form: ``sts.AssumeRole:59m12s``."""
    minutes, seconds = divmod(session.left(), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{session.kind}:{f'{hours}h' if hours else ''}{minutes}m{seconds}s"


def row(listed: ListedProfile) -> tuple[str, str, str]:
    """One line of the table."""
    credentials = LOCKED if listed.stored is None else "-"
    if listed.stored:
        credentials = listed.profile + SHARED if listed.shared else listed.profile
    return listed.profile, credentials, ", ".join(map(label, listed.sessions)) or "-"
