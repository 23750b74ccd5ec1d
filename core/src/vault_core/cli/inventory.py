"""``awsv inventory``: what a thief of this machine would have."""

from __future__ import annotations

import click

from vault_core.cli.app import App
from vault_core.cli.options import subcommand
from vault_core.errors import PartlyDone
from vault_core.rotation.inventory import Inventory, InventoryKey


@subcommand("inventory")
@click.option("--check", is_flag=True, help="Ask AWS who each stored key belongs to.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON, which 'awsv revoke' reads.")
@click.pass_obj
def command(app: App, check: bool, as_json: bool) -> None:
    """List what a thief of this machine would have. Prints no secret.

    Every store that the settings or a profile name is opened, which may prompt. Keep the JSON on another machine: it is
    what 'awsv revoke' needs there. If a store cannot be read, the rest is printed, and the exit code is 7.

    \b
    --json prints an object with
      version   of this form: 1
      made      when (UTC)
      stores    a list of objects with store, place, and reason: why its keys are missing, or null
      keys      a list of objects with
        key         its id
        store       the name of its store; null: the secret is in an AWS file, unencrypted
        place       the path or URL of the store, or the file
        names       under which it is stored
        shared      whether the users of the store share it
        account, user, user_arn
                    of the IAM user; null where not known
        known_from  aws (--check), journal (of a rotation) or null: where account and user are from
        reason      why --check got no answer, or null
        profiles    that start from it: a list of objects with profile and roles (their ARNs, the first one first)
      sessions  the live ones: a list of objects with kind, profile and expires (UTC)

    \b
    Example:
      awsv inventory --check --json >inventory.json
    """
    inventory = app.client.inventory(check=check, asking=app.about("the inventory of stored keys").asking)
    if as_json:
        app.write_json(inventory)
    else:
        _write_tables(app, inventory)
    for key in inventory.keys:
        if key.owner.reason is not None:
            app.note(f"{key.key}: {key.owner.reason}")
    missing = [one for one in inventory.stores if one.reason is not None]
    if missing:
        shown = "; ".join(f"store {one.store!r} ({one.place}): {one.reason}" for one in missing)
        raise PartlyDone(f"the inventory is not complete: {shown}", hint="repair or unlock that, then repeat")


def _write_tables(app: App, inventory: Inventory) -> None:
    app.write_table(("Key", "Stored in", "Name", "Account", "User", "Roles"), [_row(key) for key in inventory.keys])
    if inventory.sessions:
        app.write("")
        rows = [
            (one.profile, one.kind, f"{one.expires:%Y-%m-%d %H:%M} UTC") for one in inventory.sessions if one.expires
        ]
        app.write_table(("Session of", "Kind", "Until"), rows)


def _row(key: InventoryKey) -> tuple[str, ...]:
    roles = dict.fromkeys(role for use in key.profiles for role in use.roles)
    return (
        key.key,
        f"{key.place} (unencrypted)" if key.store is None else key.store,
        ", ".join(key.names) + (" (shared)" if key.shared else ""),
        key.owner.account or "-",
        key.owner.user or key.owner.user_arn or "-",
        ", ".join(roles) or "-",
    )
