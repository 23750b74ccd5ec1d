"""The session provider ``sts``: GetSessionToken and AssumeRole, and GetCallerIdentity for who asks whose a key is.

A call that AWS denies is made once. What AWS may never have seen (throttled, unreachable, broken off) is repeated, a
call with an MFA code only where the code cannot have been used up. Nothing outlasts the request's deadline or Ctrl-C:
the call runs in a thread of its own that is left behind.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from vault_core.api import (
    CallerIdentity,
    Context,
    Credentials,
    IdentifiesCaller,
    MfaRejected,
    Secret,
    SessionError,
    SessionProvider,
    SessionRequest,
)
from vault_plugin_aws.client import check, connect
from vault_plugin_aws.failures import CHECK_NETWORK, Attempt, Failure, Repeat, explain

PAUSES = (0.5, 2.0)
"""Seconds before the second and the third (and last) attempt: STS's throttling counts by the second."""

Answer = Credentials | CallerIdentity

FIELDS = {
    "role_arn": "RoleArn",
    "external_id": "ExternalId",
    "source_identity": "SourceIdentity",
    "mfa_serial": "SerialNumber",
    "duration_seconds": "DurationSeconds",
    "transitive_session_tags": "TransitiveTagKeys",
}
"""Parameters that STS takes as they are, by its own names."""


IDENTITY = "GetCallerIdentity"


class StsProvider(SessionProvider, IdentifiesCaller):
    """Sessions of AWS STS.

    :param context: of the host; its environment gives proxies and CA bundle.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def issue(self, request: SessionRequest) -> Credentials:
        """Make the session. The time in which the person looks for the MFA code does not count.

        :raises MfaRejected: AWS did not accept the code, or it is not six digits.
        :raises AccessDenied: AWS refused, or does not accept the source's key.
        :raises SessionError: the network, the clock, throttling, an answer that makes no sense.
        :raises ConfigError: there is no such endpoint or CA bundle, or it would be asked in the clear.
        """
        if request.source is None:
            raise SessionError("STS needs a key to work with, and there is none")
        check(request.parameters, self._context.environ)
        asked = time.monotonic()
        code = _code(request)
        deadline = request.deadline + time.monotonic() - asked
        call = _Call(request.parameters, request.source, code, self._context.environ)
        issued = self._run(call, deadline)
        assert isinstance(issued, Credentials)  # noqa: S101 - what both actions of a session return
        return issued

    def identify(self, request: SessionRequest) -> CallerIdentity:
        """Whose the source credentials are.

        :raises AccessDenied: AWS does not accept them.
        :raises SessionError: the network, the clock, throttling.
        :raises ConfigError: there is no such endpoint or CA bundle, or it would be asked in the clear.
        """
        if request.source is None:
            raise SessionError("STS needs a key to work with, and there is none")
        check(request.parameters, self._context.environ)
        endpoint = {name: value for name, value in request.parameters.items() if name not in FIELDS}
        call = _Call({**endpoint, "action": IDENTITY}, request.source, None, self._context.environ)
        identity = self._run(call, request.deadline)
        assert isinstance(identity, CallerIdentity)  # noqa: S101 - what this action returns
        return identity

    def _run(self, call: _Call, deadline: float) -> Answer:
        """The answer to the call, or an error at the deadline: the lookup of a host name cannot be interrupted."""
        try:
            result = self._context.wait(call.run, timeout=deadline - time.monotonic())
        except TimeoutError:
            raise SessionError(f"{call.attempt.host} did not answer in time", hint=CHECK_NETWORK) from None
        finally:
            call.over.set()
        if isinstance(result, Failure):
            raise result.error
        return result


def _code(request: SessionRequest) -> Secret | None:
    serial = request.parameters.get("mfa_serial")
    if serial is None:
        return None
    # Authenticators show the digits in groups, and people type them so.
    digits = b"".join(request.mfa().reveal().split())
    if not re.fullmatch(rb"[0-9]{6}", digits):
        raise MfaRejected(f"the MFA code for {serial} is not six digits", hint="type the code that the device shows")
    return Secret(digits)


class _Call:
    """One call with its repetitions.

    :ivar over: set when nobody waits for it any more; it then stops at the next occasion.
    :ivar attempt: for messages.
    """

    def __init__(
        self, parameters: Mapping[str, Any], source: Credentials, code: Secret | None, environ: Mapping[str, str]
    ) -> None:
        self.over = threading.Event()
        self._parameters = parameters
        self._source = source
        self._code = code
        self._environ = environ
        secrets = (source.secret_access_key, source.session_token, code)
        self.attempt = Attempt(
            host=f"STS in {parameters['region']}" if "region" in parameters else "STS",
            key_id=source.access_key_id,
            session=source.session_token is not None,
            role=parameters.get("role_arn"),
            mfa_serial=parameters.get("mfa_serial"),
            identity=parameters["action"] == IDENTITY,
            secrets=tuple(secret for secret in secrets if secret is not None),
        )

    def run(self) -> Answer | Failure:
        """The answer, or why there are none. Never raises: a traceback of the SDK stays here."""
        try:
            client = connect(self._parameters, self._source, self._environ)
        except Exception as error:  # noqa: BLE001 - explained; the SDK's own text may hold a secret
            return explain(error, self.attempt)
        self.attempt = replace(self.attempt, host=urlsplit(client.meta.endpoint_url).netloc)
        with closing(client):
            return self._repeat(client)

    def _repeat(self, client: Any) -> Answer | Failure:
        for pause in (*PAUSES, None):
            result = self._once(client)
            if not isinstance(result, Failure) or pause is None or not self._again(result.repeat):
                break
            if self.over.wait(pause):
                break
        return result

    def _again(self, repeat: Repeat) -> bool:
        return repeat is Repeat.ALWAYS or (repeat is Repeat.WITHOUT_CODE and self._code is None)

    def _once(self, client: Any) -> Answer | Failure:
        try:
            if self._parameters["action"] == IDENTITY:
                return _identity(client.get_caller_identity())
            if self._parameters["action"] == "AssumeRole":
                return _credentials(client.assume_role(**self._arguments()))
            return _credentials(client.get_session_token(**self._arguments()))
        except Exception as error:  # noqa: BLE001 - explained; the SDK's own text may hold a secret
            return explain(error, self.attempt)

    def _arguments(self) -> dict[str, Any]:
        found = {FIELDS[name]: value for name, value in self._parameters.items() if name in FIELDS}
        if self._code is not None:
            found["TokenCode"] = self._code.reveal_text()
        if self._parameters["action"] == "AssumeRole":
            found["RoleSessionName"] = self._parameters.get("role_session_name", f"awsv-{time.time_ns()}")
        if "session_tags" in self._parameters:
            found["Tags"] = [{"Key": key, "Value": value} for key, value in self._parameters["session_tags"].items()]
        return found


def _identity(answer: Mapping[str, Any]) -> CallerIdentity:
    """The answer's identity.

    :raises Exception: of any kind, where the answer does not hold it.
    """
    account, arn = answer["Account"], answer["Arn"]
    if not (re.fullmatch(r"[0-9]{12}", account) and arn.isprintable() and arn.startswith("arn:")):
        raise ValueError("no identity")
    return CallerIdentity(account=account, arn=arn)


def _credentials(answer: Mapping[str, Any]) -> Credentials:
    """The answer's credentials.

    :raises Exception: of any kind, where the answer does not hold them.
    """
    found = answer["Credentials"]
    expires = found["Expiration"].astimezone(UTC)
    if expires <= datetime.now(UTC):
        raise SessionError("STS answered with a session that has expired", hint="check this machine's clock")
    texts = [found[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    if not all(isinstance(text, str) and text.isascii() and text.isprintable() and text for text in texts):
        raise ValueError("empty or unprintable credentials")
    key_id, secret, token = texts
    return Credentials(
        access_key_id=key_id, secret_access_key=Secret(secret), session_token=Secret(token), expires=expires
    )
