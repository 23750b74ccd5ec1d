"""Passphrase sources and MFA sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vault_core.api import MfaRequest, MfaSource, PassphraseRequest, PassphraseSource
from vault_core.plugins.boundary.calls import Calls, Opened
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.api import Context, MfaSourceSpec, PassphraseSourceSpec


def open_source(plugins: Plugins, spec: PassphraseSourceSpec, context: Context) -> PassphraseSource:
    """Open a passphrase source."""
    calls = Calls(plugins, "passphrase", spec.name)
    opened = calls.expect("open", calls("open", spec.open, context), PassphraseSource, "a PassphraseSource")
    return _Source(opened, calls)


class _Source(Opened, PassphraseSource):
    def get(self, request: PassphraseRequest) -> Secret | None:
        return self._secret("get", request)

    def put(self, request: PassphraseRequest, secret: Secret) -> None:
        self._call("put", request, secret)

    def forget(self, request: PassphraseRequest) -> bool:
        return self._checked(bool, "a bool", "forget", request)


def open_mfa(plugins: Plugins, spec: MfaSourceSpec, context: Context) -> MfaSource:
    """Open an MFA source."""
    calls = Calls(plugins, "mfa", spec.name)
    opened = calls.expect("open", calls("open", spec.open, context), MfaSource, "an MfaSource")
    return _Mfa(opened, calls)


class _Mfa(Opened, MfaSource):
    def code(self, request: MfaRequest) -> Secret | None:
        return self._secret("code", request)
