"""What went wrong at AWS, in words for a person: every exception of botocore becomes a :class:`Failure`.

Texts of botocore may hold what was sent or received, so none is passed on but AWS's own message, and that on one line,
of bounded length and without the passphrase.
"""

from __future__ import annotations

import re
import traceback
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vault_botocore.transport import TooLong
from vault_core.api import (
    AccessDenied,
    ConfigError,
    PassphraseError,
    Secret,
    SessionError,
    SourceUnavailable,
    VaultError,
)
from vault_plugin_ssm import policy
from vault_plugin_ssm.choices import Identity, plain_name

_MAX_MESSAGE = 300
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "TooManyUpdates",
    "SlowDown",
}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "ForbiddenException",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN_KEY = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "MissingAuthenticationToken",
}
_SIGNATURE = {"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "RequestTimeTooSkewed"}
_KMS_STATE = {
    "InvalidKeyId",
    "DisabledException",
    "KMSInvalidStateException",
    "NotFoundException",
    "KMS.DisabledException",
}
_NETWORK = "check the network connection and the proxy variables"
_ARN = re.compile(r"arn:aws[a-z-]*:ssm:\S+?:parameter/[A-Za-z0-9_./-]*[A-Za-z0-9_-]")
_CALLER = re.compile(r"arn:(aws[a-z-]*):(?:iam|sts)::([0-9]{12}):")
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:\S+?:key/[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was tried, for the messages."""

    identity: Identity
    parameter: str
    region: str
    secrets: tuple[Secret, ...] = ()
    """None of them may be in a message."""

    @property
    def what(self) -> str:
        """The parameter and its region."""
        return f"parameter {self.parameter} in {self.region}"

    def clean(self, text: str) -> str:
        """Text of AWS, on one line, of bounded length, without a secret."""
        for secret in self.secrets:
            text = text.replace(secret.reveal_text(), "***")
        # Cc and Cf are control and format characters: a terminal obeys some of them.
        shown = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text)
        shown = re.sub(r"\s+", " ", shown).strip()
        return shown if len(shown) <= _MAX_MESSAGE else f"{shown[:_MAX_MESSAGE]}…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no answer."""

    message: str = ""
    hint: str | None = None
    wrong: bool = False
    """Something is set up wrongly, and to wait does not help."""
    denied: bool = False
    again: bool = False
    """The same request may go through in a moment."""
    statements: tuple[Mapping[str, Any], ...] = ()
    """What the identity's policy lacks."""
    error: VaultError | None = field(default=None)
    """The error itself, where it needs no words."""

    @property
    def is_open(self) -> bool:
        """Whether the request may have been carried out: AWS did not refuse it."""
        return not (self.wrong or self.denied or self.again or self.error)

    def of_source(self) -> VaultError:
        """As a passphrase source says it."""
        if self.error is not None:
            return self.error
        if self.wrong:
            return PassphraseError(self.message, hint=self.hint)
        # Nobody sees the hint of what is unavailable: another source has its turn.
        return SourceUnavailable(f"{self.message}; {self.hint}" if self.hint else self.message)

    def of_command(self) -> VaultError:
        """As a command says it."""
        if self.error is not None:
            return self.error
        kind = AccessDenied if self.denied else PassphraseError if self.wrong else SessionError
        return kind(self.message, hint=self.hint)


def explain(error: Exception, attempt: Attempt, *, has_keys: bool = True) -> Failure:
    """The failure behind an exception.

    :param has_keys: False: it came while the identity's keys were looked for.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, VaultError):
        return Failure(error=error)
    if isinstance(error, ClientError):
        return _refusal(error, attempt)
    if isinstance(error, TooLong):
        return Failure(message=str(error), hint="check the endpoint and the proxy variables")
    found = (_of_identity(error, attempt) or _transport(error, attempt)) if isinstance(error, BotoCoreError) else None
    return found or (_unexpected(error, attempt) if has_keys else _no_keys(error, attempt))


def _refusal(error: Any, attempt: Attempt) -> Failure:
    """What a service answered with an error code."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = attempt.clean(str(error.response.get("Error", {}).get("Message") or ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    action = str(error.operation_name)
    if code in _THROTTLED or status == 429:
        return Failure(message=f"AWS throttles requests ({action})", hint="repeat in a minute", again=True)
    if code in _EXPIRED:
        return Failure(message=f"the session of {attempt.identity} has expired", hint=_renew(attempt.identity))
    if code in _UNKNOWN_KEY:
        return Failure(message=f"AWS does not know the key of {attempt.identity}: it is deleted, inactive or expired")
    if code in _SIGNATURE:  # its message repeats the signed request
        return Failure(
            message=f"AWS does not accept the signature of {attempt.identity}",
            hint="check its secret key and this machine's clock",
        )
    if action not in ("GetParameter", "PutParameter"):
        return Failure(
            message=f"{attempt.identity} did not get keys: AWS refused {action}: {message or attempt.clean(code)}",
            denied=True,
        )
    if code in _DENIED or status == 403:
        return _denied(action, message, attempt)
    return _of_parameter(code, message, status, action, attempt)


def _of_parameter(code: str, message: str, status: int, action: str, attempt: Attempt) -> Failure:
    if code in ("ParameterNotFound", "ParameterVersionNotFound"):
        return Failure(
            message=f"there is no {attempt.what} for {attempt.identity}",
            hint="correct AWS_VAULT_SSM_PARAMETER or the region, or make it with 'awsv ssm put-passphrase'",
            wrong=True,
        )
    if code == "ParameterAlreadyExists":
        return Failure(
            message=f"{attempt.what} exists already; nothing was changed",
            hint="--overwrite replaces it: what opens with the old passphrase does not open with the new one",
            wrong=True,
        )
    if code in _KMS_STATE:
        text = f"the KMS key of {attempt.what} is disabled, deleted or unknown: {message or code}"
        return Failure(message=text, hint="have it enabled")
    if status >= 500:
        return Failure(message=f"SSM in {attempt.region} is in trouble: {attempt.clean(code)} (HTTP {status})")
    text = (
        f"AWS refused {action} of {attempt.what}: {message or 'no reason given'} ({attempt.clean(code) or 'no code'})"
    )
    return Failure(message=text, wrong=True)


def _denied(action: str, message: str, attempt: Attempt) -> Failure:
    arn = _arn(message, attempt)
    if re.search(r"\bkms:|AWSKMS|ciphertext|KMS key|customer master key", message):
        key = found[0] if (found := _KEY_ARN.search(message)) else "*"
        verb = "kms:Decrypt" if action == "GetParameter" else "kms:Encrypt"
        return Failure(
            message=f"{attempt.identity} may not use the KMS key of {attempt.what}",
            hint=f"its policy, or the key's, must allow {verb}",
            denied=True,
            statements=(policy.may_decrypt(arn, key),) if action == "GetParameter" else (),
        )
    return Failure(
        message=f"AWS does not let {attempt.identity} {'read' if action == 'GetParameter' else 'write'} {attempt.what}",
        hint=f"its policy must allow ssm:{action}",
        denied=True,
        statements=(policy.may_get(arn),) if action == "GetParameter" else (),
    )


def _arn(message: str, attempt: Attempt) -> str:
    """The parameter's ARN as AWS says it; with ``*`` for an account that it does not say."""
    if found := _ARN.search(message):
        return found[0]
    who = _CALLER.search(message)
    partition, account = who.groups() if who else ("aws", "*")
    return f"arn:{partition}:ssm:{attempt.region}:{account}:parameter/{plain_name(attempt.parameter)}"


def _renew(identity: Identity) -> str:
    return f"for SSO: aws sso login --profile {identity.profile}" if identity.profile else "make a new one"


def _of_identity(error: Exception, attempt: Attempt) -> Failure | None:
    """The identity's keys could not be had."""
    from botocore import exceptions

    who = attempt.identity
    if isinstance(error, exceptions.SSOError | exceptions.TokenRetrievalError | exceptions.UnauthorizedSSOTokenError):
        return Failure(message=f"the SSO session of {who} is over, or there is none", hint=_renew(who))
    if isinstance(error, exceptions.CredentialRetrievalError | exceptions.MetadataRetrievalError):
        # Its text may hold what a program said.
        provider = getattr(error, "kwargs", {}).get("provider", "the metadata service")
        return Failure(message=f"{who} has no keys now: {attempt.clean(str(provider))} failed")
    if isinstance(
        error,
        exceptions.InvalidConfigError
        | exceptions.PartialCredentialsError
        | exceptions.ConfigParseError
        | exceptions.UnknownCredentialError
        | exceptions.NoCredentialsError
        | exceptions.MissingDependencyException
        | exceptions.ProfileNotFound,
    ):
        return Failure(message=f"{who} cannot be used: {attempt.clean(str(error))}", wrong=True)
    return None


def _no_keys(error: Exception, attempt: Attempt) -> Failure:
    """What a profile says cannot be done, or ends in something that botocore does not expect."""
    if isinstance(error, OSError) and isinstance(error.filename, str):
        text = f"{attempt.identity} cannot be used: {attempt.clean(error.filename)}: {error.strerror}"
        return Failure(message=text, wrong=True)
    text = f"{attempt.identity} has no keys now ({_kind_and_place(error)})"
    return Failure(message=text, hint="check what gives them, the endpoint and the proxy variables")


def _transport(error: Exception, attempt: Attempt) -> Failure | None:
    """No answer, or none that can be read; None: something else."""
    from botocore import exceptions

    host = f"AWS in {attempt.region}"
    if isinstance(error, exceptions.SSLError):
        text = f"{host} has a certificate that this machine does not trust, or speaks no TLS"
        return Failure(message=text, hint="set AWS_CA_BUNDLE to your network's certificates")
    if isinstance(error, exceptions.ProxyConnectionError):
        return Failure(message=f"{host} cannot be reached through the proxy", hint="check HTTPS_PROXY and NO_PROXY")
    if isinstance(error, exceptions.EndpointConnectionError | exceptions.ConnectTimeoutError):
        return Failure(message=f"{host} cannot be reached", hint=_NETWORK)
    if isinstance(error, exceptions.ReadTimeoutError):
        return Failure(message=f"{host} does not answer in time", hint=_NETWORK)
    if isinstance(error, exceptions.HTTPClientError):
        return Failure(message=f"{host} broke the connection", hint=_NETWORK)
    if isinstance(error, exceptions.BaseEndpointResolverError | exceptions.EndpointProviderError | ValueError):
        text = f"there is no endpoint of SSM in region {attempt.region!r}"
        return Failure(error=ConfigError(text, hint="correct the region"))
    return None


def _unexpected(error: Exception, attempt: Attempt) -> Failure:
    """An answer that botocore cannot read, or a bug. Where, but not what: the text may hold the answer."""
    if isinstance(error, ImportError):
        return Failure(message=f"the AWS SDK lacks {error.name}", hint="pip install --upgrade boto3", wrong=True)
    text = f"AWS in {attempt.region} did not answer as it does ({_kind_and_place(error)})"
    return Failure(message=text, hint="check the endpoint and the proxy variables")


def _kind_and_place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return type(error).__name__ + (f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "")
