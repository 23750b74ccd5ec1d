"""Make a recovery key, show it, and offer one when a store is made.

A recovery key is shown at the controlling terminal, or written to a descriptor that the caller opened for it, and
nowhere else. At the terminal its slot is added only after the user has typed its last group.
"""

from collections.abc import Callable

from vault_core.asking import Prompter
from vault_core.errors import Cancelled, PassphraseError, QuestionRefused, SourceUnavailable, VaultError, WrongSecret
from vault_core.keyslots import new_slot
from vault_core.keyslots.ask_until import ask_until
from vault_core.keyslots.manage import KeySlots
from vault_core.secret import Secret
from vault_core.vlt import recovery

_PER_LINE = 7
"""Groups."""


def make(slots: KeySlots, dek: Secret, deliver: Callable[[Secret], None], label: str = "") -> None:
    """Make a recovery key for the opened store, deliver it, then add its slot.

    :param dek: the data key.
    :param deliver: shows or writes the key; the slot is not added if it raises.
    :raises StorageError: the store takes no further slot; nothing was delivered.
    """
    table = slots.table()
    new, text = new_slot.recovery(table.store, label=label)
    table.add(dek, new)  # raises before anything is delivered
    deliver(text)
    try:
        slots.add(new, dek)
    except VaultError:
        if slots.lacks(new):
            slots.context.notify("the recovery key just shown is not valid: destroy it")
        else:
            slots.context.notify(
                f"keep the recovery key just shown: it is valid if 'awsv slot list' shows slot {new.id}"
            )
        raise
    made = len(table.of_type("recovery")) + 1
    others = f"; {made} recovery keys open it now ('awsv slot list')" if made > 1 else ""
    slots.context.notify(f"the recovery key opens {slots.where}{others}")


def show(slots: KeySlots, terminal: Prompter, text: Secret) -> None:
    """Show the key, and have the user type its last group.

    :raises Cancelled: the user did not.
    """
    groups = text.reveal_text().split("-")
    starts = range(0, len(groups), _PER_LINE)
    lines = "".join(f"    {'-'.join(groups[start : start + _PER_LINE])}\n" for start in starts)
    terminal.write(
        f"\nThe recovery key of {slots.where}:\n\n{lines}\n"
        "Write it down and keep it away from this machine. It is not shown again, and anyone who has it can open the"
        " store.\n"
    )

    def confirmed(typed: Secret) -> None:
        if not recovery.same_group(recovery.last_group(text), typed):
            raise WrongSecret("that is not its last group")

    unchanged = "the recovery key is not valid, and nothing was changed"
    try:
        ask_until(
            lambda: terminal.ask("Type the last group to confirm you wrote it down: ", secret=False),
            confirmed,
            lambda message: terminal.write(f"{message.capitalize()}.\n"),
        )
    except QuestionRefused as error:
        raise Cancelled(f"{error.message}: {unchanged}") from None
    except WrongSecret:
        raise Cancelled(f"the last group was wrong three times: {unchanged}") from None


def offer(slots: KeySlots, terminal: Prompter | None) -> None:
    """Offer a recovery key for a store that was just made. Whatever the user answers, the store stays usable.

    :param terminal: None where there is none to prompt on.
    """
    if terminal is not None:
        _offer(slots, terminal)
    slots.warn_of_outage()


def _offer(slots: KeySlots, terminal: Prompter) -> None:
    terminal.write("\nIf the passphrase is lost, no one can open this store, not even the authors of awsv.\n")
    try:
        if terminal.confirm("Create a recovery key to keep on paper?", default=True):
            make(slots, slots.open(), lambda text: show(slots, terminal, text))
            return
    except (Cancelled, PassphraseError, SourceUnavailable) as error:
        slots.context.notify(error.message)
    slots.context.notify(f"{slots.where} has no recovery key; 'awsv recovery' makes one")
