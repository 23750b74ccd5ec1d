"""Errors for what AWS refuses, and for an identity that has no keys."""

import re
from dataclasses import dataclass
from typing import Any

from vault_botocore.failures import Attempt, Failure, Outcome, Refusal, explain, kind_and_place
from vault_botocore.transport import TooLong
from vault_core.api import AccessDenied, PassphraseError, SessionError, SourceUnavailable, VaultError
from vault_plugin_ssm import policy
from vault_plugin_ssm.choices import Identity, plain_name

_KMS_STATE = {
    "InvalidKeyId",
    "DisabledException",
    "KMSInvalidStateException",
    "NotFoundException",
    "KMS.DisabledException",
}
_ARN = re.compile(r"arn:aws[a-z-]*:ssm:\S+?:parameter/[A-Za-z0-9_./-]*[A-Za-z0-9_-]")
_CALLER = re.compile(r"arn:(aws[a-z-]*):(?:iam|sts)::([0-9]{12}):")
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:\S+?:key/[A-Za-z0-9-]+")


class MissingPermission(AccessDenied):
    """A policy does not allow the call.

    :param statements: what the policy lacks.
    """

    def __init__(self, message: str, *, hint: str, statements: tuple[dict[str, Any], ...]) -> None:
        super().__init__(message, hint=hint)
        self.statements = statements


def error_of_source(error: VaultError) -> VaultError:
    """The error of a passphrase source for a failure of AWS.

    The hint of an unavailable source is not shown, because the next source is tried: so it becomes part of the message.
    """
    if not isinstance(error, SessionError):
        return error
    return SourceUnavailable(f"{error.message}; {error.hint}" if error.hint else error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SsmAttempt(Attempt):
    """One call for a parameter, for the messages about it."""

    identity: Identity
    parameter: str
    region: str

    @property
    def what(self) -> str:
        """The parameter and its region."""
        return f"parameter {self.parameter} in {self.region}"

    def refused(self, refusal: Refusal) -> VaultError:
        if refusal.action not in ("GetParameter", "PutParameter"):
            reason = refusal.message or refusal.code
            return AccessDenied(f"{self.identity} did not get keys: AWS refused {refusal.action}: {reason}")
        if refusal.is_denied or refusal.status == 403:
            return self._denied(refusal)
        if refusal.code in ("ParameterNotFound", "ParameterVersionNotFound"):
            return PassphraseError(
                f"there is no {self.what} for {self.identity}",
                hint="correct AWS_VAULT_SSM_PARAMETER or the region, or make it with 'awsv ssm put-passphrase'",
            )
        if refusal.code == "ParameterAlreadyExists":
            return PassphraseError(
                f"{self.what} exists already; nothing was changed",
                hint="--overwrite replaces it: what opens with the old passphrase does not open with the new one",
            )
        if refusal.code in _KMS_STATE:
            text = f"the KMS key of {self.what} is disabled, deleted or unknown: {refusal.message or refusal.code}"
            return SessionError(text, hint="enable the key")
        return PassphraseError(f"AWS refused {refusal.action} of {self.what}: {refusal.reason}")

    def _denied(self, refusal: Refusal) -> MissingPermission:
        reads, arn = refusal.action == "GetParameter", self._arn(refusal.message)
        if re.search(r"\bkms:|AWSKMS|ciphertext|KMS key|customer master key", refusal.message):
            key = found[0] if (found := _KEY_ARN.search(refusal.message)) else "*"
            return MissingPermission(
                f"{self.identity} may not use the KMS key of {self.what}",
                hint=f"its policy, or the key's, must allow {'kms:Decrypt' if reads else 'kms:Encrypt'}",
                statements=(policy.may_decrypt(arn, key),) if reads else (),
            )
        return MissingPermission(
            f"AWS does not let {self.identity} {'read' if reads else 'write'} {self.what}",
            hint=f"its policy must allow ssm:{refusal.action}",
            statements=(policy.may_get(arn),) if reads else (),
        )

    def _arn(self, message: str) -> str:
        """The parameter's ARN in AWS's message, else one with ``*`` for an account that the message does not name."""
        if found := _ARN.search(message):
            return found[0]
        caller = _CALLER.search(message)
        partition, account = caller.groups() if caller else ("aws", "*")
        return f"arn:{partition}:ssm:{self.region}:{account}:parameter/{plain_name(self.parameter)}"


def attempt_of(identity: Identity, parameter: str, region: str) -> SsmAttempt:
    """The attempt to reach a parameter as an identity."""
    return SsmAttempt(
        host=f"AWS in {region}",
        caller=str(identity),
        renew=f"renew its keys, for SSO: {_login(identity)}" if identity.profile else "renew its keys",
        identity=identity,
        parameter=parameter,
        region=region,
    )


def _login(identity: Identity) -> str:
    return f"aws sso login --profile {identity.profile}"


def explain_keys(error: Exception, attempt: SsmAttempt) -> Failure:
    """The failure behind an exception while the keys of the identity are obtained."""
    found = explain(error, attempt)
    if found.outcome is not Outcome.UNREADABLE or isinstance(error, TooLong):
        return found
    return Failure(_of_identity(error, attempt))


def _of_identity(error: Exception, attempt: SsmAttempt) -> VaultError:
    from botocore import exceptions

    identity = attempt.identity
    match error:
        case exceptions.SSOError() | exceptions.TokenRetrievalError() | exceptions.UnauthorizedSSOTokenError():
            return SessionError(f"the SSO session of {identity} is over, or there is none", hint=_login(identity))
        case exceptions.CredentialRetrievalError() | exceptions.MetadataRetrievalError():
            # Its text can hold what a program printed.
            provider = getattr(error, "kwargs", {}).get("provider", "the metadata service")
            return SessionError(f"{identity} has no keys now: {attempt.clean(str(provider))} failed")
        case (
            exceptions.InvalidConfigError()
            | exceptions.PartialCredentialsError()
            | exceptions.ConfigParseError()
            | exceptions.UnknownCredentialError()
            | exceptions.NoCredentialsError()
            | exceptions.MissingDependencyException()
            | exceptions.ProfileNotFound()
        ):
            return PassphraseError(f"{identity} cannot be used: {attempt.clean(str(error))}")
        case OSError(filename=str(name)):
            return PassphraseError(f"{identity} cannot be used: {attempt.clean(name)}: {error.strerror}")
        case _:
            text = f"{identity} has no keys now ({kind_and_place(error)})"
            return SessionError(text, hint="check what gives them, the endpoint URL and the proxy variables")
