"""How ``slot``, ``passwd``, ``recovery`` and the commands that make stores get to the key slots."""

from collections.abc import Callable

from vault_core.cli.app import App
from vault_core.errors import UsageError
from vault_core.keyslots.manage import KeySlots
from vault_core.plugins.host import HostContext
from vault_core.secret import Secret
from vault_core.vlt import SlotKeeper

RECOVERY_FD = "--recovery-fd"


def of_store(app: App, context: HostContext, keeper: SlotKeeper, place: str | None = None) -> KeySlots:
    """The key slots of an open store."""
    host = app.host
    return KeySlots(context, keeper, lambda name: host.plugins.load("passphrase", name), host.state.forget_keys, place)


def selected(app: App, purpose: str) -> KeySlots:
    """The key slots of the store that the settings name.

    :param purpose: what the command does to the store, for the line above a prompt.
    """
    vault = app.about(f"{purpose} {app.settings.value('backend').text}").vault()
    return of_store(app, vault.store.context, vault, vault.store.place if vault.store.spec.locate else None)


def recovery_delivery(app: App, slots: KeySlots, number: int | None) -> Callable[[Secret], None]:
    """Delivers a recovery key.

    :param number: the descriptor to write it to; None: the controlling terminal.
    :raises UsageError: there is no terminal to show it on.
    """
    from vault_core.cli.descriptors import write_line
    from vault_core.keyslots.recovery_key import show

    if number is not None:
        return lambda text: write_line(number, text, RECOVERY_FD)
    if reason := app.host.cannot_ask():
        raise UsageError(f"a recovery key cannot be shown: {reason}", hint=f"give {RECOVERY_FD} N")
    return lambda text: show(slots, app.host.terminal, text)


def offer_recovery(app: App, context: HostContext, keeper: SlotKeeper) -> None:
    """Offer a recovery key for a store that was just made, if there is a terminal."""
    from vault_core.keyslots.recovery_key import offer

    offer(of_store(app, context, keeper), None if app.host.cannot_ask() else app.host.terminal)
