"""``awsv slot``: the ways into the store: which there are, one more, one less."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from vault_core.cli.app import App, subcommand
from vault_core.cli.ways import Ways, descriptor, new_passphrase_option
from vault_core.errors import Cancelled, PassphraseError, PluginError, SourceUnavailable, UsageError, VaultError
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.vlt import NewSlot, Slot


@click.group("slot")
def command() -> None:
    """Show, add and remove ways into the store.

    \b
    Example:
      awsv slot list
    """


# -- list --------------------------------------------------------------------------------------------------------------


@subcommand("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """Show the ways into the store; any one of them opens it. Asks nobody.

    \b
    --json prints an object with
      store     the store's name
      recovery  whether there is a recovery key
      slots     a list of objects with id, type (passphrase, key, composite, recovery), label,
                sources (the passphrase sources that it names) and kdf (a list of how each
                passphrase of it is stretched: alg and its cost), in the store's order
    """
    ways = Ways.selected(app, "listing the slots of store")
    slots = ways.table().slots
    if as_json:
        app.write_json(
            {
                "store": ways.context.store,
                "recovery": any(slot.type == "recovery" for slot in slots),
                "slots": [_entry(slot) for slot in slots],
            }
        )
        return
    app.write_table(
        ("Id", "Type", "Opens with", "Label"),
        [(slot.id, slot.type, _opens_with(slot), slot.label or "-") for slot in slots],
    )
    if not any(slot.type == "recovery" for slot in slots):
        app.note("no recovery key: if the passphrase is lost, so is the store ('awsv recovery' makes one)")


def _entry(slot: Slot) -> dict[str, Any]:
    kdfs = [part["kdf"] for part in slot.head.get("factors", [slot.head]) if "kdf" in part]
    costs = [{name: value for name, value in kdf.items() if name != "salt"} for kdf in kdfs]
    return {"id": slot.id, "type": slot.type, "label": slot.label, "sources": slot.sources, "kdf": costs}


def _opens_with(slot: Slot) -> str:
    match slot.type:
        case "passphrase":
            kdf = slot.head["kdf"]
            cost = f", {kdf['m'] // 1024} MiB, {kdf['t']} passes" if kdf["alg"] == "argon2id" else ""
            return f"a passphrase ({kdf['alg']}{cost})"
        case "key":
            return f"a key that {slot.sources[0]} keeps"
        case "composite":
            return f"passphrases from {' and '.join(slot.sources)}"
    return "the recovery key"


# -- add ---------------------------------------------------------------------------------------------------------------


@subcommand("add")
@click.option(
    "--source",
    metavar="NAME",
    help="A random key that this passphrase source keeps; or, if it keeps none, the passphrase that it gives.",
)
@click.option("--passphrase", is_flag=True, help="One more passphrase.")
@click.option("--recovery", is_flag=True, help="A recovery key, as 'awsv recovery' makes it.")
@click.option("--composite", metavar="A,B", help="The passphrases of several sources together.")
@click.option("--label", default="", help="For people; public.")
@new_passphrase_option
@click.option(
    "--recovery-fd",
    metavar="N",
    type=int,
    callback=descriptor(writing=True),
    help="Write the recovery key to descriptor N, from 3 on.",
)
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
    """Add a way into the store. The store is opened by one that is there already.

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
    ways = Ways.selected(app, "adding a way into store")
    if recovery:
        from vault_core.cli.recovery import make

        make(ways, recovery_fd, label)
        return
    given = source is not None and _gives_passphrase(app, source)
    dek = ways.open()
    if source is not None and not given:
        new = _add_kept(ways, dek, source, label)
    else:
        new = _given(ways, source, label) if source else _chosen(ways, composite, label, new_passphrase_fd)
        ways.add(new, dek)
    app.note(f"slot {new.id} opens {ways.where}")
    if not passphrase:  # that is known to who chose it, whatever the settings name
        ways.warn_of_outage({new.id: source} if source and given else {})


def _gives_passphrase(app: App, source: str) -> bool:
    """Whether a source keeps no key, but gives a passphrase of its own accord.

    :raises UsageError: a person gives it.
    """
    spec = app.plugins.load("passphrase", source)
    if spec.interactive and not spec.writable:
        raise UsageError(f"passphrase source {source!r} asks a person and keeps no key", hint="give --passphrase")
    return not spec.writable


def _given(ways: Ways, source: str, label: str) -> NewSlot:
    """A passphrase slot for the passphrase that a source has already; the source's name is its label unless given.

    :raises PassphraseError: that passphrase opens the store as it is.
    """
    from vault_core.keyslots import new_slot
    from vault_core.vlt.derive import slot_key

    table = ways.table()

    def choose(key_id: str, derive: Callable[[Secret], Secret], _source: str | None) -> Secret:
        def new(secret: Secret) -> Secret:
            for slot in table.of_type("passphrase"):
                if slot.fits(slot_key(table.store, slot.head, secret)):
                    raise PassphraseError(
                        f"the passphrase of source {source!r} opens {ways.where} already, by the {slot.describe()}"
                    )
            return derive(secret)

        return ways.context.choose(key_id, new, source)

    return new_slot.passphrase(table.store, choose, cost=new_slot.DEFAULT_COST, label=label or source)


def _chosen(ways: Ways, composite: str | None, label: str, number: int | None) -> NewSlot:
    from vault_core.keyslots import new_slot

    store = ways.table().store
    if composite is None:
        return new_slot.passphrase(store, ways.choose(number), cost=new_slot.DEFAULT_COST, label=label)
    load = ways.app.plugins.load
    names = [name.strip() for name in composite.split(",") if name.strip()]
    # Only the last factor is asked for again when the whole is wrong: that is a person's.
    names.sort(key=lambda name: load("passphrase", name).interactive)
    return new_slot.composite(store, ways.choose(), names, cost=new_slot.DEFAULT_COST, label=label)


def _add_kept(ways: Ways, dek: Secret, source: str, label: str) -> NewSlot:
    """First the source keeps the key, then the slot counts: a slot without its key would be no way in."""
    from vault_core.keyslots import new_slot, rekey

    table = ways.table()
    new = new_slot.key(table.store, ways.context, source, label=label)
    try:
        ways.add(new, dek)
    except VaultError:
        if ways.lacks(new):
            rekey.forget_kept(ways.context, table.store, [new.wrap(dek)])
        raise
    return new


# -- remove ------------------------------------------------------------------------------------------------------------


@subcommand("remove")
@click.argument("slot_id", metavar="ID")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(app: App, slot_id: str, force: bool) -> None:
    """Remove a way into the store; ID may be shortened. The last one stays.

    Older copies of the store, backups say, still open with what is removed.

    \b
    Example:
      awsv slot remove 3f0c
    """
    ways = Ways.selected(app, "removing a way into store")
    table = ways.table()
    slot = table.find(slot_id)
    table.remove(slot.id)  # if that is refused, then before anybody is asked
    dek = ways.open()
    if not force and not app.confirm(f"Remove the {slot.describe()} of {ways.where}?", flag="--force"):
        raise Cancelled("nothing was removed")
    ways.change(lambda now, _key: now.remove(slot.id), dek)
    app.note(f"removed the {slot.describe()} of {ways.where}; older copies of the store still open with it")
    if slot.type == "key":
        _forget(ways, table.store, slot)
    ways.warn_of_outage()


def _forget(ways: Ways, store: bytes, slot: Slot) -> None:
    from vault_core.keyslots.new_slot import lock_name

    try:
        ways.context.forget(slot.sources[0], lock_name(store, slot.id))
    except (PassphraseError, PluginError, SourceUnavailable) as error:
        ways.app.note(f"{slot.sources[0]} may still keep its key, which opens nothing any more: {error.message}")


command.add_command(list_)
command.add_command(add)
command.add_command(remove)
