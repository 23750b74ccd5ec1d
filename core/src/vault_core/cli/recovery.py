"""``awsv recovery``: make a recovery key; and what offers one when a store is made.

A recovery key is shown at the controlling terminal, or written to a descriptor that the caller opened for it, and
nowhere else. Its slot counts only after its last group was typed back: a key that nobody wrote down is no way in.
"""

from __future__ import annotations

import click

from vault_core.cli.app import App, subcommand
from vault_core.cli.ways import Ways, descriptor, write_line
from vault_core.errors import (
    Cancelled,
    PassphraseError,
    QuestionRefused,
    SourceUnavailable,
    UsageError,
    VaultError,
)
from vault_core.plugins.host import HostContext
from vault_core.secret import Secret
from vault_core.vlt import SlotKeeper

_TRIES = 3
_OPTION = "--recovery-fd"


@subcommand("recovery")
@click.option(
    _OPTION,
    "number",
    metavar="N",
    type=int,
    callback=descriptor(writing=True),
    help="Write the key to descriptor N, from 3 on, where there is no terminal.",
)
@click.option("--label", default="", help="For people; public.")
@click.pass_obj
def command(app: App, number: int | None, label: str) -> None:
    """Make a recovery key: a second way into the store, for when the passphrase is lost.

    It is shown once, at this terminal, to be written down; its last group is typed back. Whoever has it opens the
    store: 'awsv passwd --recovery' chooses a new passphrase with it.

    \b
    Examples:
      awsv recovery
      (umask 077; awsv recovery --recovery-fd 3 3>~/awsv-recovery)
    """
    make(Ways.selected(app, "making a recovery key for store"), number, label)


def make(ways: Ways, number: int | None, label: str = "") -> None:
    """Open the store, make a recovery key, have it written down, then let it count.

    :param number: an own descriptor to write it to; None: the controlling terminal.
    :raises Cancelled: the person did not type the last group; nothing was changed.
    """
    reason = ways.app.host.why_nobody_can_be_asked() if number is None else None
    if reason:
        raise UsageError(f"nobody can be shown a recovery key: {reason}", hint=f"give {_OPTION} N")
    _make(ways, ways.open(), number, label)


def lacks_store(keeper: SlotKeeper) -> bool:
    """Whether the store is still to be made. Asks nobody; a store without slots, or one in trouble, is none to make."""
    try:
        return keeper.slots() is None
    except VaultError:
        return False


def offer(app: App, context: HostContext, keeper: SlotKeeper) -> None:
    """The store was just made: offer a recovery key to the person at the terminal, if there is one.

    Whatever is answered, Ctrl-C included, the store is as usable as before.
    """
    ways = Ways(app, context, keeper)
    if not app.host.why_nobody_can_be_asked():
        _offer(ways)
    ways.warn_of_outage()


def _offer(ways: Ways) -> None:
    app, terminal = ways.app, ways.app.host.terminal
    terminal.write("\nIf the passphrase is lost, nobody can open this store: not even who wrote awsv.\n")
    try:
        if terminal.confirm("Make a recovery key, to be kept on paper?", default=True):
            _make(ways, ways.open(), None, "")
            return
    except (Cancelled, PassphraseError, SourceUnavailable) as error:
        app.note(error.message)
    app.note(f"{ways.where} has no recovery key; 'awsv recovery' makes one")


def _make(ways: Ways, dek: Secret, number: int | None, label: str) -> None:
    from vault_core.keyslots import new_slot

    table = ways.table()
    new, text = new_slot.recovery(table.store, label=label)
    table.add(dek, new)  # if that is refused, then before anything is written down
    if number is None:
        _show(ways, text)
    else:
        write_line(number, text, _OPTION)
    try:
        ways.add(new, dek)
    except VaultError:
        if ways.lacks(new):
            ways.app.note("the recovery key just shown does not count: destroy it")
        else:
            ways.app.note(
                f"the recovery key just shown counts if 'awsv slot list' shows slot {new.id}: keep it till then"
            )
        raise
    made = len(table.of_type("recovery")) + 1
    others = f"; {made} of them open it now ('awsv slot list')" if made > 1 else ""
    ways.app.note(f"the recovery key opens {ways.where}{others}")


def _show(ways: Ways, text: Secret) -> None:
    """Show the key and have its last group typed back."""
    from vault_core.vlt import recovery

    terminal = ways.app.host.terminal
    groups = text.reveal_text().split("-")
    lines = "".join(f"    {'-'.join(groups[at : at + 7])}\n" for at in range(0, len(groups), 7))
    terminal.write(
        f"\nThe recovery key of {ways.where}:\n\n{lines}\n"
        "Write it down and keep it away from this machine. It is not shown again, and whoever has it opens the store.\n"
    )
    try:
        for _ in range(_TRIES):
            typed = terminal.ask("Its last group, to show that you have it: ", secret=False)
            if recovery.same_group(recovery.last_group(text), typed):
                return
            terminal.write("That is not its last group.\n")
    except QuestionRefused as error:
        raise Cancelled(f"{error.message}: the recovery key does not count, and nothing was changed") from None
    raise Cancelled("the last group was wrong three times: the recovery key does not count, and nothing was changed")
