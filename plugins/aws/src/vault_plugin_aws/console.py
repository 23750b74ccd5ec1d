"""The address that logs a browser in to the AWS console with a session.

AWS's federation endpoint exchanges a session for a sign-in token ("Enable custom identity broker access to the AWS
console" in the IAM user guide). The session goes there in the body of a POST, so it is in no address that a proxy or a
server writes down.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from vault_botocore.failures import CHECK_NETWORK, Attempt, Failure, Outcome, Refusal
from vault_botocore.session import find_ca_bundle, session, silenced
from vault_botocore.transport import send
from vault_core.api import ConfigError, ConsoleRequest, Context, Secret, SessionError, refuse_plain_http
from vault_plugin_aws.call import Call, secrets_of
from vault_plugin_aws.client import CONNECT_SECONDS, READ_SECONDS
from vault_plugin_aws.parameters import REGION, SIGNIN_URL

ISSUER = "awsv"
"""What AWS's pages may name as the place to sign in again."""
PAUSES = (0.5, 2.0)
"""Seconds before the second and the third (and last) attempt."""

SIGNIN_TOKEN = re.compile(r"[!-~]{1,8192}")
"""Printable ASCII. AWS documents no length; the tokens seen have some hundred characters."""
SERVICE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
WHOLE = re.compile(r"https?://", re.IGNORECASE)
"""How a URL begins that was copied from a browser, host and all: it would be a page of that name."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Where a partition's console is."""

    signin: str
    """The host of the federation endpoint."""
    console: str
    """The host of the console, without the region before it."""
    region: str
    """The region of the console if none is set."""


PARTITIONS: Mapping[str, Partition] = {
    "aws": Partition("signin.aws.amazon.com", "console.aws.amazon.com", "us-east-1"),
    "aws-cn": Partition("signin.amazonaws.cn", "console.amazonaws.cn", "cn-north-1"),
    "aws-us-gov": Partition("signin.amazonaws-us-gov.com", "console.amazonaws-us-gov.com", "us-gov-west-1"),
    "aws-eusc": Partition("eusc-de-east-1.signin.amazonaws-eusc.eu", "console.amazonaws-eusc.eu", "eusc-de-east-1"),
    "aws-iso": Partition("signin.c2shome.ic.gov", "console.c2shome.ic.gov", "us-iso-east-1"),
    "aws-iso-b": Partition("signin.sc2shome.sgov.gov", "console.sc2shome.sgov.gov", "us-isob-east-1"),
    "aws-iso-e": Partition("signin.csphome.adc-e.uk", "console.csphome.adc-e.uk", "eu-isoe-west-1"),
    "aws-iso-f": Partition("signin.csphome.hci.ic.gov", "console.csphome.hci.ic.gov", "us-isof-south-1"),
}
"""From the IAM user guide (aws), the guides of the China and GovCloud partitions, the endpoints page of the European
Sovereign Cloud, and botocore's rules for the service ``signin`` (the others). AWS documents no console hosts for the
``iso`` partitions in public: theirs follow the pattern of the rest."""


def console_url(context: Context, request: ConsoleRequest) -> Secret:
    """See :meth:`vault_core.api.OpensConsole.console_url`."""
    region, partition = _place(request)
    destination = _destination(request, region, partition)
    endpoint = context.options.get(SIGNIN_URL.name) or f"https://{partition.signin}/federation"
    refuse_plain_http(endpoint, context.environ)
    exchange = _Exchange(endpoint, request, context.environ)
    result = exchange.result(context, request.deadline)
    if isinstance(result, Failure):
        raise result.error
    query = {
        "Action": "login",
        "Issuer": ISSUER,
        "Destination": destination,
        "SigninToken": result.reveal_text(),
    }
    return Secret(f"{endpoint}?{urlencode(query)}")


def _place(request: ConsoleRequest) -> tuple[str, Partition]:
    """The region and its partition, which must be that of the role: its session is worth nothing elsewhere.

    :raises ConfigError: the region belongs to no partition that has a console here, or not to the role's.
    """
    arn = str(request.parameters.get("role_arn", "")).split(":")
    of_role = arn[1] if len(arn) > 1 else None
    region = request.region or request.parameters.get("region")
    if region is None:
        partition = _known(of_role or "aws", "the role")
        return partition.region, partition
    if not re.fullmatch(REGION, region):
        raise ConfigError(f"{region!r} is not the name of an AWS region", hint="give one such as --region eu-west-1")
    of_region = _partition_of(region)
    if of_role and of_region != of_role:
        raise ConfigError(
            f"region {region} is in partition {of_region}, and the role in {of_role}",
            hint="give a region of the role's partition: --region REGION",
        )
    return region, _known(of_region, f"region {region}")


def _known(name: str, what: str) -> Partition:
    if name not in PARTITIONS:
        raise ConfigError(f"{what} is in partition {name}, whose console awsv does not know")
    return PARTITIONS[name]


def _partition_of(region: str) -> str:
    """The partition of a region by botocore's table, which has patterns for regions that it does not know."""
    from botocore.exceptions import UnknownRegionError

    with silenced():
        try:
            return str(session({}, timeout=(CONNECT_SECONDS, READ_SECONDS)).get_partition_for_region(region))
        except UnknownRegionError:
            pass
    raise ConfigError(
        f"region {region} is in no AWS partition that the installed botocore knows",
        hint="correct the region, or update botocore",
    )


def _destination(request: ConsoleRequest, region: str, partition: Partition) -> str:
    """The page that the browser shows once it is logged in; its host is always the console's.

    :raises ConfigError: the service or the page makes no sense.
    """
    if request.path is not None and request.service is not None:
        raise ConfigError("a page and a service at once", hint="give --path or --service")
    if request.service is not None and not SERVICE.fullmatch(request.service):
        raise ConfigError(
            f"{request.service!r} is not the name of a service in the console", hint="write it as in the console's URLs"
        )
    page = f"{request.service}/home" if request.service else (request.path or "console/home").lstrip("/")
    if WHOLE.match(request.path or ""):
        raise ConfigError("the page is a whole URL", hint="give what follows the host: s3/buckets, for example")
    before, hash_sign, fragment = page.partition("#")
    path, _, query = before.partition("?")
    if not path.isprintable() or not fragment.isprintable() or not query.isprintable():
        raise ConfigError("the page holds an unprintable character", hint="give --path as in the console's URLs")
    pairs = parse_qsl(query, keep_blank_values=True)
    if "region" not in dict(pairs):
        pairs.append(("region", region))
    shown = quote(path, safe="/%:@!$&'()*+,;=~-._")
    tail = hash_sign + quote(fragment, safe="/%?:@!$&'()*+,;=~-._")
    return f"https://{region}.{partition.console}/{shown}?{urlencode(pairs)}{tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SigninAttempt(Attempt):
    """For the messages about a connection that failed; AWS's own refusals do not reach the SDK."""

    def refused(self, refusal: Refusal) -> SessionError:
        return SessionError(f"{self.host} refused the session: {refusal.reason}", hint=self.renew)


class _Exchange(Call[Secret]):
    """A session for a sign-in token."""

    def __init__(self, endpoint: str, request: ConsoleRequest, environ: Mapping[str, str]) -> None:
        session = request.credentials
        attempt = _SigninAttempt(
            host=urlsplit(endpoint).netloc,
            caller=session.access_key_id,
            renew=CHECK_NETWORK,
            secrets=secrets_of(session),
        )
        super().__init__(attempt, lambda: self._answered(self._send()), pauses=PAUSES)
        self._endpoint = endpoint
        self._request = request
        self._environ = environ

    def _send(self) -> Any:
        from botocore.awsrequest import AWSRequest

        prepared = AWSRequest(
            "POST",
            self._endpoint,
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            data=self._form(),
        ).prepare()
        verify = find_ca_bundle(self._environ, self._request.parameters.get("ca_bundle")) or True
        return send(prepared, environ=self._environ, verify=verify, timeout=(CONNECT_SECONDS, READ_SECONDS))

    def _form(self) -> bytes:
        credentials = self._request.credentials
        if credentials.session_token is None:
            raise SessionError("the console needs a session, and this is a long-term key")
        session = {
            "sessionId": credentials.access_key_id,
            "sessionKey": credentials.secret_access_key.reveal_text(),
            "sessionToken": credentials.session_token.reveal_text(),
        }
        form = {"Action": "getSigninToken", "Session": json.dumps(session)}
        if self._request.seconds is not None:
            form["SessionDuration"] = str(self._request.seconds)
        return urlencode(form).encode("ascii")

    def _answered(self, response: Any) -> Secret | Failure:
        """What the endpoint answered. None of its text is shown: it may repeat what it was sent."""
        status, host = response.status_code, self.attempt.host
        if status == 200:
            return _token(response.content, host)
        if 300 <= status < 400:
            return Failure(SessionError(f"{host} redirects the session elsewhere (HTTP {status}): not followed"))
        if status == 429 or status >= 500:
            text = f"{host} failed (HTTP {status})"
            return Failure(SessionError(text, hint="repeat in a minute"), Outcome.THROTTLED)
        return Failure(
            SessionError(
                f"{host} refused the session (HTTP {status}): it has expired, or AWS does not open the console"
                " for it as requested",
                hint="run 'awsv clear', then repeat, without --duration if you gave one",
            )
        )


def _token(body: bytes, host: str) -> Secret | Failure:
    try:
        token = json.loads(body)["SigninToken"]
        if not SIGNIN_TOKEN.fullmatch(token):
            raise ValueError("not a token")
    except (ValueError, TypeError, KeyError, RecursionError):
        text = f"{host} answered without a sign-in token"
        return Failure(SessionError(text, hint="check sts.signin-url and the proxy variables"), Outcome.UNREADABLE)
    return Secret(token)
