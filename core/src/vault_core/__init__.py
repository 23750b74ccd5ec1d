"""awsv as a library: AWS credentials from a vault, for a Python program.

    import vault_core

    with vault_core.Client() as client:
        credentials = client.credentials("work")

Public are the names in ``__all__``, :mod:`vault_core.api` (the contracts for plugins), :mod:`vault_core.vlt` (for
backends that write the file format themselves) and :mod:`vault_testkit`. Everything else may change without notice.
"""

from __future__ import annotations

TYPE_CHECKING = False  # known to type checkers; importing typing would cost more than this whole module

if TYPE_CHECKING:
    from vault_core.api import Credentials, Secret
    from vault_core.asking import Asking, Prompter
    from vault_core.client import Client
    from vault_core.errors import (
        AccessDenied,
        Cancelled,
        ConfigError,
        MfaError,
        MfaRejected,
        NoSecret,
        PassphraseError,
        PluginError,
        SessionError,
        SourceUnavailable,
        StorageError,
        StorageLocked,
        UsageError,
        VaultError,
        WrongSecret,
    )
    from vault_core.rotation.inventory import Inventory
    from vault_core.rotation.listing import KeyReport
    from vault_core.rotation.place import Rotated, Wishes
    from vault_core.rotation.revoke import Revoked
    from vault_core.sessions.plan import Plan
    from vault_core.sessions.profiles import SessionOptions
    from vault_core.sessions.ready import Outcome
    from vault_core.settings import Settings

_HOMES = {
    "Asking": "asking",
    "Client": "client",
    "Credentials": "api",
    "Inventory": "rotation.inventory",
    "KeyReport": "rotation.listing",
    "Outcome": "sessions.ready",
    "Plan": "sessions.plan",
    "Prompter": "asking",
    "Revoked": "rotation.revoke",
    "Rotated": "rotation.place",
    "Secret": "secret",
    "SessionOptions": "sessions.profiles",
    "Settings": "settings",
    "Wishes": "rotation.place",
}
"""A name to the module that defines it; every other name is an error of :mod:`vault_core.errors`."""

__all__ = [
    "AccessDenied",
    "Asking",
    "Cancelled",
    "Client",
    "ConfigError",
    "Credentials",
    "Inventory",
    "KeyReport",
    "MfaError",
    "MfaRejected",
    "NoSecret",
    "Outcome",
    "PassphraseError",
    "Plan",
    "PluginError",
    "Prompter",
    "Revoked",
    "Rotated",
    "Secret",
    "SessionError",
    "SessionOptions",
    "Settings",
    "SourceUnavailable",
    "StorageError",
    "StorageLocked",
    "UsageError",
    "VaultError",
    "Wishes",
    "WrongSecret",
]


def __getattr__(name: str) -> object:
    """Import a public name at its first use: ``import vault_core`` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
