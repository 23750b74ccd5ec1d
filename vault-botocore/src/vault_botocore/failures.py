"""Errors of awsv for what botocore raises.

Botocore's texts can hold what was signed, sent or received: AWS answers a wrong signature with the whole canonical
request, session token included. So only AWS's own message is shown: on one line, cut, and without the secrets.
"""

from __future__ import annotations

import enum
import re
import traceback
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from vault_botocore.transport import TooLong
from vault_core.api import AccessDenied, ConfigError, CredentialsRefused, Secret, SessionError, VaultError

MAX_SKEW_SECONDS = 300
"""AWS refuses a signature that is more than five minutes from its own clock."""
MAX_MESSAGE = 500

THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "TooManyUpdates",
    "LimitExceededException",
    "SlowDown",
    "ConcurrentModification",
    "EntityTemporarilyUnmodifiable",
    "429",
}
SIGNATURE = {
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
}
UNKNOWN_KEY = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "AuthFailure",
    "MissingAuthenticationToken",
}
EXPIRED = {"ExpiredToken", "ExpiredTokenException"}
DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "ForbiddenException",
    "OptInRequired",
}
CHECK_NETWORK = "check the network connection and the proxy variables"
CHECK_ENDPOINT = "check the endpoint URL and the proxy variables"


class Outcome(enum.Enum):
    """What AWS did with a call that failed."""

    REFUSED = "refused"
    """Not carried out, and a repetition does not help."""
    THROTTLED = "throttled"
    """Not carried out now."""
    UNREACHABLE = "unreachable"
    """Not carried out: AWS did not get the request."""
    UNCERTAIN = "uncertain"
    """Perhaps carried out: AWS failed, or the connection broke."""
    UNREADABLE = "unreadable"
    """Perhaps carried out: the response makes no sense, so neither does a repetition."""

    @property
    def is_open(self) -> bool:
        """Whether the call may have been carried out."""
        return self in (Outcome.UNCERTAIN, Outcome.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed."""

    error: VaultError
    outcome: Outcome = Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error code as AWS's response. No text in it holds a secret."""

    action: str
    """The API action, such as ``AssumeRole``."""
    code: str
    message: str
    status: int
    """Of HTTP."""

    @property
    def is_denied(self) -> bool:
        """Whether a policy does not allow the call."""
        return self.code in DENIED

    @property
    def reason(self) -> str:
        """Message and code."""
        return f"{self.message or 'no reason given'} ({self.code or 'no code'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(ABC):
    """One call, for the messages about it."""

    host: str
    """The server: its host, or the service and the region."""
    caller: str
    """The identity that signs."""
    renew: str
    """The hint where the keys of the caller are wrong or have expired."""
    secrets: tuple[Secret, ...] = ()
    """None of them may be in a message."""

    @abstractmethod
    def refused(self, refusal: Refusal) -> VaultError:
        """The error for a refusal that depends on the action, such as a denied one."""

    def clean(self, text: str) -> str:
        """Text of AWS on one line, cut at :data:`MAX_MESSAGE` characters, without a secret."""
        for secret in self.secrets:
            plain = secret.reveal_text()
            pattern = re.escape(plain)
            if re.fullmatch(r"[0-9]{6}", plain):  # an MFA code can also be a part of an account id
                pattern = rf"(?<![0-9]){pattern}(?![0-9])"
            text = re.sub(pattern, "***", text)
        # Categories Cc and Cf are control and format characters: a terminal obeys some of them.
        shown = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text)
        shown = re.sub(r"\s+", " ", shown).strip()
        return shown if len(shown) <= MAX_MESSAGE else f"{shown[:MAX_MESSAGE]}…"


def explain(error: Exception, attempt: Attempt) -> Failure:
    """The failure behind an exception of a call, or of making its client."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, VaultError):
        return Failure(error)
    if isinstance(error, ClientError):
        return _refusal(error, attempt)
    if isinstance(error, TooLong):
        return Failure(SessionError(str(error), hint=CHECK_ENDPOINT), Outcome.UNREADABLE)
    if isinstance(error, BotoCoreError) and (found := _no_response(error, attempt)):
        return found
    if isinstance(error, ImportError):
        return Failure(SessionError(f"the AWS SDK lacks {error.name}", hint="pip install --upgrade boto3"))
    text = f"unexpected response from {attempt.host} ({kind_and_place(error)})"
    return Failure(SessionError(text, hint=CHECK_ENDPOINT), Outcome.UNREADABLE)


def kind_and_place(error: Exception) -> str:
    """The type of an exception and where it was raised; not its text, which can hold the response."""
    frames = traceback.extract_tb(error.__traceback__)
    return type(error).__name__ + (f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "")


def _refusal(error: Any, attempt: Attempt) -> Failure:
    found, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code, status = str(found.get("Code", "")), metadata.get("HTTPStatusCode", 0)
    if code in THROTTLED or status == 429:
        text = f"{attempt.host} throttles requests: {attempt.clean(code)}"
        return Failure(SessionError(text, hint="wait a minute, then repeat"), Outcome.THROTTLED)
    if code in SIGNATURE:
        return Failure(_signature(metadata, attempt))
    if code in UNKNOWN_KEY:
        text = f"AWS refused {attempt.caller}: the access key is deleted or inactive, or of another partition"
        return Failure(CredentialsRefused(text, hint=attempt.renew))
    if code in EXPIRED:
        return Failure(SessionError(f"AWS refused {attempt.caller}: the session has expired", hint=attempt.renew))
    message = attempt.clean(str(found.get("Message") or ""))
    refusal = Refusal(str(error.operation_name), attempt.clean(code), message, status)
    if status >= 500 and not refusal.is_denied:
        text = f"{attempt.host} failed: {refusal.code} (HTTP {status})"
        return Failure(SessionError(text, hint="repeat in a minute"), Outcome.UNCERTAIN)
    return Failure(attempt.refused(refusal))


def _signature(metadata: Mapping[str, Any], attempt: Attempt) -> SessionError:
    """AWS's message is omitted: it repeats the signed request."""
    skew = _skew(metadata)
    if abs(skew) > MAX_SKEW_SECONDS:
        behind = "behind" if skew > 0 else "ahead of"
        text = f"AWS refused the time of the request: this machine's clock is {_span(skew)} {behind} AWS's"
        return SessionError(text, hint="set the clock, then repeat")
    text = f"AWS refused {attempt.caller}: the secret key does not match the access key"
    return AccessDenied(text, hint=attempt.renew)


def _skew(metadata: Mapping[str, Any]) -> float:
    """Seconds that AWS's clock is ahead of this machine's; 0 if the response has no time."""
    date = metadata.get("HTTPHeaders", {}).get("date", "")
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return 0
    return (theirs.astimezone(UTC) - datetime.now(UTC)).total_seconds()


def _span(seconds: float) -> str:
    minutes = round(abs(seconds) / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{round(minutes / 60)} hours" if minutes < 48 * 60 else f"{round(minutes / 1440)} days"


def _no_response(error: Exception, attempt: Attempt) -> Failure | None:
    from botocore import exceptions

    host = attempt.host
    match error:
        case exceptions.SSLError():
            text = f"{host} has a certificate that this machine does not trust, or does not speak TLS"
            hint = "set ca_bundle or AWS_CA_BUNDLE to your network's certificates"
            return Failure(SessionError(text, hint=hint))
        case exceptions.ProxyConnectionError():
            text, hint = f"{host} cannot be reached through the proxy", "check HTTPS_PROXY and NO_PROXY"
            return Failure(SessionError(text, hint=hint), Outcome.UNREACHABLE)
        case exceptions.EndpointConnectionError() | exceptions.ConnectTimeoutError():
            return Failure(SessionError(f"{host} cannot be reached", hint=CHECK_NETWORK), Outcome.UNREACHABLE)
        case exceptions.ReadTimeoutError():
            return Failure(SessionError(f"{host} does not answer in time", hint=CHECK_NETWORK), Outcome.UNCERTAIN)
        case exceptions.HTTPClientError():
            return Failure(SessionError(f"{host} broke the connection", hint=CHECK_NETWORK), Outcome.UNCERTAIN)
        case exceptions.ParamValidationError():
            return Failure(ConfigError(f"a value of the request to {host} is not valid"))
        case exceptions.BaseEndpointResolverError() | exceptions.EndpointProviderError() | ValueError():
            text, hint = f"there is no endpoint for {host}", "correct the region or the endpoint settings"
            return Failure(ConfigError(text, hint=hint))
        case _:
            return None
