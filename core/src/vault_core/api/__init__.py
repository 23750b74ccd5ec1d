"""The public surface for plugins. Nothing else of the core is public, except :mod:`vault_core.vlt` for a backend that
writes the file format itself, and the contract kit (:mod:`vault_testkit`).

A plugin is a module with one or more hooks (see :mod:`vault_core.hookspecs`) marked by :data:`hookimpl`. A hook
returns specs; the host calls ``spec.open(context)`` when the user has named the plugin, and that is the first place
where a vendor's SDK may be imported. Plugins never touch standard output, the terminal or ``os.environ``: the
:class:`Context` has what they need. All calls are synchronous.
"""

from __future__ import annotations

import pluggy

from vault_core.api.command import CommandContext, CommandSpec
from vault_core.api.console import ConsoleRequest, OpensConsole
from vault_core.api.context import Context, RunResult
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
    MfaError,
    MfaRejected,
    NoSecret,
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
    VaultError,
    WrongSecret,
)
from vault_core.secret import Secret

__all__ = [
    "ABSENT",
    "ANY",
    "AccessDenied",
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
    "Expect",
    "IdentifiesCaller",
    "ImportScan",
    "Item",
    "MfaError",
    "MfaRejected",
    "MfaRequest",
    "MfaSource",
    "MfaSourceSpec",
    "NoSecret",
    "OpenableSpec",
    "OpensConsole",
    "Option",
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

hookimpl = pluggy.HookimplMarker("vault")
