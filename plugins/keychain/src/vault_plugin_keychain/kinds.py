"""The supported keychains, and their names in ``keyring`` and on D-Bus."""

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
MACOS = Kind(
    name="keychain",
    title="the macOS login keychain",
    platform="darwin",
    module="keyring.backends.macOS",
    class_name="Keyring",
    readers="the Python that runs awsv can read its items in the macOS keychain without asking you, and so can every"
    " other script that the same Python runs as you; other programs have to ask you",
)
KINDS = (SECRET_SERVICE, KWALLET, MACOS)
"""The only classes of ``keyring`` in use: none that writes plain text, stores nothing, or chooses another class."""


def own() -> Kind:
    """The keychain of this platform, which is called ``keychain``."""
    return MACOS if sys.platform == MACOS.platform else SECRET_SERVICE
