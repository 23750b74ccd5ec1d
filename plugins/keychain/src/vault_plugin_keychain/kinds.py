"""The supported keychains, and their names in ``keyring`` and on D-Bus."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of the supported keychains."""

    name: str
    """Its entry point; ``keychain`` for macOS, which has no other."""
    title: str
    """Its name in messages."""
    platform: str
    """The :data:`sys.platform` on which it exists."""
    module: str
    class_name: str
    """The class of ``keyring`` in ``module``."""
    readers: str
    """Who can read its items, in one sentence."""
    most: int | None = None
    """The most characters of one item; None: no limit worth naming."""
    bus_name: str = ""
    """The service's name on D-Bus; empty if it is not reached through D-Bus."""
    library: str | None = None
    """A module that ``keyring``'s class needs, and that is not a dependency of ``keyring``."""
    install: str | None = None
    """The hint if the module is missing."""


SECRET_SERVICE = Kind(
    name="secret-service",
    title="the Secret Service",
    platform="linux",
    module="keyring.backends.SecretService",
    class_name="Keyring",
    readers="every program that runs as you can read what the Secret Service keeps, while its collection is unlocked"
    " (usually from login to logout)",
    bus_name="org.freedesktop.secrets",
)
KWALLET = Kind(
    name="kwallet",
    title="KWallet",
    platform="linux",
    module="keyring.backends.kwallet",
    class_name="DBusKeyring",
    readers="every program that runs as you can read what KWallet keeps, while the wallet is open: KWallet trusts"
    " the name that a program gives itself",
    bus_name="org.kde.kwalletd5",
    library="dbus",
    install="install dbus-python for this Python, or use --backend secret-service, which KDE also offers",
)
WINCRED = Kind(
    name="wincred",
    title="the Windows Credential Manager",
    platform="win32",
    module="keyring.backends.Windows",
    class_name="WinVaultKeyring",
    readers="every program that runs as you can read what the Windows Credential Manager keeps while you are logged in",
    # CRED_MAX_CREDENTIAL_BLOB_SIZE (wincred.h) is 2,560 bytes, and keyring writes UTF-16.
    most=1_280,
)
MACOS = Kind(
    name="keychain",
    title="the macOS login keychain",
    platform="darwin",
    module="keyring.backends.macOS",
    class_name="Keyring",
    readers="the Python that runs awsv can read its items in the macOS keychain without asking you, and so can every"
    " other script that the same Python runs as you; other programs have to ask you",
)
KINDS = (SECRET_SERVICE, KWALLET, WINCRED, MACOS)
"""The only classes of ``keyring`` in use: none that writes plain text, stores nothing, or chooses another class."""


def own() -> Kind:
    """The keychain of this platform, which is called ``keychain``."""
    return next((kind for kind in (MACOS, WINCRED) if kind.platform == sys.platform), SECRET_SERVICE)
