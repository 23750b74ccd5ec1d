"""``awsv clear``: forget sessions."""

from contextlib import suppress

import click

from vault_core.cli.app import App
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.text import counted
from vault_core.errors import StorageError, VaultError


@subcommand("clear")
@click.argument("profile", required=False, callback=profile_name)
@click.pass_obj
def command(app: App, profile: str | None) -> None:
    """Forget sessions: all of them, or those that depend on a profile.

    Afterwards no older session is served to the profile, even if its file cannot be removed. AWS cannot recall
    sessions: anyone with a copy can use it until it expires.

    \b
    Example:
      awsv clear work
    """
    served_from = _served_from(app, profile) if profile is not None else []
    try:
        app.client.generations.advance_all() if profile is None else app.client.generations.advance_profile(profile)
    except OSError as error:
        raise StorageError(
            f"nothing was cleared: {app.settings.state_dir} cannot be written ({error.strerror or error})",
            hint="free some space or make it writable, then repeat the command",
        ) from None
    dropped = app.client.cache.drop(profile, served_from)
    app.write(f"Cleared {dropped.sessions} sessions.")
    if dropped.unreadable:
        found = f"{counted(dropped.unreadable, 'session file')} that this login has no key for"
        if profile is None:
            app.note(f"also removed: {found}")
        else:
            app.note(f"not removed: {found}; none of them is served to {profile!r} any more")


def _served_from(app: App, profile: str) -> list[str]:
    """The cache key of the profile's last step, which can belong to another profile; empty if it cannot be planned.

    Sessions that were made with other flags are stale by the profile's generation all the same.
    """
    from vault_core.sessions.profiles import SessionOptions

    with suppress(VaultError):
        return [app.planner(SessionOptions()).plan(profile).last.cache_key]
    return []
