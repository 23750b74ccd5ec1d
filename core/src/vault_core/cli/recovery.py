"""``awsv recovery``: make a recovery key."""

import click

from vault_core.cli.app import App
from vault_core.cli.descriptors import descriptor_option
from vault_core.cli.key_slots import RECOVERY_FD, recovery_delivery, selected
from vault_core.cli.options import subcommand
from vault_core.keyslots.recovery_key import make


@subcommand("recovery")
@descriptor_option(
    RECOVERY_FD, "Write the key to descriptor N (3 or higher) instead of showing it at the terminal.", writing=True
)
@click.option("--label", default="", help="A label for people. It is not secret.")
@click.pass_obj
def command(app: App, recovery_fd: int | None, label: str) -> None:
    """Make a recovery key: it opens the store if the passphrase is lost.

    The key is shown once, at this terminal. Write it down, then type its last group. Anyone who has it can open the
    store: 'awsv passwd --recovery' sets a new passphrase with it.

    \b
    Examples:
      awsv recovery
      (umask 077; awsv recovery --recovery-fd 3 3>~/awsv-recovery)
    """
    slots = selected(app, "making a recovery key for store")
    deliver = recovery_delivery(app, slots, recovery_fd)
    make(slots, slots.open(), deliver, label)
