"""The kinds of keychains, and what ``keyring`` and D-Bus call each."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of the four keychains that there are."""

    name: str
    """Its entry point, and for macOS, which has none of its own, ``keychain``."""
    title: str
    platform: str
    """What :data:`sys.platform` is where it exists."""
    module: str
    class_name: str
    """Where ``keyring`` has it."""
    readers: str
    """Who can read what it keeps, in one sentence."""
    bus_name: str = ""
    """The service's name on D-Bus, where it is reached so."""
    library: str | None = None
    """The module that ``keyring``'s class needs and ``keyring`` does not bring along."""
    install: str | None = None
    """What to do where that is missing."""


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
    readers="every program that runs as you can read what KWallet keeps, while the wallet is open: KWallet goes by"
    " the name that a program gives itself",
    bus_name="org.kde.kwalletd5",
    library="dbus",
    install="install dbus-python for this Python, or use --backend secret-service, which KDE offers, too",
)
MACOS = Kind(
    name="keychain",
    title="the macOS login keychain",
    platform="darwin",
    module="keyring.backends.macOS",
    class_name="Keyring",
    readers="the Python that runs awsv reads what it put into the macOS keychain without a question, and so does every"
    " other script that this same Python runs as you; other programs have to ask you",
)
KINDS = (SECRET_SERVICE, KWALLET, MACOS)
"""All that are ever used: nothing that writes plain text, forgets, fails or chooses by itself."""


def own() -> Kind:
    """What ``keychain`` means here."""
    return MACOS if sys.platform == MACOS.platform else SECRET_SERVICE
