"""``awsv copy``: copy keys from one store to another, read them back and compare them."""

import os
from collections.abc import Mapping
from contextlib import suppress

import click

from vault_core import output
from vault_core.api import ABSENT, Credentials, ImportScan
from vault_core.cli.app import App
from vault_core.cli.importing import show
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.text import counted
from vault_core.errors import PartlyDone, StorageDenied, StorageError, UsageError
from vault_core.importing.copy import import_scan
from vault_core.importing.vaults import Vaults
from vault_core.keyslots.hints import missing_store
from vault_core.storage.vault import Store, Vault


@subcommand("copy")
@click.argument("profiles", metavar="[PROFILE]...", nargs=-1, callback=profile_name)
@click.option("--from", "source", metavar="STORE", required=True, help="Store to copy from.")
@click.option("--to", "target", metavar="STORE", required=True, help="Store to copy to.")
@click.option("--overwrite", is_flag=True, help="Replace keys in the target store that differ.")
@click.option("--delete-source", is_flag=True, help="Delete each copied key from the source store.")
@click.option("-n", "--dry-run", is_flag=True, help="Print what would be done and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def command(
    app: App,
    profiles: tuple[str, ...],
    source: str,
    target: str,
    overwrite: bool,
    delete_source: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy keys from one store to another: all of them, or those of the profiles.

    Each key is read back and compared. Keys that are already there do not change, so an interrupted copy can be
    repeated. A name with a different key in the target store is skipped and reported. The target store must exist.

    \b
    Examples:
      awsv copy --from file --to keychain
      awsv copy --from keychain --to file work --delete-source
    """
    attended = output.is_seen() and not app.host.cannot_ask()  # a copy is kept
    app = app.about(f"copying keys from store {source} to store {target}", attended=attended)
    stores = {name: Store.named(app.host, name) for name in (source, target)}
    if _are_one(stores[source], stores[target]):
        raise UsageError(f"{source!r} and {target!r} are the same store: {stores[source].place}")
    vaults = Vaults(lambda _profile: Vault(app.host, stores[target]), is_new=lambda _vault: False)
    here, there = Vault(app.host, stores[source]), vaults(target)
    _require_made(there)
    found = _found(app, here, profiles)
    with app.client.key_changes.changing_keys() as changing:
        report = import_scan(found, vaults, changing, overwrite=overwrite, dry_run=dry_run)
    deleting = delete_source and not dry_run
    arrived = {key.profile: found.keys[key.profile] for key in report.arrived} if deleting else {}
    deleted = _delete(app, here, there, arrived)
    if deleting:
        app.note(f"deleted {counted(len(deleted), 'key')} from {stores[source].place}")
    if failure := show(app, report, as_json=as_json):
        raise failure
    if kept := [repr(name) for name in arrived if name not in deleted]:
        raise PartlyDone(
            f"not deleted from store {source!r}, as they were changed there: {', '.join(kept)}",
            hint="repeat the command",
        )


def _are_one(one: Store, other: Store) -> bool:
    """Whether two stores are known to be the same; one server with two addresses is not recognised."""
    if one.identity == other.identity or one.place == other.place:
        return True
    with suppress(OSError, ValueError):  # not a file, or not there yet
        return os.path.samefile(one.place, other.place)  # noqa: PTH121 - a place need be no path
    return False


def _require_made(vault: Vault) -> None:
    """:raises StorageUnavailable: the store does not exist yet, or cannot be reached."""
    with suppress(StorageDenied):  # it has no slots, so awsv does not make it
        if vault.slots() is None:
            raise missing_store(vault.store.context)


def _found(app: App, vault: Vault, profiles: tuple[str, ...]) -> ImportScan:
    """The keys to copy.

    :raises StorageError: there is no key for one of the profiles.
    """
    found = ImportScan(vault.store.place)
    for name in profiles or list(vault.names()):
        key = vault.get(name)
        if key is None:
            raise StorageError(
                f"no key is stored for profile {name!r} in {vault.store}",
                hint=app.client.resolver.suggestions(name, vault.names()),
            )
        found.keys[name] = key.credentials
    return found


def _delete(app: App, here: Vault, there: Vault, keys: Mapping[str, Credentials]) -> set[str]:
    """Delete the copied keys that have not changed since they were read, and return their names.

    :raises UsageError: a key was gone from both stores, so they are the same; it was put back.
    """
    deleted = set()
    with app.client.key_changes.changing_keys() as changing:
        for name, key in keys.items():
            with changing(here, name):
                if not here.delete_only(name, key):
                    continue
                if there.get(name) is None:
                    here.put(name, key, expect=ABSENT)
                    raise UsageError(
                        f"{here.store.place} and {there.store.place} are the same store: a key that is deleted from one"
                        f" is gone from the other; the key of profile {name!r} was put back",
                        hint="omit --delete-source",
                    )
            deleted.add(name)
    return deleted
