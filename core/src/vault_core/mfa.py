"""The chain of MFA sources: ``--mfa-token`` first, then the sources that the user ordered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vault_core import output
from vault_core.api import MfaRequest
from vault_core.errors import MfaError, QuestionRefused, SourceUnavailable
from vault_core.pasting import command_line
from vault_core.plugins.boundary import open_mfa

if TYPE_CHECKING:
    from vault_core.plugins.host import Host
    from vault_core.secret import Secret

TRIES = 3
"""How many codes AWS may reject before the session fails."""


class MfaRefused(MfaError):
    """The person who was asked for a code declined."""


class MfaCodes:
    """Where codes come from.

    :param given: the code of ``--mfa-token``; used once.
    """

    def __init__(self, host: Host, given: Secret | None) -> None:
        self._host = host
        self._given = given

    def code(self, serial: str, profile: str, attempt: int, keys: Mapping[str, str]) -> Secret:
        """The code of a device.

        :param attempt: 1, and one more for every code that AWS rejected.
        :param keys: the profile's, which may name the sources and set their options.
        :raises MfaError: no source has one, or the person declined.
        """
        if self._given is not None:
            code, self._given = self._given, None
            return code
        tried: list[str] = []
        for name in self._host.settings.names("prompt", keys):
            code_or_none = self._from_source(name, keys, serial, profile, attempt, tried)
            if code_or_none is not None:
                return code_or_none
        raise MfaError(
            f"profile {profile!r} needs an MFA code of {serial}: tried {', '.join(tried)}",
            hint=f"run '{command_line('awsv ready', profile)}' in a terminal, then repeat",
        )

    def _from_source(
        self, name: str, keys: Mapping[str, str], serial: str, profile: str, attempt: int, tried: list[str]
    ) -> Secret | None:
        host = self._host
        spec = host.plugins.load("mfa", name)
        nobody = host.why_nobody_can_be_asked()
        request = MfaRequest(
            serial=serial, profile=profile, attempt=attempt, may_ask=nobody is None, deadline=host.deadline()
        )
        try:
            context = host.context("mfa", name, spec.options, profile=keys)
            code = open_mfa(host.plugins, spec, context).code(request)
        except SourceUnavailable as error:
            tried.append(f"{name} ({error.message})")
            if not spec.interactive:
                output.notice(f"MFA source {name!r}: {error.message}")
            return None
        except QuestionRefused:
            raise MfaRefused(f"no MFA code was given for profile {profile!r}") from None
        if code is None:
            tried.append(f"{name} ({nobody if spec.interactive and nobody else 'does not know the device'})")
        return code
