"""``awsv passwd``: change the passphrase."""

import click

from vault_core.cli.app import App
from vault_core.cli.descriptors import chooser, descriptor_option, new_passphrase_option, read_line
from vault_core.cli.key_slots import RECOVERY_FD, selected
from vault_core.cli.options import subcommand
from vault_core.errors import Cancelled, QuestionRefused, UsageError
from vault_core.keyslots import unlock
from vault_core.keyslots.ask_until import ask_until
from vault_core.keyslots.manage import KeySlots, passphrase_slot
from vault_core.secret import Secret


@subcommand("passwd")
@click.option("--recovery", is_flag=True, help="Open the store with its recovery key instead of the old passphrase.")
@descriptor_option(RECOVERY_FD, "Read the recovery key from descriptor N.")
@new_passphrase_option
@click.option("--slot", "chosen", metavar="ID", help="With --recovery: the passphrase to change, if there are several.")
@click.pass_obj
def command(
    app: App, recovery: bool, recovery_fd: int | None, new_passphrase_fd: int | None, chosen: str | None
) -> None:
    """Change the passphrase of the store.

    Prompts for the old passphrase, or with --recovery for the recovery key, and twice for the new one. The keys in the
    store do not change. Older copies of the store, such as backups, still open with the old passphrase.

    \b
    Examples:
      awsv passwd
      awsv passwd --recovery
    """
    if not recovery and (recovery_fd is not None or chosen is not None):
        raise UsageError("--recovery-fd and --slot go with --recovery")
    slots = selected(app, "changing the passphrase of store")
    table = slots.table()
    if recovery:
        old = passphrase_slot(table, chosen)
        dek = _open_by_recovery(app, slots, recovery_fd)
    else:
        old, dek = unlock.open_by_passphrase(slots.context, table, slots.file)
    new = slots.new_passphrase(chooser(slots.context, new_passphrase_fd), old.label if old else "")
    slots.replace_passphrase(old, new, dek)
    app.note(f"the passphrase of {slots.where} is changed; older copies of it still open with the old one")
    for name in _delivering(app):
        app.note(f"{name} delivers a passphrase: make sure that it is the new one")


def _open_by_recovery(app: App, slots: KeySlots, number: int | None) -> Secret:
    """The data key, by the recovery key, from a descriptor or a prompt."""
    table, where = slots.table(), slots.where
    if not table.of_type("recovery"):
        table.open_by_recovery(Secret(b""), where)  # raises, before any prompt
    if number is not None:
        return table.open_by_recovery(read_line(number, RECOVERY_FD), where)[1]
    if reason := app.host.cannot_ask():
        raise UsageError(f"prompting for the recovery key is not possible: {reason}", hint=f"give {RECOVERY_FD} N")
    try:
        return ask_until(
            lambda: slots.context.ask(f"Recovery key of {where}: "),
            lambda typed: table.open_by_recovery(typed, where)[1],
            app.note,
        )
    except QuestionRefused:
        raise Cancelled("no recovery key was given; nothing was changed") from None


def _delivering(app: App) -> list[str]:
    """The variables that hold a passphrase, or say where one comes from."""
    return sorted(
        name
        for name in app.settings.environ
        if name.startswith("AWS_VAULT_") and "PASSPHRASE" in name and not name.endswith("PASSPHRASE_SOURCE")
    )
