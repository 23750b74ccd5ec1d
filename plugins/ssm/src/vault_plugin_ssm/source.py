"""The passphrase source ``ssm``: one GetParameter, by the identity that the user named, within five seconds."""

from __future__ import annotations

from dataclasses import dataclass

from vault_core.api import Context, PassphraseError, PassphraseRequest, PassphraseSource, Secret
from vault_plugin_ssm import policy
from vault_plugin_ssm.aws_call import LIMIT_SECONDS, Clients, Talk
from vault_plugin_ssm.choices import IDENTITIES, Identity
from vault_plugin_ssm.failures import Failure

_PARAMETER = "AWS_VAULT_SSM_PARAMETER"
_CREDENTIALS = "AWS_VAULT_SSM_CREDENTIALS"


@dataclass(frozen=True, slots=True)
class _Found:
    type: str
    value: Secret


class Parameter(PassphraseSource):
    """Answers with the value of one SecureString parameter, whatever the passphrase is wanted for."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, request: PassphraseRequest) -> Secret | None:
        parameter: str | None = self._context.options["parameter"]
        if parameter is None:
            self._say_not_configured()
            return None
        talk = Talk(self._context, self._identity(parameter), parameter, self._context.options["region"])

        def read(clients: Clients) -> _Found:
            found = clients("ssm").get_parameter(Name=parameter, WithDecryption=True)["Parameter"]
            return _Found(found["Type"], Secret(found["Value"]))

        found = talk.hold(read, LIMIT_SECONDS, request.deadline)
        if isinstance(found, Failure):
            for statement in found.statements:
                self._context.notify(f"passphrase source 'ssm': a statement that lets it: {policy.one_line(statement)}")
            raise found.of_source()
        return _passphrase(found, parameter)

    def _say_not_configured(self) -> None:
        if _PARAMETER in self._context.environ:
            raise PassphraseError(f"{_PARAMETER} is set but empty", hint="unset it, or name a parameter")
        self._context.notify(f"passphrase source 'ssm': {_PARAMETER} names no parameter")

    def _identity(self, parameter: str) -> Identity:
        identity: Identity | None = self._context.options["credentials"]
        if identity is None:
            raise PassphraseError(
                f"nothing says who reads parameter {parameter}: the keys of whatever runs awsv are not taken by chance",
                hint=f"set {_CREDENTIALS} to {IDENTITIES}",
            )
        return identity


def _passphrase(found: _Found, parameter: str) -> Secret:
    """The value without one line end, which ``--value file://…`` adds.

    :raises PassphraseError: it was never encrypted, or is empty.
    """
    if found.type != "SecureString":
        raise PassphraseError(
            f"parameter {parameter} is a {found.type}, which is kept in the clear: its value is not used",
            hint="delete it and choose another passphrase: 'awsv ssm put-passphrase' makes a SecureString",
        )
    value = found.value.reveal()
    value = value.removesuffix(b"\r\n") if value.endswith(b"\r\n") else value.removesuffix(b"\n")
    if not value:
        raise PassphraseError(f"parameter {parameter} is empty", hint="awsv ssm put-passphrase --overwrite")
    return Secret(value)
