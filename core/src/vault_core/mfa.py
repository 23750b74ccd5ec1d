"""The chain of MFA sources: ``--mfa-token`` first, then the sources that the user ordered."""

from collections.abc import Mapping

from vault_core.api import MfaRequest, MfaSourceSpec
from vault_core.command_line import command_line
from vault_core.errors import MfaError, QuestionRefused, SourceUnavailable
from vault_core.plugins.boundary.sources import open_mfa
from vault_core.plugins.host import Host
from vault_core.secret import Secret

TRIES = 3
"""How many codes AWS may reject before the session fails."""


class MfaRefused(MfaError):
    """The user declined to give a code."""


class MfaCodes:
    """MFA codes from the sources that the settings or the profile name.

    :param token: a code that is used once, before the sources are asked.
    """

    def __init__(self, host: Host, token: Secret | None) -> None:
        self._host = host
        self._token = token

    def code(self, serial: str, profile: str, attempt: int, keys: Mapping[str, str]) -> Secret:
        """Return a code of a device.

        :param serial: the serial number or ARN of the device.
        :param attempt: 1, and one more for each code that AWS rejected.
        :param keys: the keys of the profile, which may name the sources and set their options.
        :raises MfaError: no source has a code, or the user declined.
        """
        if self._token is not None:
            code, self._token = self._token, None
            return code
        host = self._host
        reason = host.cannot_ask()
        tried: list[str] = []
        for name in host.settings.names("prompt", keys):
            spec: MfaSourceSpec = host.plugins.load("mfa", name)
            request = MfaRequest(
                serial=serial, profile=profile, attempt=attempt, may_ask=reason is None, deadline=host.deadline()
            )
            try:
                context = host.context("mfa", name, spec.options, profile=keys)
                answer = open_mfa(host.plugins, spec, context).code(request)
            except SourceUnavailable as error:
                tried.append(f"{name} ({error.message})")
                if not spec.interactive:
                    host.notice(f"MFA source {name!r}: {error.message}")
                continue
            except QuestionRefused:
                raise MfaRefused(f"no MFA code was given for profile {profile!r}") from None
            if answer is not None:
                return answer
            tried.append(f"{name} ({reason if spec.interactive and reason else 'does not know the device'})")
        raise MfaError(
            f"profile {profile!r} needs an MFA code of {serial}: tried {', '.join(tried)}",
            hint=f"run '{command_line('awsv ready', profile)}' in a terminal, then repeat",
        )
