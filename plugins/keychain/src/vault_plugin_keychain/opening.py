"""Open the keychain of the chosen kind, and never another."""

import importlib.util
import sys

from vault_core.api import Context, StorageError, StorageUnavailable
from vault_plugin_keychain.keychains import Keychain, KeyringKeychain, isolated, wrapped
from vault_plugin_keychain.kinds import KWALLET, SECRET_SERVICE, Kind

_SYSTEMS = {"linux": "Linux", "darwin": "macOS"}


def why_unavailable(ctx: Context, kind: Kind) -> str | None:
    """Why there is no such keychain here, or None. The keychain is not opened, and may be locked."""
    try:
        _check_platform(kind)
        if kind.bus_name:
            from vault_plugin_keychain import bus

            with bus.connect(ctx, kind.title) as connection:
                connection.runs(kind.bus_name, kind.title)
        if kind.library and importlib.util.find_spec(kind.library) is None:
            return f"{kind.title} needs a library that is not installed here: {kind.install}"
    except StorageError as error:
        return error.message
    return None


def open_keychain(ctx: Context, kind: Kind, service: str) -> Keychain:
    """Open the keychain of this kind.

    :raises StorageUnavailable: it does not exist on this platform, or a library is not installed.
    """
    _check_platform(kind)
    if kind is SECRET_SERVICE:
        from vault_plugin_keychain.secret_service import SecretService

        return SecretService(ctx, service)
    if kind is KWALLET:
        from vault_plugin_keychain.kwallet import check_wallet

        check_wallet(ctx)
    with wrapped(kind, "open"):
        return KeyringKeychain(kind, service, isolated(kind)())


def _check_platform(kind: Kind) -> None:
    if sys.platform != kind.platform:
        ours, theirs = _SYSTEMS.get(sys.platform, sys.platform), _SYSTEMS[kind.platform]
        raise StorageUnavailable(
            f"{kind.title} is a part of {theirs}, and this is {ours}", hint="choose another store with --backend"
        )
