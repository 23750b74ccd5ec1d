"""``awsv slot``: list, add and remove key slots, the ways to unlock the store."""

import click

from vault_core.cli.app import App
from vault_core.cli.descriptors import chooser, descriptor_option, new_passphrase_option
from vault_core.cli.key_slots import RECOVERY_FD, recovery_delivery, selected
from vault_core.cli.options import subcommand
from vault_core.errors import Cancelled, UsageError
from vault_core.keyslots.manage import SlotSummary


@click.group("slot")
def command() -> None:
    """Manage the ways to unlock the store.

    \b
    Example:
      awsv slot list
    """


@subcommand("list", of=command)
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """List the ways to unlock the store. Any one of them opens it. Never prompts.

    \b
    --json prints an object with
      store     the store's name
      recovery  whether there is a recovery key
      slots     a list of objects with id, type (passphrase, key, composite, recovery), label,
                sources (the passphrase sources that it names) and kdf (a list of how each
                passphrase of it is stretched: alg and its cost), in the store's order
    """
    listed = selected(app, "listing the slots of store").list()
    if as_json:
        app.write_json(listed)
        return
    app.write_table(
        ("Id", "Type", "Opens with", "Label"),
        [(slot.id, slot.type, _opens_with(slot), slot.label or "-") for slot in listed.slots],
    )
    if not listed.recovery:
        app.note("no recovery key: if the passphrase is lost, so is the store ('awsv recovery' makes one)")


def _opens_with(slot: SlotSummary) -> str:
    match slot.type:
        case "passphrase":
            kdf = slot.kdf[0]
            cost = f", {kdf['m'] // 1024} MiB, {kdf['t']} passes" if kdf["alg"] == "argon2id" else ""
            return f"a passphrase ({kdf['alg']}{cost})"
        case "key":
            return f"a key that {slot.sources[0]} keeps"
        case "composite":
            return f"passphrases from {' and '.join(slot.sources)}"
    return "the recovery key"


@subcommand("add", of=command)
@click.option(
    "--source",
    metavar="NAME",
    help="A random key that this passphrase source keeps, or the source's own passphrase if it keeps no keys.",
)
@click.option("--passphrase", is_flag=True, help="One more passphrase.")
@click.option("--recovery", is_flag=True, help="A recovery key, as 'awsv recovery' makes it.")
@click.option("--composite", metavar="A,B", help="The passphrases of several sources together.")
@click.option("--label", default="", help="A label for people. It is not secret.")
@new_passphrase_option
@descriptor_option(RECOVERY_FD, "Write the recovery key to descriptor N (3 or higher).", writing=True)
@click.pass_obj
def add(
    app: App,
    source: str | None,
    passphrase: bool,
    recovery: bool,
    composite: str | None,
    label: str,
    new_passphrase_fd: int | None,
    recovery_fd: int | None,
) -> None:
    """Add a way to unlock the store. The store is first unlocked in one of the existing ways.

    \b
    Examples:
      awsv slot add --source keychain --label laptop
      awsv slot add --source ssm
      awsv slot add --composite ssm,prompt
    """
    if sum((source is not None, passphrase, recovery, composite is not None)) != 1:
        raise UsageError("give one of --source, --passphrase, --recovery and --composite", hint="awsv slot add --help")
    if (recovery_fd is not None and not recovery) or (new_passphrase_fd is not None and not passphrase):
        raise UsageError("--recovery-fd goes with --recovery, and --new-passphrase-fd with --passphrase")
    slots = selected(app, "adding a way to unlock store")
    if recovery:
        from vault_core.keyslots.recovery_key import make

        deliver = recovery_delivery(app, slots, recovery_fd)
        make(slots, slots.open(), deliver, label)
        return
    has_passphrase = source is not None and slots.has_passphrase(source)
    dek = slots.open()
    if source is not None and not has_passphrase:
        new = slots.add_key(source, dek, label)
    else:
        if source is not None:
            new = slots.new_from_source(source, label)
        elif composite is not None:
            new = slots.new_composite([name.strip() for name in composite.split(",") if name.strip()], label)
        else:
            new = slots.new_passphrase(chooser(slots.context, new_passphrase_fd), label)
        slots.add(new, dek)
    app.note(f"slot {new.id} opens {slots.where}")
    if not passphrase:  # the user knows where that one is kept, whatever the settings name
        slots.warn_of_outage({new.id: source} if source and has_passphrase else {})


@subcommand("remove", of=command)
@click.argument("slot_id", metavar="ID")
@click.option("-f", "--force", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def remove(app: App, slot_id: str, force: bool) -> None:
    """Remove a way to unlock the store. ID may be shortened. The last way cannot be removed.

    Older copies of the store, such as backups, still open with the slot that is removed.

    \b
    Example:
      awsv slot remove 3f0c
    """
    slots = selected(app, "removing a way to unlock store")
    table = slots.table()
    slot = table.find(slot_id)
    table.remove(slot.id)  # raises before any prompt
    dek = slots.open()
    if not force and not app.confirm(f"Remove the {slot.describe()} of {slots.where}?", flag="--force"):
        raise Cancelled("nothing was removed")
    slots.remove(slot, dek)
    app.note(f"removed the {slot.describe()} of {slots.where}; older copies of the store still open with it")
    slots.warn_of_outage()
