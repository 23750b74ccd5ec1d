"""What has to be so before ``keyring`` may talk to KWallet: it waits 25 s for a wallet that does not come, and for
ever for one that nobody opens.
"""

from __future__ import annotations

from typing import Any

from jeepney import DBusAddress, DBusErrorResponse

from vault_core.api import Context, StorageLocked, StorageUnavailable
from vault_plugin_keychain import bus as dbus
from vault_plugin_keychain.kinds import KWALLET

_WALLET = DBusAddress("/modules/kwalletd5", bus_name=KWALLET.bus_name, interface="org.kde.KWallet")
"""The same that ``keyring``'s class talks to."""


def check_wallet(ctx: Context) -> None:
    """See that KWallet answers, and that its wallet is open or somebody can be asked to open it.

    :raises StorageUnavailable: it does not answer, or is switched off.
    :raises StorageLocked: the wallet is closed, and nobody can be asked.
    """
    with dbus.connect(ctx, KWALLET.title) as bus:
        bus.require(KWALLET.bus_name, KWALLET.title)
        try:
            if not _answer(bus, "isEnabled"):
                raise StorageUnavailable("KWallet is switched off", hint="switch it on in KDE's system settings")
            wallet = _answer(bus, "networkWallet")
            if not _answer(bus, "isOpen", "s", wallet) and not ctx.can_show_dialog:
                raise StorageLocked(
                    f"the wallet {wallet!r} of KWallet is closed, and nobody can be asked here",
                    hint="open it in your desktop session, then repeat",
                )
        except (TimeoutError, OSError, DBusErrorResponse) as error:
            raise StorageUnavailable(
                f"KWallet does not answer: {type(error).__name__}", hint="look after kwalletd5, or use another store"
            ) from error


def _answer(bus: dbus.Bus, method: str, signature: str | None = None, *arguments: Any) -> Any:
    return bus.call(_WALLET, method, signature, arguments)[0]
