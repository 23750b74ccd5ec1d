"""The hookspecs. Each docstring is the contract.

A hook is a plain function at module level of the module that an entry point names. It returns a tuple of frozen
specs and does no work: no I/O, no SDK import. The entry point's *name* is what the user types and must equal the
``name`` of one of the returned specs; its *group* is the kind and the API version (:data:`GROUPS`).
"""

from collections.abc import Sequence

import pluggy

from vault_core.api import CommandSpec, MfaSourceSpec, PassphraseSourceSpec, SessionSpec, StorageSpec

hookspec = pluggy.HookspecMarker("vault")


@hookspec
def vault_storage_backends() -> Sequence[StorageSpec]:  # type: ignore[empty-body]  # a hookspec has no body
    """Offer storage backends, which keep items (group ``vault.storage.v1``)."""


@hookspec
def vault_passphrase_sources() -> Sequence[PassphraseSourceSpec]:  # type: ignore[empty-body]  # a hookspec has no body
    """Offer passphrase sources, which provide the secret that opens a store (group ``vault.passphrase.v1``)."""


@hookspec
def vault_session_providers() -> Sequence[SessionSpec]:  # type: ignore[empty-body]  # a hookspec has no body
    """Offer session providers, which turn a profile into short-lived credentials (group ``vault.session.v1``)."""


@hookspec
def vault_mfa_sources() -> Sequence[MfaSourceSpec]:  # type: ignore[empty-body]  # a hookspec has no body
    """Offer MFA sources, which provide the code of a device (group ``vault.mfa.v1``)."""


@hookspec
def vault_commands() -> Sequence[CommandSpec]:  # type: ignore[empty-body]  # a hookspec has no body
    """Offer commands: ``awsv NAME …`` (group ``vault.command.v1``)."""
