"""A check before ``keyring`` uses KWallet: it would wait 25 s for a service that does not answer, and for ever for a
wallet that the user does not open.
"""

from typing import Any

from jeepney import DBusAddress

from vault_core.api import Context, StorageLocked, StorageUnavailable
from vault_plugin_keychain import bus as dbus
from vault_plugin_keychain.kinds import KWALLET

_WALLET = DBusAddress("/modules/kwalletd5", bus_name=KWALLET.bus_name, interface="org.kde.KWallet")
"""The object that ``keyring``'s class uses."""


def check_wallet(ctx: Context) -> None:
    """Check that KWallet answers, and that its wallet is open, or that a dialog to open it can be shown.

    :raises StorageUnavailable: it does not answer, or is switched off.
    :raises StorageLocked: the wallet is closed, and no dialog can be shown.
    """
    with dbus.connect(ctx, KWALLET.title) as bus:
        bus.require(KWALLET.bus_name, KWALLET.title)
        with dbus.explained(KWALLET.title, KWALLET.bus_name):
            if not _answer(bus, "isEnabled"):
                raise StorageUnavailable("KWallet is switched off", hint="switch it on in KDE's system settings")
            wallet = _answer(bus, "networkWallet")
            if not _answer(bus, "isOpen", "s", wallet) and not ctx.can_show_dialog:
                raise StorageLocked(
                    f"the wallet {wallet!r} of KWallet is closed, and no dialog can be shown here",
                    hint="open it in your desktop session, then try again",
                )


def _answer(bus: dbus.Bus, method: str, signature: str | None = None, *arguments: Any) -> Any:
    return bus.call(_WALLET, method, signature, arguments)[0]
