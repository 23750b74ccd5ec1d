"""The session provider ``sts``: GetSessionToken, AssumeRole, and GetCallerIdentity to identify a key.

A call that AWS refuses is made once. A call that fails for another reason is repeated, with an MFA code only if AWS
cannot have used the code. Each call runs in a thread that is abandoned at the request's deadline and at Ctrl-C.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from vault_botocore.failures import CHECK_NETWORK, Failure, Outcome, explain
from vault_botocore.session import silenced
from vault_core.api import (
    CallerIdentity,
    ConsoleRequest,
    Context,
    Credentials,
    IdentifiesCaller,
    MfaRejected,
    OpensConsole,
    Secret,
    SessionError,
    SessionProvider,
    SessionRequest,
)
from vault_plugin_aws.client import check, connect
from vault_plugin_aws.failures import StsAttempt
from vault_plugin_aws.iam import IamKeys

PAUSES = (0.5, 2.0)
"""Seconds before the second and the third (and last) attempt: STS counts requests per second."""

NEW_KEY = "store an active access key of the user with 'awsv add'"

Answer = Credentials | CallerIdentity

FIELDS = {
    "role_arn": "RoleArn",
    "external_id": "ExternalId",
    "source_identity": "SourceIdentity",
    "mfa_serial": "SerialNumber",
    "duration_seconds": "DurationSeconds",
    "name": "Name",
    "policy": "Policy",
    "transitive_session_tags": "TransitiveTagKeys",
}
"""The parameters that are passed to STS unchanged, with STS's names."""

IDENTITY = "GetCallerIdentity"
FEDERATION = "GetFederationToken"


class StsProvider(IamKeys, SessionProvider, IdentifiesCaller, OpensConsole):
    """Sessions of AWS STS, and the access keys of the users that they start from.

    :param context: its environment gives the proxies and the CA bundle.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def issue(self, request: SessionRequest) -> Credentials:
        """Make the session. The time in which the user looks for the MFA code does not count.

        :raises MfaRejected: AWS did not accept the code, or it is not six digits.
        :raises AccessDenied: AWS refused the call or the source's key.
        :raises SessionError: the network, the clock, throttling, or an unexpected response.
        :raises ConfigError: the endpoint or the CA bundle does not exist, or the session would travel without TLS.
        """
        if request.source is None:
            raise SessionError("STS needs a key, and there is none")
        check(request.parameters, self._context.environ)
        asked = time.monotonic()
        code = _code(request)
        deadline = request.deadline + time.monotonic() - asked
        call = _Call(request.parameters, request.source, code, self._context.environ)
        issued = self._run(call, deadline)
        assert isinstance(issued, Credentials)  # noqa: S101 - what both actions of a session return
        return issued

    def identify(self, request: SessionRequest) -> CallerIdentity:
        """The identity of the source credentials.

        :raises AccessDenied: AWS refused them.
        :raises SessionError: the network, the clock, throttling, or an unexpected response.
        :raises ConfigError: the endpoint or the CA bundle does not exist, or a secret would travel without TLS.
        """
        if request.source is None:
            raise SessionError("STS needs a key, and there is none")
        check(request.parameters, self._context.environ)
        endpoint = {name: value for name, value in request.parameters.items() if name not in FIELDS}
        call = _Call({**endpoint, "action": IDENTITY}, request.source, None, self._context.environ)
        identity = self._run(call, request.deadline)
        assert isinstance(identity, CallerIdentity)  # noqa: S101 - what this action returns
        return identity

    def console_url(self, request: ConsoleRequest) -> Secret:
        """The address that logs a browser in; see :mod:`vault_plugin_aws.console`.

        :raises SessionError: AWS refused the session, or did not answer.
        :raises ConfigError: the region, the page or the endpoint makes no sense.
        """
        from vault_plugin_aws.console import console_url

        return console_url(self._context, request)

    def _run(self, call: _Call, deadline: float) -> Answer:
        """The call's result, or an error at the deadline: the lookup of a host name cannot be interrupted."""
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
    # Authenticators show the digits in groups, and users type them so.
    digits = b"".join(request.mfa().reveal().split())
    if not re.fullmatch(rb"[0-9]{6}", digits):
        raise MfaRejected(f"the MFA code for {serial} is not six digits", hint="type the code that the device shows")
    return Secret(digits)


class _Call:
    """One call with its repetitions.

    :ivar over: set when its result is no longer wanted; no further attempt follows.
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
        self.attempt = StsAttempt(
            host=f"STS in {parameters['region']}" if "region" in parameters else "STS",
            caller=source.access_key_id,
            renew="run 'awsv clear', then repeat" if source.session_token else NEW_KEY,
            role=parameters.get("role_arn"),
            mfa_serial=parameters.get("mfa_serial"),
            identity=parameters["action"] == IDENTITY,
            federation=parameters["action"] == FEDERATION,
            secrets=tuple(secret for secret in secrets if secret is not None),
        )

    def run(self) -> Answer | Failure:
        """The result, or the failure. Never raises: no traceback of the SDK leaves the thread."""
        with silenced():
            try:
                with connect(self._parameters, self._source, self._environ) as client:
                    self.attempt = replace(self.attempt, host=urlsplit(client.meta.endpoint_url).netloc)
                    return self._repeat(client)
            except Exception as error:  # noqa: BLE001 - explained; the SDK's own text can hold a secret
                return explain(error, self.attempt)

    def _repeat(self, client: Any) -> Answer | Failure:
        for pause in (*PAUSES, None):
            result = self._once(client)
            if not isinstance(result, Failure) or pause is None or not self._again(result.outcome):
                break
            if self.over.wait(pause):
                break
        return result

    def _again(self, outcome: Outcome) -> bool:
        if outcome is Outcome.UNCERTAIN:
            return self._code is None  # AWS may have seen the code, and accepts each code once
        return outcome in (Outcome.THROTTLED, Outcome.UNREACHABLE)

    def _once(self, client: Any) -> Answer | Failure:
        try:
            if self._parameters["action"] == IDENTITY:
                return _identity(client.get_caller_identity())
            if self._parameters["action"] == "AssumeRole":
                return _credentials(client.assume_role(**self._arguments()))
            if self._parameters["action"] == FEDERATION:
                return _credentials(client.get_federation_token(**self._arguments()))
            return _credentials(client.get_session_token(**self._arguments()))
        except Exception as error:  # noqa: BLE001 - explained; the SDK's own text can hold a secret
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
    """The identity in a response.

    :raises Exception: of any kind, if it is not there.
    """
    account, arn = answer["Account"], answer["Arn"]
    if not (re.fullmatch(r"[0-9]{12}", account) and arn.isprintable() and arn.startswith("arn:")):
        raise ValueError("not an identity")
    return CallerIdentity(account=account, arn=arn)


def _credentials(answer: Mapping[str, Any]) -> Credentials:
    """The credentials in a response.

    :raises Exception: of any kind, if they are not there.
    """
    found = answer["Credentials"]
    expires = found["Expiration"].astimezone(UTC)
    if expires <= datetime.now(UTC):
        raise SessionError("STS returned a session that has expired", hint="check this machine's clock")
    texts = [found[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    if not all(isinstance(text, str) and text.isascii() and text.isprintable() and text for text in texts):
        raise ValueError("empty or unprintable credentials")
    key_id, secret, token = texts
    return Credentials(
        access_key_id=key_id, secret_access_key=Secret(secret), session_token=Secret(token), expires=expires
    )
