"""The session provider ``sts``: GetSessionToken, AssumeRole, and GetCallerIdentity to identify a key.

A call that AWS refuses is made once. A call that fails for another reason is repeated, with an MFA code only if AWS
cannot have used the code.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any

from vault_botocore.failures import Failure, Outcome
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
from vault_plugin_aws.call import REPEATABLE, ClientCall, renewal, secrets_of
from vault_plugin_aws.client import check, connect
from vault_plugin_aws.failures import StsAttempt
from vault_plugin_aws.iam import IamKeys

PAUSES = (0.5, 2.0)
"""Seconds before the second and the third (and last) attempt: STS counts requests per second."""

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
        issued = self._ask_sts(request.parameters, request.source, code, deadline)
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
        identity = self._ask_sts({**endpoint, "action": IDENTITY}, request.source, None, request.deadline)
        assert isinstance(identity, CallerIdentity)  # noqa: S101 - what this action returns
        return identity

    def console_url(self, request: ConsoleRequest) -> Secret:
        """The address that logs a browser in; see :mod:`vault_plugin_aws.console`.

        :raises SessionError: AWS refused the session, or did not answer.
        :raises ConfigError: the region, the page or the endpoint makes no sense.
        """
        from vault_plugin_aws.console import console_url

        return console_url(self._context, request)

    def _ask_sts(
        self, parameters: Mapping[str, Any], source: Credentials, code: Secret | None, deadline: float
    ) -> Answer:
        result = _call(parameters, source, code, self._context.environ).result(self._context, deadline)
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


def _call(
    parameters: Mapping[str, Any], source: Credentials, code: Secret | None, environ: Mapping[str, str]
) -> ClientCall[Answer]:
    attempt = StsAttempt(
        host=f"STS in {parameters['region']}" if "region" in parameters else "STS",
        caller=source.access_key_id,
        renew=renewal(source),
        role=parameters.get("role_arn"),
        mfa_serial=parameters.get("mfa_serial"),
        identity=parameters["action"] == IDENTITY,
        federation=parameters["action"] == FEDERATION,
        secrets=secrets_of(source, code),
    )
    return ClientCall(
        attempt,
        lambda: closing(connect(parameters, source, environ)),
        partial(_answer, parameters, code),
        pauses=PAUSES,
        # With a code only if AWS has not seen it: AWS accepts each code once.
        repeat={*REPEATABLE, Outcome.UNCERTAIN} if code is None else REPEATABLE,
    )


def _answer(parameters: Mapping[str, Any], code: Secret | None, client: Any) -> Answer:
    match parameters["action"]:
        case "GetCallerIdentity":
            return _identity(client.get_caller_identity())
        case "AssumeRole":
            return _credentials(client.assume_role(**_arguments(parameters, code)))
        case "GetFederationToken":
            return _credentials(client.get_federation_token(**_arguments(parameters, code)))
        case _:
            return _credentials(client.get_session_token(**_arguments(parameters, code)))


def _arguments(parameters: Mapping[str, Any], code: Secret | None) -> dict[str, Any]:
    found = {FIELDS[name]: value for name, value in parameters.items() if name in FIELDS}
    if code is not None:
        found["TokenCode"] = code.reveal_text()
    if parameters["action"] == "AssumeRole":
        found["RoleSessionName"] = parameters.get("role_session_name", f"awsv-{time.time_ns()}")
    if "session_tags" in parameters:
        found["Tags"] = [{"Key": key, "Value": value} for key, value in parameters["session_tags"].items()]
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
