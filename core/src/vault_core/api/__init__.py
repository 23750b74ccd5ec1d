"""The public surface for plugins. Nothing else of the core is public, except :mod:`vault_core.vlt` for a backend that
writes the file format itself, and the contract kit (:mod:`vault_testkit`).

A plugin is a module with one or more hooks (see :mod:`vault_core.hookspecs`) marked by :data:`hookimpl`. A hook
returns specs; the host calls ``spec.open(context)`` when the user has named the plugin, and that is the first place
where a vendor's SDK may be imported. Plugins never touch standard output, the terminal or ``os.environ``: the
:class:`Context` has what they need. All calls are synchronous.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # "X as X" tells type checkers that X is public
    # isort: off
    from vault_core.api.access_keys import (
        AccessKey as AccessKey,
        KeyRequest as KeyRequest,
        KeyUse as KeyUse,
        ManagesKeys as ManagesKeys,
    )
    from vault_core.api.command import CommandContext as CommandContext, CommandSpec as CommandSpec
    from vault_core.api.console import ConsoleRequest as ConsoleRequest, OpensConsole as OpensConsole
    from vault_core.api.context import Context as Context, RunResult as RunResult
    from vault_core.api.hooks import hookimpl as hookimpl
    from vault_core.api.mfa import MfaRequest as MfaRequest, MfaSource as MfaSource, MfaSourceSpec as MfaSourceSpec
    from vault_core.api.network import (
        is_loopback as is_loopback,
        proxy_for as proxy_for,
        refuse_plain_http as refuse_plain_http,
    )
    from vault_core.api.options import Option as Option, boolean as boolean
    from vault_core.api.passphrase import (
        PassphraseRequest as PassphraseRequest,
        PassphraseSource as PassphraseSource,
        PassphraseSourceSpec as PassphraseSourceSpec,
        Purpose as Purpose,
    )
    from vault_core.api.scan import ImportScan as ImportScan, Rejected as Rejected
    from vault_core.api.session import (
        CallerIdentity as CallerIdentity,
        Credentials as Credentials,
        CredentialsClient as CredentialsClient,
        IdentifiesCaller as IdentifiesCaller,
        Profile as Profile,
        SessionProvider as SessionProvider,
        SessionRequest as SessionRequest,
        SessionSpec as SessionSpec,
        SourceNeed as SourceNeed,
    )
    from vault_core.api.spec import OpenableSpec as OpenableSpec, PluginSpec as PluginSpec
    from vault_core.api.storage import (
        ABSENT as ABSENT,
        ANY as ANY,
        AtRest as AtRest,
        Capability as Capability,
        Expect as Expect,
        Item as Item,
        SharedItems as SharedItems,
        StorageBackend as StorageBackend,
        StorageSpec as StorageSpec,
        StoreContext as StoreContext,
        Version as Version,
    )
    from vault_core.command_line import command_line as command_line
    from vault_core.errors import (
        AccessDenied as AccessDenied,
        Cancelled as Cancelled,
        ConfigError as ConfigError,
        CredentialsRefused as CredentialsRefused,
        MfaError as MfaError,
        MfaRejected as MfaRejected,
        NoSecret as NoSecret,
        NoSuchKey as NoSuchKey,
        OutcomeUnknown as OutcomeUnknown,
        PassphraseError as PassphraseError,
        QuestionRefused as QuestionRefused,
        SessionError as SessionError,
        SourceUnavailable as SourceUnavailable,
        StorageConflict as StorageConflict,
        StorageCorrupt as StorageCorrupt,
        StorageDenied as StorageDenied,
        StorageError as StorageError,
        StorageLocked as StorageLocked,
        StorageUnavailable as StorageUnavailable,
        TooManyKeys as TooManyKeys,
        VaultError as VaultError,
        WrongSecret as WrongSecret,
    )
    from vault_core.secret import Secret as Secret

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
    "api.storage": "ABSENT ANY AtRest Capability Expect Item SharedItems StorageBackend StorageSpec StoreContext"
    " Version",
    "command_line": "command_line",
    "errors": "AccessDenied Cancelled ConfigError CredentialsRefused MfaError MfaRejected NoSecret NoSuchKey"
    " OutcomeUnknown PassphraseError QuestionRefused SessionError SourceUnavailable StorageConflict StorageCorrupt"
    " StorageDenied StorageError StorageLocked StorageUnavailable TooManyKeys VaultError WrongSecret",
    "secret": "Secret",
}
"""A module to the public names that it defines."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted(_HOMES)

if not TYPE_CHECKING:  # type checkers know the names, and report others

    def __getattr__(name: str) -> object:
        """Import a public name at its first use: a command pays for the kinds of plugins that it loads."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = found = getattr(import_module(f"vault_core.{_HOMES[name]}"), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
