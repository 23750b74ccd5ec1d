"""awsv as a library: AWS credentials from a vault, for a Python program.

    import vault_core

    with vault_core.Client() as client:
        credentials = client.credentials("work")

Public are the names in ``__all__``, :mod:`vault_core.api` (the contracts for plugins), :mod:`vault_core.vlt` (for
backends that write the file format themselves) and :mod:`vault_testkit`. Everything else may change without notice.
"""

TYPE_CHECKING = False  # known to type checkers; importing typing would cost more than this whole module

if TYPE_CHECKING:  # "X as X" tells type checkers that X is public
    # isort: off
    from vault_core.api import Credentials as Credentials, Secret as Secret
    from vault_core.asking import Asking as Asking, Prompter as Prompter
    from vault_core.client import Client as Client
    from vault_core.errors import (
        AccessDenied as AccessDenied,
        Cancelled as Cancelled,
        ConfigError as ConfigError,
        MfaError as MfaError,
        MfaRejected as MfaRejected,
        NoSecret as NoSecret,
        PassphraseError as PassphraseError,
        PluginError as PluginError,
        SessionError as SessionError,
        SourceUnavailable as SourceUnavailable,
        StorageError as StorageError,
        StorageLocked as StorageLocked,
        UsageError as UsageError,
        VaultError as VaultError,
        WrongSecret as WrongSecret,
    )
    from vault_core.rotation.inventory import Inventory as Inventory
    from vault_core.rotation.listing import KeyReport as KeyReport
    from vault_core.rotation.place import Rotated as Rotated, Wishes as Wishes
    from vault_core.rotation.revoke import Revoked as Revoked
    from vault_core.sessions.plan import Plan as Plan
    from vault_core.sessions.profiles import SessionOptions as SessionOptions
    from vault_core.sessions.ready import Outcome as Outcome
    from vault_core.settings import Settings as Settings

_MODULES = {
    "api": "Credentials Secret",
    "asking": "Asking Prompter",
    "client": "Client",
    "errors": "AccessDenied Cancelled ConfigError MfaError MfaRejected NoSecret PassphraseError PluginError"
    " SessionError SourceUnavailable StorageError StorageLocked UsageError VaultError WrongSecret",
    "rotation.inventory": "Inventory",
    "rotation.listing": "KeyReport",
    "rotation.place": "Rotated Wishes",
    "rotation.revoke": "Revoked",
    "sessions.plan": "Plan",
    "sessions.profiles": "SessionOptions",
    "sessions.ready": "Outcome",
    "settings": "Settings",
}
"""A module to the public names that it defines."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted(_HOMES)

if not TYPE_CHECKING:  # type checkers know the names, and report others

    def __getattr__(name: str) -> object:
        """Import a public name at its first use: ``import vault_core`` alone costs nothing."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = found = getattr(import_module(f"vault_core.{_HOMES[name]}"), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
