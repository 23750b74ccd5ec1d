"""``awsv passwd``: choose another passphrase. The old one opens until the new one does, and from then on no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vault_core.cli.app import App, subcommand
from vault_core.cli.ways import Ways, descriptor, new_passphrase_option, read_line
from vault_core.errors import Cancelled, PassphraseError, QuestionRefused, UsageError
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.vlt import Slot, SlotTable

_TRIES = 3


@subcommand("passwd")
@click.option("--recovery", is_flag=True, help="Open the store with its recovery key instead of the old passphrase.")
@click.option(
    "--recovery-fd", metavar="N", type=int, callback=descriptor(), help="Read the recovery key from descriptor N."
)
@new_passphrase_option
@click.option("--slot", "chosen", metavar="ID", help="The passphrase to change, where a recovery key opens several.")
@click.pass_obj
def command(
    app: App, recovery: bool, recovery_fd: int | None, new_passphrase_fd: int | None, chosen: str | None
) -> None:
    """Change the passphrase of the store.

    Asks for the old passphrase, or with --recovery for the recovery key, and twice for the new one. The keys in the
    store stay as they are. Older copies of the store, backups say, still open with the old passphrase.

    \b
    Examples:
      awsv passwd
      awsv passwd --recovery
    """
    from vault_core.keyslots import new_slot, unlock

    if not recovery and (recovery_fd is not None or chosen is not None):
        raise UsageError("--recovery-fd and --slot go with --recovery")
    ways = Ways.selected(app, "changing the passphrase of store")
    table = ways.table()
    old = _passphrase_slot(table, chosen) if recovery else None
    if recovery:
        dek = _open_by_recovery(ways, table, recovery_fd)
    else:
        old, dek = unlock.open_by_passphrase(ways.context, table, ways.file)
    new = new_slot.passphrase(
        table.store, ways.choose(new_passphrase_fd), cost=new_slot.DEFAULT_COST, label=old.label if old else ""
    )
    if old is None:
        ways.add(new, dek)
    else:
        replaced = old.id
        ways.change(lambda now, key: now.replace(key, replaced, new), dek)
    app.note(f"the passphrase of {ways.where} is changed; older copies of it still open with the old one")
    for name in _delivered(app):
        app.note(f"{name} delivers a passphrase: see that it is the new one")


def _passphrase_slot(table: SlotTable, chosen: str | None) -> Slot | None:
    """The slot to change; None where a passphrase is to be added, as there is none.

    :raises UsageError: it is not clear which one is meant.
    """
    slots = table.of_type("passphrase")
    if chosen is not None:
        found = table.find(chosen)
        if found not in slots:
            raise UsageError(f"{found.describe()} has no passphrase to change", hint="awsv slot list")
        return found
    if len(slots) > 1:
        raise UsageError(
            f"the store has {len(slots)} passphrases: which one shall be changed?",
            hint="'awsv slot list' shows them; give --slot ID",
        )
    return slots[0] if slots else None


def _open_by_recovery(ways: Ways, table: SlotTable, number: int | None) -> Secret:
    """The data key, by the recovery key; a person may try three times."""
    if not table.of_type("recovery"):
        table.open_by_recovery(Secret(b""), ways.where)  # tells that there is none, before anybody is asked
    if number is not None:
        return table.open_by_recovery(read_line(number, "--recovery-fd"), ways.where)[1]
    reason = ways.app.host.why_nobody_can_be_asked()
    if reason:
        raise UsageError(f"nobody can be asked for the recovery key: {reason}", hint="give --recovery-fd N")
    for left in reversed(range(_TRIES)):
        try:
            typed = ways.context.ask(f"Recovery key of {ways.where}: ")
            return table.open_by_recovery(typed, ways.where)[1]
        except QuestionRefused:
            raise Cancelled("no recovery key was given; nothing was changed") from None
        except PassphraseError as error:
            if not left:
                raise
            ways.app.note(error.message)
    raise AssertionError("unreachable")


def _delivered(app: App) -> list[str]:
    """The variables that hold a passphrase, or say where one comes from."""
    return sorted(
        name
        for name in app.settings.environ
        if name.startswith("AWS_VAULT_") and "PASSPHRASE" in name and not name.endswith("PASSPHRASE_SOURCE")
    )
