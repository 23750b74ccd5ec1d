"""``awsv copy``: keys from one store into another, read back and compared."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

import click

from vault_core import output
from vault_core.api import ABSENT
from vault_core.cli.app import App, profile_name, subcommand
from vault_core.cli.moving import write_report
from vault_core.cli.text import counted
from vault_core.errors import PartlyDone, StorageDenied, StorageError, UsageError
from vault_core.importing.copy import Mover, Outcome, compared
from vault_core.importing.scan import Found
from vault_core.keyslots.hints import missing_store
from vault_core.storage.vault import Store, Vault


@subcommand("copy")
@click.argument("profiles", metavar="[PROFILE]...", nargs=-1, callback=profile_name)
@click.option("--from", "source", metavar="STORE", required=True, help="Where the keys are.")
@click.option("--to", "target", metavar="STORE", required=True, help="Where they shall be.")
@click.option("--overwrite", is_flag=True, help="Replace keys there that differ.")
@click.option("--delete-source", is_flag=True, help="Delete each key that arrived from where it was.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
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

    Each key is read back and compared; one that is there already is left alone, so an interrupted copy is repeated.
    A name under which the other store has another key is skipped and named. The other store must be there already.

    \b
    Examples:
      awsv copy --from file --to keychain
      awsv copy --from keychain --to file work --delete-source
    """
    stores = {name: Store.named(app.host, name) for name in (source, target)}
    if _are_one(stores[source], stores[target]):
        raise UsageError(f"{source!r} and {target!r} are one store: {stores[source].place}")
    app.host.purpose = f"copying keys from store {source} to store {target}"
    app.host.attended = output.is_seen() and not app.host.why_nobody_can_be_asked()  # what is copied stays
    here, there = Vault(app.host, stores[source]), Vault(app.host, stores[target])
    _require_made(there)
    found = _found(app, here, profiles)
    mover = Mover(lambda _: there, app.changing_key, overwrite=overwrite, dry_run=dry_run)
    outcomes = list(mover.copy(found.keys))
    again = Vault(app.host, stores[target])
    if not dry_run:
        outcomes = compared(outcomes, lambda _: again)
    if not delete_source or dry_run:
        write_report(app, lambda _: there, found, outcomes, {}, dry_run=dry_run, as_json=as_json)
        return
    deleted = _delete(app, here, again, outcomes)
    app.note(f"deleted {counted(len(deleted), 'key')} from {stores[source].place}")
    write_report(app, lambda _: there, found, outcomes, {}, dry_run=dry_run, as_json=as_json)
    if kept := [repr(one.name) for one in outcomes if one.state.arrived and one.name not in deleted]:
        raise PartlyDone(
            f"changed meanwhile in store {source!r}, and so not deleted there: {', '.join(kept)}",
            hint="repeat the command",
        )


def _are_one(one: Store, other: Store) -> bool:
    """Whether two stores are known to be one; a server that two addresses lead to is not."""
    if one.identity == other.identity or one.place == other.place:
        return True
    with suppress(OSError, ValueError):  # no file, or none yet
        return os.path.samefile(one.place, other.place)  # noqa: PTH121 - a place need be no path
    return False


def _require_made(vault: Vault) -> None:
    """:raises StorageUnavailable: the store does not exist yet, or cannot be reached."""
    with suppress(StorageDenied):  # it has no slots, so awsv does not make it
        if vault.slots() is None:
            raise missing_store(vault.store.context)


def _found(app: App, vault: Vault, profiles: tuple[str, ...]) -> Found:
    """The keys to copy.

    :raises StorageError: none is stored under one of the names.
    """
    found = Found(vault.store.place)
    for name in profiles or list(vault.names()):
        key = vault.get(name)
        if key is None:
            raise StorageError(
                f"no key is stored for profile {name!r} in store {vault.store.name!r} ({vault.store.place})",
                hint=app.profiles.suggestions(name, vault.names()),
            )
        found.keys[name] = key.credentials
    return found


def _delete(app: App, here: Vault, there: Vault, outcomes: Sequence[Outcome]) -> set[str]:
    """Delete what arrived, unless it has changed since it was read; the names of what is gone.

    :raises UsageError: it was deleted in both stores, so they are one; it is back.
    """
    deleted = set()
    for outcome in outcomes:
        if not outcome.state.arrived:
            continue
        with app.changing_key(here, outcome.name):
            if not here.delete_only(outcome.name, outcome.key):
                continue
            if there.get(outcome.name) is None:
                here.put(outcome.name, outcome.key, expect=ABSENT)
                raise UsageError(
                    f"{here.store.place} and {there.store.place} are one store: what is deleted in the one is gone in"
                    f" the other; the key of profile {outcome.name!r} was put back",
                    hint="leave --delete-source away",
                )
        deleted.add(outcome.name)
    return deleted
