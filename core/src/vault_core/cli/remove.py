"""``awsv remove``: remove a profile's stored key."""

import click

from vault_core.api import ANY
from vault_core.cli.app import App
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.text import counted
from vault_core.command_line import command_line
from vault_core.errors import Cancelled, StorageConflict, StorageCorrupt, StorageError
from vault_core.storage.vault import Vault


@subcommand("remove")
@click.argument("profile", callback=profile_name)
@click.option("-f", "--force", is_flag=True, help="Do not ask for confirmation.")
@click.option("--shared", is_flag=True, help="Remove the key that all users of the store share, not your own.")
@click.pass_obj
def command(app: App, profile: str, force: bool, shared: bool) -> None:
    """Remove the stored keys of a profile.

    Its sessions are dropped as well. Its section of the AWS config stays, and the key still works at AWS.

    \b
    Example:
      awsv remove old-account
    """
    app = app.about(f"removing the key of profile {profile}")
    vault = app.vault(profile)
    try:
        stored = vault.get(profile, shared=shared)
    except StorageCorrupt:
        if not force:
            raise
        # An unreadable item blocks its name: 'add' replaces nothing in a shared store.
        with app.changing_key(vault, profile):
            vault.delete(profile, shared=shared)
        app.note(f"removed what was stored for profile {profile!r}; it was not a key")
        return
    if stored is None:
        raise _nothing(app, vault, profile, shared)
    key = stored.credentials
    held = f" ({stored.written_by})" if shared and stored.written_by else ""
    whose = "the shared key" if shared else "the key"
    question = f"Delete {whose} {key.access_key_id} of profile {profile!r}{held} from the vault?"
    if not force and not app.confirm(question, flag="--force"):
        raise Cancelled("nothing was removed")
    try:
        # Only the key that the question named may be removed, however long the answer took.
        with app.changing_key(vault, profile) as dropped:
            vault.delete(profile, expect=ANY if force else stored.version, shared=shared)
    except StorageConflict:
        raise StorageConflict(
            f"the key of profile {profile!r} was changed by someone else just now; nothing was removed",
            hint=f"{command_line('awsv remove', profile)}, to see what is there now",
        ) from None
    sessions = counted(dropped[0], "session")
    app.note(f"removed {whose} {key.access_key_id} of profile {profile!r}, and {sessions} made from it")


def _nothing(app: App, vault: Vault, profile: str, shared: bool) -> StorageError:
    message = f"no key is stored for profile {profile!r} in {vault.store}"
    if shared:
        return StorageError(f"{message} as a shared key", hint="omit --shared to remove your own")
    if vault.store.is_shared and vault.get(profile, shared=True) is not None:
        return StorageError(
            f"{message} as your own key: it is a shared one",
            hint=f"{command_line('awsv remove --shared', profile)}, if no one needs it",
        )
    return StorageError(message, hint=app.client.resolver.suggestions(profile, vault.names()))
