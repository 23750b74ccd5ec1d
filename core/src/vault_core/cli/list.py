"""``awsv list``: profiles, stored keys and sessions. It asks nobody, unless told to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from vault_core import output
from vault_core.api import Capability
from vault_core.cli.app import App, subcommand
from vault_core.errors import PassphraseError, StorageLocked, UsageError
from vault_core.sessions.cache import Session
from vault_core.sessions.formats import timestamp

LOCKED = "locked"
SHARED = " (shared)"


@subcommand("list")
@click.option("--credentials", "only", flag_value="credentials", help="Only the names with a stored key, one a line.")
@click.option("--profiles", "only", flag_value="profiles", help="Only the profiles of the AWS config, one a line.")
@click.option("--sessions", "only", flag_value="sessions", help="Only the live sessions, one a line.")
@click.option("--shared", is_flag=True, help="Only the names whose key is everybody's, one a line.")
@click.option("--unlock", is_flag=True, help="Ask for the passphrase if that is needed to see the stored keys.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(app: App, only: str | None, shared: bool, unlock: bool, as_json: bool) -> None:
    """List profiles, stored keys and sessions.

    The store is opened only if neither a person nor a server has to be asked for that; otherwise Credentials reads
    "locked". --unlock asks, and so do --credentials and --shared, which need the store.

    \b
    --json prints a list of objects with
      profile    its name
      in_config  whether the AWS config has it: either file, but not for a plain key alone
      stored     whether a key is stored for it; null where the store is locked
      shared     whether that key is everybody's; null where the store is locked
      sessions   the live ones: a list of objects with kind and expires (UTC)

    \b
    Example:
      awsv list --unlock
    """
    only = only or ("shared" if shared else None)
    if only and as_json:
        raise UsageError("--json lists everything", hint=f"leave --{only} or --json away")
    app.sweep_aws_files()
    configured = app.aws_config.names()
    if only == "profiles":
        return write_lines(app, configured)
    sessions = list(app.cache.sessions())
    if only == "sessions":
        return write_lines(app, [label(session) for session in sessions])
    stored = stored_names(app, unlock=unlock or only is not None)
    if only is not None:
        return write_lines(app, [name for name, common in (stored or {}).items() if common or not shared])
    names = list(dict.fromkeys([*configured, *(stored or []), *(session.profiles[-1] for session in sessions)]))
    if as_json:
        return app.write_json([entry(name, configured, stored, sessions) for name in names])
    if not names:
        app.note(
            "no profile in the AWS config, and the store was not opened: 'awsv list --unlock' shows what it holds"
            if stored is None
            else "nothing here yet: 'awsv add PROFILE' stores a profile's keys"
        )
    return app.write_table(
        ("Profile", "Credentials", "Sessions"), [row(name, stored, sessions) for name in names] if names else []
    )


def stored_names(app: App, *, unlock: bool) -> Mapping[str, bool] | None:
    """The names with a key, True where it is everybody's; or None where the store is locked, or on a server.

    :param unlock: ask for the passphrase if it takes that, and the server, and fail where the names cannot be had.
    """
    app = app.about("the list of stored keys")
    vault = (app if unlock else app.looking()).vault()
    try:
        return dict(sorted(vault.owners().items()))
    except (PassphraseError, StorageLocked) as error:
        if unlock:
            raise
        if Capability.REMOTE in vault.store.spec.capabilities:
            app.note(f"{error.message}; {error.hint}")
        return None


def write_lines(app: App, names: list[str]) -> None:
    for name in names:
        app.write(output.printable(name))  # a name with a line break must not look like two


def label(session: Session) -> str:
    """aws-vault's words: ``sts.AssumeRole:59m12s``."""
    left = max(int(session.left()), 0)
    hours, minutes, seconds = left // 3600, left % 3600 // 60, left % 60
    return f"{session.kind}:{f'{hours}h' if hours else ''}{minutes}m{seconds}s"


def row(name: str, stored: Mapping[str, bool] | None, sessions: list[Session]) -> tuple[str, str, str]:
    credentials = LOCKED if stored is None else "-"
    if stored is not None and name in stored:
        credentials = name + SHARED if stored[name] else name
    live = ", ".join(label(session) for session in sessions if session.profiles[-1] == name)
    return name, credentials, live or "-"


def entry(
    name: str, configured: list[str], stored: Mapping[str, bool] | None, sessions: list[Session]
) -> dict[str, Any]:
    """One element of ``--json``: ``stored`` is null where the store is locked, ``shared`` true if it is everybody's."""
    return {
        "profile": name,
        "in_config": name in configured,
        "stored": None if stored is None else name in stored,
        "shared": None if stored is None else stored.get(name, False),
        "sessions": [
            {
                "kind": session.kind,
                "expires": timestamp(session.credentials.expires) if session.credentials.expires else None,
            }
            for session in sessions
            if session.profiles[-1] == name
        ],
    }
