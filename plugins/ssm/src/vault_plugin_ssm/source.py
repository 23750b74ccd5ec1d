"""The passphrase source ``ssm``: one GetParameter, as the identity in the settings, within five seconds."""

import json

from vault_botocore.failures import Failure
from vault_core.api import Context, PassphraseError, PassphraseRequest, PassphraseSource, Secret
from vault_plugin_ssm.aws_call import LIMIT_SECONDS, AwsCalls, Clients
from vault_plugin_ssm.choices import IDENTITIES, Identity
from vault_plugin_ssm.failures import MissingPermission, error_of_source

_PARAMETER = "AWS_VAULT_SSM_PARAMETER"
_CREDENTIALS = "AWS_VAULT_SSM_CREDENTIALS"


class Parameter(PassphraseSource):
    """The value of one SecureString parameter, for each purpose of a passphrase."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, request: PassphraseRequest) -> Secret | None:
        parameter: str | None = self._context.options["parameter"]
        if parameter is None:
            self._say_not_configured()
            return None
        calls = AwsCalls(self._context, self._identity(parameter), parameter, self._context.options["region"])

        def read(clients: Clients) -> Secret:
            found = clients("ssm").get_parameter(Name=parameter, WithDecryption=True)["Parameter"]
            return _passphrase(parameter, found["Type"], Secret(found["Value"]))

        found = calls.run(read, LIMIT_SECONDS, request.deadline)
        if isinstance(found, Failure):
            for statement in found.error.statements if isinstance(found.error, MissingPermission) else ():
                self._context.notify(f"passphrase source 'ssm': missing policy statement: {json.dumps(statement)}")
            raise error_of_source(found.error)
        return found

    def _say_not_configured(self) -> None:
        if _PARAMETER in self._context.environ:
            raise PassphraseError(f"{_PARAMETER} is set but empty", hint="unset it, or name a parameter")
        self._context.notify(f"passphrase source 'ssm': {_PARAMETER} is not set")

    def _identity(self, parameter: str) -> Identity:
        identity: Identity | None = self._context.options["credentials"]
        if identity is None:
            raise PassphraseError(
                f"no identity is set to read parameter {parameter}: awsv does not use the keys that happen to be there",
                hint=f"set {_CREDENTIALS} to {IDENTITIES}",
            )
        return identity


def _passphrase(parameter: str, kind: str, found: Secret) -> Secret:
    """The value without one line end, which ``--value file://…`` adds.

    :raises PassphraseError: the value is not encrypted, or is empty.
    """
    if kind != "SecureString":
        raise PassphraseError(
            f"parameter {parameter} is a {kind}, which is not encrypted: its value is not used",
            hint="delete it and choose another passphrase: 'awsv ssm put-passphrase' makes a SecureString",
        )
    value = found.reveal()
    value = value.removesuffix(b"\r\n") if value.endswith(b"\r\n") else value.removesuffix(b"\n")
    if not value:
        raise PassphraseError(f"parameter {parameter} is empty", hint="awsv ssm put-passphrase --overwrite")
    return Secret(value)
