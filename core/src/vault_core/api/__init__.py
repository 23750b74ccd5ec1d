"""The public surface for plugins. Nothing else of the core is public, except :mod:`vault_core.vlt` for a backend that
writes the file format itself, and the contract kit (:mod:`vault_testkit`).

A plugin is a module with one or more hooks (see :mod:`vault_core.hookspecs`) marked by :data:`hookimpl`. A hook
returns specs; the host calls ``spec.open(context)`` when the user has named the plugin, and that is the first place
where a vendor's SDK may be imported. Plugins never touch standard output, the terminal or ``os.environ``: the
:class:`Context` has what they need. All calls are synchronous.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vault_core.api.access_keys import AccessKey, KeyRequest, KeyUse, ManagesKeys
    from vault_core.api.command import CommandContext, CommandSpec
    from vault_core.api.console import ConsoleRequest, OpensConsole
    from vault_core.api.context import Context, RunResult
    from vault_core.api.hooks import hookimpl
    from vault_core.api.mfa import MfaRequest, MfaSource, MfaSourceSpec
    from vault_core.api.network import is_loopback, proxy_for, refuse_plain_http
    from vault_core.api.options import Option, boolean
    from vault_core.api.passphrase import PassphraseRequest, PassphraseSource, PassphraseSourceSpec, Purpose
    from vault_core.api.scan import ImportScan, Rejected
    from vault_core.api.session import (
        CallerIdentity,
        Credentials,
        CredentialsClient,
        IdentifiesCaller,
        Profile,
        SessionProvider,
        SessionRequest,
        SessionSpec,
        SourceNeed,
    )
    from vault_core.api.spec import OpenableSpec, PluginSpec
    from vault_core.api.storage import (
        ABSENT,
        ANY,
        AtRest,
        Capability,
        Expect,
        Item,
        SharedItems,
        StorageBackend,
        StorageSpec,
        StoreContext,
        Version,
    )
    from vault_core.command_line import command_line
    from vault_core.errors import (
        AccessDenied,
        Cancelled,
        ConfigError,
        CredentialsRefused,
        MfaError,
        MfaRejected,
        NoSecret,
        NoSuchKey,
        OutcomeUnknown,
        PassphraseError,
        QuestionRefused,
        SessionError,
        SourceUnavailable,
        StorageConflict,
        StorageCorrupt,
        StorageDenied,
        StorageError,
        StorageLocked,
        StorageUnavailable,
        TooManyKeys,
        VaultError,
        WrongSecret,
    )
    from vault_core.secret import Secret

_MODULES = {
    "api.access_keys": "AccessKey KeyRequest KeyUse ManagesKeys",
    "api.command": "CommandContext CommandSpec",
    "api.console": "ConsoleRequest OpensConsole",
    "api.context": "Context RunResult",
    "api.hooks": "hookimpl",
    "api.mfa": "MfaRequest MfaSource MfaSourceSpec",
    "api.network": "is_loopback proxy_for refuse_plain_http",
    "api.options": "Option boolean",
    "api.passphrase": "PassphraseRequest PassphraseSource PassphraseSourceSpec Purpose",
    "api.scan": "ImportScan Rejected",
    "api.session": "CallerIdentity Credentials CredentialsClient IdentifiesCaller Profile SessionProvider"
    " SessionRequest SessionSpec SourceNeed",
    "api.spec": "OpenableSpec PluginSpec",
    "api.storage": "ABSENT ANY AtRest Capability Expect Item SharedItems StorageBackend StorageSpec"
    " StoreContext Version",
    "command_line": "command_line",
    "secret": "Secret",
}
"""A module to the names that it defines; every other name is an error of :mod:`vault_core.errors`."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "ABSENT",
    "ANY",
    "AccessDenied",
    "AccessKey",
    "AtRest",
    "CallerIdentity",
    "Cancelled",
    "Capability",
    "CommandContext",
    "CommandSpec",
    "ConfigError",
    "ConsoleRequest",
    "Context",
    "Credentials",
    "CredentialsClient",
    "CredentialsRefused",
    "Expect",
    "IdentifiesCaller",
    "ImportScan",
    "Item",
    "KeyRequest",
    "KeyUse",
    "ManagesKeys",
    "MfaError",
    "MfaRejected",
    "MfaRequest",
    "MfaSource",
    "MfaSourceSpec",
    "NoSecret",
    "NoSuchKey",
    "OpenableSpec",
    "OpensConsole",
    "Option",
    "OutcomeUnknown",
    "PassphraseError",
    "PassphraseRequest",
    "PassphraseSource",
    "PassphraseSourceSpec",
    "PluginSpec",
    "Profile",
    "Purpose",
    "QuestionRefused",
    "Rejected",
    "RunResult",
    "Secret",
    "SessionError",
    "SessionProvider",
    "SessionRequest",
    "SessionSpec",
    "SharedItems",
    "SourceNeed",
    "SourceUnavailable",
    "StorageBackend",
    "StorageConflict",
    "StorageCorrupt",
    "StorageDenied",
    "StorageError",
    "StorageLocked",
    "StorageSpec",
    "StorageUnavailable",
    "StoreContext",
    "TooManyKeys",
    "VaultError",
    "Version",
    "WrongSecret",
    "boolean",
    "command_line",
    "hookimpl",
    "is_loopback",
    "proxy_for",
    "refuse_plain_http",
]


def __getattr__(name: str) -> object:
    """Import a public name at its first use: a command pays for the kinds of plugins that it loads."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"vault_core.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
