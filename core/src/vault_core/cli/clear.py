"""``awsv clear``: forget sessions."""

from __future__ import annotations

from contextlib import suppress

import click

from vault_core.cli.app import App, profile_name, subcommand
from vault_core.cli.text import counted
from vault_core.errors import StorageError, VaultError


@subcommand("clear")
@click.argument("profile", required=False, callback=profile_name)
@click.pass_obj
def command(app: App, profile: str | None) -> None:
    """Forget sessions: all of them, or those that depend on a profile.

    Nothing that was made before is served to the profile afterwards, even where it cannot be read and removed. AWS
    does not take sessions back: who has a copy can use it until it ends.

    \b
    Example:
      awsv clear work
    """
    served_from = _served_from(app, profile) if profile is not None else []
    try:
        app.generations.advance_all() if profile is None else app.generations.advance_profile(profile)
    except OSError as error:
        raise StorageError(
            f"nothing was cleared: {app.settings.state_dir} cannot be written ({error.strerror or error})",
            hint="make room or make it writable, then repeat the command",
        ) from None
    dropped = app.cache.drop(profile, served_from)
    app.write(f"Cleared {dropped.sessions} sessions.")
    if dropped.unreadable:
        found = f"{counted(dropped.unreadable, 'session file')} that this login has no key for"
        if profile is None:
            app.note(f"also removed: {found}")
        else:
            app.note(f"left: {found}; whosever they are, nothing in them is served to {profile!r} any more")


def _served_from(app: App, profile: str) -> list[str]:
    """The step that the profile is served from, which may have been made for another; nothing where none is known.

    What cannot be planned, or was made with other flags, is stale by the profile's generation all the same.
    """
    from vault_core.sessions.profiles import SessionOptions

    with suppress(VaultError):
        return [app.planner(SessionOptions()).plan(profile).last.cache_key]
    return []
