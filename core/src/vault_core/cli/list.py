"""``awsv list``: profiles, stored keys and sessions. It asks nobody, unless told to."""

from __future__ import annotations

from typing import Any

import click

from vault_core import output
from vault_core.cli.app import App, subcommand
from vault_core.errors import PassphraseError, StorageLocked, UsageError
from vault_core.sessions.cache import Session

LOCKED = "locked"


@subcommand("list")
@click.option("--credentials", "only", flag_value="credentials", help="Only the names with a stored key, one a line.")
@click.option("--profiles", "only", flag_value="profiles", help="Only the profiles of the AWS config, one a line.")
@click.option("--sessions", "only", flag_value="sessions", help="Only the live sessions, one a line.")
@click.option("--unlock", is_flag=True, help="Ask for the passphrase if that is needed to see the stored keys.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(app: App, only: str | None, unlock: bool, as_json: bool) -> None:
    """List profiles, stored keys and sessions.

    The store is opened only if nobody has to be asked for that; otherwise Credentials reads "locked".

    \b
    Example:
      awsv list --unlock
    """
    if only and as_json:
        raise UsageError("--json lists everything", hint=f"leave --{only} or --json away")
    configured = list(app.aws_config.profiles)
    if only == "profiles":
        return write_lines(app, configured)
    sessions = list(app.cache.sessions())
    if only == "sessions":
        return write_lines(app, [label(session) for session in sessions])
    stored = stored_names(app, unlock=unlock or only == "credentials")
    if only == "credentials":
        return write_lines(app, stored or [])
    names = list(dict.fromkeys([*configured, *(stored or []), *(session.profiles[-1] for session in sessions)]))
    if as_json:
        return app.write_json([entry(name, configured, stored, sessions) for name in names])
    if not names:
        app.note("nothing here yet: 'awsv add PROFILE' stores a profile's keys")
    return app.write_table(
        ("Profile", "Credentials", "Sessions"), [row(name, stored, sessions) for name in names] if names else []
    )


def stored_names(app: App, *, unlock: bool) -> list[str] | None:
    """The names with a key, or None where the store is locked.

    :param unlock: ask for the passphrase if it takes that.
    """
    allowed, app.host.may_ask = app.host.may_ask, app.host.may_ask and unlock
    app.host.purpose = "the list of stored keys"
    try:
        return list(app.vault().names())
    except (PassphraseError, StorageLocked):
        if unlock:
            raise
        return None
    finally:
        app.host.may_ask = allowed


def write_lines(app: App, names: list[str]) -> None:
    for name in names:
        app.write(output.printable(name))  # a name with a line break must not look like two


def label(session: Session) -> str:
    """aws-vault's words: ``sts.AssumeRole:59m12s``."""
    left = max(int(session.left()), 0)
    hours, minutes, seconds = left // 3600, left % 3600 // 60, left % 60
    return f"{session.kind}:{f'{hours}h' if hours else ''}{minutes}m{seconds}s"


def row(name: str, stored: list[str] | None, sessions: list[Session]) -> tuple[str, str, str]:
    credentials = LOCKED if stored is None else name if name in stored else "-"
    live = ", ".join(label(session) for session in sessions if session.profiles[-1] == name)
    return name, credentials, live or "-"


def entry(name: str, configured: list[str], stored: list[str] | None, sessions: list[Session]) -> dict[str, Any]:
    """One element of ``--json``: ``stored`` is null where the store is locked."""
    return {
        "profile": name,
        "in_config": name in configured,
        "stored": None if stored is None else name in stored,
        "sessions": [
            {
                "kind": session.kind,
                "expires": session.credentials.expires.isoformat() if session.credentials.expires else None,
            }
            for session in sessions
            if session.profiles[-1] == name
        ],
    }
