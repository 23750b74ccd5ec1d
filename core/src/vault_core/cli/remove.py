"""``awsv remove``: forget a profile's stored key."""

from __future__ import annotations

import click

from vault_core.api import ANY
from vault_core.cli.app import App, profile_name, subcommand
from vault_core.errors import StorageConflict, StorageError


@subcommand("remove")
@click.argument("profile", callback=profile_name)
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(app: App, profile: str, force: bool) -> None:
    """Remove the stored keys of a profile.

    Its sessions are dropped as well; its section of the AWS config stays, and so does the key at AWS.

    \b
    Example:
      awsv remove old-account
    """
    app.host.purpose = f"removing the key of profile {profile}"
    vault = app.vault(profile)
    stored = vault.get(profile)
    if stored is None:
        raise StorageError(
            f"no key is stored for profile {profile!r} in store {vault.store.name!r} ({vault.store.place})",
            hint=app.profiles.suggestions(profile, vault.names()),
        )
    key = stored.credentials
    question = f"Delete the key {key.access_key_id} of profile {profile!r} from the vault?"
    if not force and not app.confirm(question, flag="--force"):
        app.note("nothing was removed")
        return
    try:
        # Only the key that was asked about may go, however long the answer took.
        with app.changing_key(vault, profile) as dropped:
            vault.delete(profile, expect=ANY if force else stored.version)
    except StorageConflict:
        raise StorageConflict(
            f"somebody else changed the key of profile {profile!r} just now; nothing was removed",
            hint=f"awsv remove {profile}, to see what is there now",
        ) from None
    sessions = "1 session" if dropped == [1] else f"{dropped[0]} sessions"
    app.note(f"removed the key {key.access_key_id} of profile {profile!r}, and {sessions} made from it")
