"""What went wrong at STS, in words for a person: every exception of botocore becomes one of ours.

Botocore's own texts can hold what was signed (AWS answers a wrong signature with the whole canonical request, session
token included) or the value that was sent, so none is passed on except AWS's message, and that without any secret.
"""

from __future__ import annotations

import enum
import re
import traceback
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from vault_botocore.transport import TooLong
from vault_core.api import AccessDenied, ConfigError, MfaRejected, Secret, SessionError, VaultError

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
    "LimitExceededException",
    "SlowDown",
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
UNKNOWN_KEY = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"}
EXPIRED = {"ExpiredToken", "ExpiredTokenException"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired"}
CHECK_NETWORK = "check the network connection and the proxy variables"


class Repeat(enum.Enum):
    """May the same call be made again?"""

    NEVER = "never"
    WITHOUT_CODE = "without code"
    """Only if it holds no MFA code: AWS may have seen the code, and takes each once."""
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call."""

    error: VaultError
    repeat: Repeat = Repeat.NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was tried, for the messages."""

    host: str
    """The endpoint's host; words for it where there is no client yet."""
    key_id: str
    """The access key that signs."""
    session: bool
    """It is a session's key, not a stored one."""
    role: str | None
    """The role to assume; None: GetSessionToken."""
    mfa_serial: str | None
    secrets: tuple[Secret, ...]
    """None of them may be in a message."""
    identity: bool = False
    """It was only asked whose the key is."""

    @property
    def what(self) -> str:
        """``AWS refused …``."""
        if self.identity:
            return f"to say whose {self.key_id} is"
        return f"to assume {self.role}" if self.role else f"a session token to {self.key_id}"

    def clean(self, text: str) -> str:
        """Text of the service, on one line, of bounded length, without a secret."""
        for secret in self.secrets:
            # Not inside a longer number: an MFA code may well be part of an account id.
            text = re.sub(rf"(?<![0-9]){re.escape(secret.reveal_text())}(?![0-9])", "***", text)
        # Cc and Cf are control and format characters: a terminal obeys some of them.
        shown = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text)
        shown = re.sub(r"\s+", " ", shown).strip()
        return shown if len(shown) <= MAX_MESSAGE else f"{shown[:MAX_MESSAGE]}…"


def explain(error: Exception, attempt: Attempt) -> Failure:
    """The failure behind an exception of a call or of making the client."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, VaultError):
        return Failure(error)
    if isinstance(error, ClientError):
        return _refusal(error.response, attempt)
    if isinstance(error, TooLong):
        return Failure(SessionError(str(error), hint="check endpoint_url and the proxy variables"))
    if isinstance(error, BotoCoreError):
        return _transport(error, attempt)
    return _unexpected(error, attempt)


def _refusal(response: Mapping[str, Any], attempt: Attempt) -> Failure:
    """What STS answered with an error code."""
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = attempt.clean(str(response.get("Error", {}).get("Message") or ""))
    if code in THROTTLED or status == 429:
        text = f"{attempt.host} throttles requests: {attempt.clean(code)}"
        return Failure(SessionError(text, hint="wait a minute, then repeat"), Repeat.ALWAYS)
    if code in SIGNATURE:
        return Failure(_signature(response, attempt))
    if code in UNKNOWN_KEY:
        return Failure(_unknown_key(attempt))
    if code in EXPIRED:
        text = f"AWS says that the session of {attempt.key_id} has expired"
        return Failure(SessionError(text, hint="run 'awsv clear', then repeat"))
    if code in DENIED:
        return Failure(_denied(message, attempt))
    if status >= 500:
        text = f"{attempt.host} is in trouble: {attempt.clean(code)} (HTTP {status})"
        return Failure(SessionError(text, hint="repeat in a minute"), Repeat.WITHOUT_CODE)
    return Failure(_other(code, message, attempt))


def _denied(message: str, attempt: Attempt) -> SessionError:
    if "MultiFactorAuthentication failed" in message:
        if "serial number" in message:
            text = f"AWS does not take codes of {attempt.mfa_serial} from the user of {attempt.key_id}: {message}"
            return AccessDenied(text, hint="correct mfa_serial")
        return MfaRejected(
            f"AWS did not accept the MFA code for {attempt.mfa_serial}",
            hint="wait for the device's next code, then repeat",
        )
    text = f"AWS refused {attempt.what}: {message or 'access denied'}"
    if attempt.role is None:
        return AccessDenied(text, hint="check the policies of the user")
    mfa = "" if attempt.mfa_serial else "; a role that demands MFA needs mfa_serial in the profile"
    return AccessDenied(text, hint=f"check the role's trust policy and the caller's policies{mfa}")


def _unknown_key(attempt: Attempt) -> SessionError:
    if attempt.session:
        text = f"AWS does not accept the session of {attempt.key_id}: its user, role or session is gone"
        return AccessDenied(text, hint="run 'awsv clear', then repeat")
    return AccessDenied(
        f"AWS does not know the access key {attempt.key_id}: it is deleted or inactive, or of another partition",
        hint="check the user's access keys in IAM, then store an active one with 'awsv add'",
    )


def _signature(response: Mapping[str, Any], attempt: Attempt) -> SessionError:
    """AWS's message is left out: it repeats the signed request."""
    skew = _skew(response)
    if abs(skew) > MAX_SKEW_SECONDS:
        behind = "behind" if skew > 0 else "ahead of"
        text = f"AWS refused the time of the request: this machine's clock is {_span(skew)} {behind} AWS's"
        return SessionError(text, hint="set the clock, then repeat")
    return AccessDenied(
        f"AWS does not accept the signature of {attempt.key_id}: the secret key does not belong to it",
        hint="run 'awsv clear', then repeat" if attempt.session else "store the key again with 'awsv add'",
    )


def _skew(response: Mapping[str, Any]) -> float:
    """Seconds that AWS's clock is ahead of ours; 0 where it does not say."""
    date = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
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


def _other(code: str, message: str, attempt: Attempt) -> SessionError:
    text = f"AWS refused {attempt.what}: {message or 'no reason given'} ({attempt.clean(code) or 'no code'})"
    hint = None
    if "DurationSeconds" in message:
        hint = "lower duration_seconds"
    elif code == "RegionDisabledException":
        hint = "activate STS in the region, or set another region"
    return SessionError(text, hint=hint)


def _transport(error: Exception, attempt: Attempt) -> Failure:
    """No answer of STS, or none that can be read."""
    from botocore import exceptions

    host = attempt.host
    if isinstance(error, exceptions.SSLError):
        text = f"{host} has a certificate that this machine does not trust, or speaks no TLS"
        return Failure(SessionError(text, hint="set ca_bundle or AWS_CA_BUNDLE to your network's certificates"))
    if isinstance(error, exceptions.ProxyConnectionError):
        text = f"{host} cannot be reached through the proxy"
        return Failure(SessionError(text, hint="check HTTPS_PROXY and NO_PROXY"), Repeat.ALWAYS)
    if isinstance(error, exceptions.EndpointConnectionError):
        return Failure(SessionError(f"{host} cannot be reached", hint=CHECK_NETWORK), Repeat.ALWAYS)
    if isinstance(error, exceptions.ConnectTimeoutError):
        return Failure(SessionError(f"{host} cannot be reached in time", hint=CHECK_NETWORK), Repeat.ALWAYS)
    if isinstance(error, exceptions.ReadTimeoutError):
        return Failure(SessionError(f"{host} does not answer in time", hint=CHECK_NETWORK), Repeat.WITHOUT_CODE)
    if isinstance(error, exceptions.HTTPClientError):
        return Failure(SessionError(f"{host} broke the connection", hint=CHECK_NETWORK), Repeat.WITHOUT_CODE)
    if isinstance(error, exceptions.ParamValidationError):
        # Its text repeats the values.
        return Failure(ConfigError(f"the request {attempt.what} does not make sense to STS"))
    if isinstance(error, exceptions.BaseEndpointResolverError | exceptions.EndpointProviderError):
        text = f"there is no such endpoint of STS ({host})"
        return Failure(ConfigError(text, hint="correct region, endpoint_url or use_…_endpoint"))
    return _unexpected(error, attempt)


def _unexpected(error: Exception, attempt: Attempt) -> Failure:
    """An answer that botocore cannot read, or a bug. Where, but not what: the text may hold the answer."""
    if isinstance(error, ImportError):
        text = f"the AWS SDK lacks {error.name}"
        return Failure(SessionError(text, hint="pip install --upgrade vault-plugin-aws"))
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    text = f"{attempt.host} did not answer as STS does ({type(error).__name__}{where})"
    return Failure(SessionError(text, hint="check endpoint_url and the proxy variables"))
