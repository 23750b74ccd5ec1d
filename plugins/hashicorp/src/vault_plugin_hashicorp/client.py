"""The client of the server: sends requests, retries while the cluster elects a leader, and has a limit for every wait.

Callers send only requests that are safe to repeat: reads, and writes with check-and-set. A request without a response
may have been executed; the caller has to find out. Error messages are made from status codes here: texts of the server
and of ``hvac``'s exceptions are never shown.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import hvac  # noqa: TID253 - this module is imported when the store is opened
import requests  # noqa: TID253 - this module is imported when the store is opened
import urllib3
from hvac.adapters import RawAdapter  # noqa: TID253 - this module is imported when the store is opened

from vault_core.api import ConfigError, Context, StorageLocked, StorageUnavailable, VaultError
from vault_plugin_hashicorp.fields import inner
from vault_plugin_hashicorp.server import Server
from vault_plugin_hashicorp.transport import HEALTH, Response, Transport

CONNECT_SECONDS = 5.0
"""For one connection, including the lookup of the host name."""
ANSWER_SECONDS = 10.0
"""Between two bytes of a response; the server itself gives up after 90 s (``default_max_request_duration``)."""
PATIENCE_SECONDS = 30.0
"""How long a request is retried. A cluster of three needs up to 15 s to replace a killed leader."""
_NO_PEM = ("PEM", "NO_CERTIFICATE", "KEY_VALUES_MISMATCH")
"""How OpenSSL reports an invalid file of certificates or of a key."""
_LONGEST_PAUSE = 1.0

_SEALED = 503
_UPGRADE = "from non-versioned to versioned data"
"""The text of a status 400 from a KV mount that a standby or a new leader has just taken over (kv ``upgrade.go``)."""
_REPEATED = frozenset({412, 429, 472, 473, 500, 502, 503, 504})
"""A standby that lags behind (412), too many requests (429), no leader, a load balancer without a member."""


class Unreachable(StorageUnavailable):
    """No connection to any address: nothing was sent."""


class VaultClient:
    """Sends requests to the members of one cluster.

    :param context: its ``check`` is called at least once a second.
    """

    def __init__(self, context: Context, server: Server) -> None:
        self._context = context
        self.server = server
        self._session = Transport(server)
        self.hvac = hvac.Client(
            url=server.addresses[0],
            token="",  # with None, hvac would look for a token
            cert=server.certificate or (),
            verify=server.verify,
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            session=self._session,
            adapter=RawAdapter,
            namespace=server.namespace or None,
            ignore_exceptions=True,
        )
        self._answered = False
        self.repeated = 0
        """The number of retries."""
        self.unanswered = 0
        """The number of requests without a valid response, which may have been executed."""
        if server.verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.notify(f"warning: TLS is not verified: an attacker on the way to {self.address} can read the keys")
        if len(server.addresses) > 1:
            self._find_active()

    @property
    def address(self) -> str:
        """The address in use."""
        return str(self.hvac.adapter.base_uri)

    def close(self) -> None:
        self._session.close()

    def send(self, request: Callable[[hvac.Client], Response]) -> Response:
        """Send a request that may be repeated, and retry while the server is unavailable.

        :returns: the response, with any other status than "not now".
        :raises Unreachable: there is no connection to any member, and never was.
        :raises StorageLocked: every member is sealed.
        :raises StorageUnavailable: there was no response in time; the request may have been executed.
        """
        started, pause, tries, first = time.monotonic(), 0.1, 0, not self._answered
        while True:
            self._context.check()  # a fast response never waits, so wait() does not check
            outcome = self._try(request)
            if not isinstance(outcome, VaultError):
                self._answered = True
                return outcome
            tries += 1
            self.unanswered += not isinstance(outcome, Unreachable | StorageLocked)
            # A server that never responded is not a cluster that elects a leader.
            hopeless = first and isinstance(outcome, Unreachable | StorageLocked)
            if hopeless and tries >= len(self.server.addresses):
                raise outcome
            if time.monotonic() - started > PATIENCE_SECONDS:
                raise outcome
            if not hopeless:
                self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, so clients do not retry in step
                pause = min(pause * 2, _LONGEST_PAUSE)
            self.repeated += 1
            self._find_active()

    def _try(self, request: Callable[[hvac.Client], Response]) -> Response | VaultError:
        """A valid response, or the error that explains why there is none.

        :raises StorageUnavailable: a retry would not help.
        """
        try:
            response = self._wait(lambda: request(self.hvac))
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            return self._no_answer(error)
        if response.status_code == _SEALED and _says(response, "sealed"):
            return StorageLocked(f"{self.address} is sealed", hint="ask its operators to run: bao operator unseal")
        if response.status_code in _REPEATED or (response.status_code == 400 and _says(response, _UPGRADE)):
            return StorageUnavailable(
                f"{self.address} cannot serve requests now (HTTP status {response.status_code})",
                hint="its cluster may be without a leader: try again, or ask its operators",
            )
        if response.status_code != 204 and not _is_ours(response):
            # A captive portal or a proxy: its 404 must not be taken for "there is no such item".
            raise StorageUnavailable(
                f"the response of {self.address} (HTTP status {response.status_code}) is not from Vault or OpenBao",
                hint="check VAULT_ADDR, and the proxies on the way",
            )
        return response

    def _no_answer(self, error: Exception) -> VaultError:
        """The error for an exception, without its text, which may contain the request.

        :raises StorageUnavailable: a retry would not help.
        """
        kinds = requests.exceptions
        if isinstance(error, kinds.SSLError):
            return self._no_tls(error)
        if isinstance(error, kinds.ProxyError):
            return Unreachable(f"no connection to {self.address} through the proxy", hint="check HTTPS_PROXY, NO_PROXY")
        if isinstance(error, kinds.ConnectTimeout) or _never_sent(error):
            where = ", ".join(self.server.addresses)
            return Unreachable(f"no connection to {where}", hint="check VAULT_ADDR, the network, and that it runs")
        if isinstance(error, kinds.Timeout):
            return StorageUnavailable(f"{self.address} did not answer in time", hint="try again")
        if isinstance(error, kinds.ConnectionError | kinds.ChunkedEncodingError):
            return StorageUnavailable(f"{self.address} closed the connection", hint="try again")
        if isinstance(error, kinds.TooManyRedirects):
            return StorageUnavailable(f"{self.address} redirects to a leader that does not answer", hint="try again")
        raise StorageUnavailable(
            f"no valid response from {self.address}: {type(error).__name__}", hint="check VAULT_ADDR, VAULT_NAMESPACE"
        ) from None

    def _no_tls(self, error: requests.exceptions.SSLError) -> StorageUnavailable:
        """:raises VaultError: a retry would not help."""
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "doesn't match" in str(error):
            raise StorageUnavailable(
                f"the certificate of {self.address} is not from a trusted authority, or is for another name",
                hint="set VAULT_CACERT to the file of its certificate authority",
            ) from None
        if not self._answered and any(sign in str(error) for sign in _NO_PEM):
            files = [self.server.verify, *(self.server.certificate or ())]
            named = ", ".join(file for file in files if isinstance(file, str))
            raise ConfigError(f"one of these is not a PEM file, or has the wrong content: {named}") from None
        failure = StorageUnavailable(
            f"the TLS handshake with {self.address} failed", hint="check the address: https:// and the port"
        )
        if self._answered:  # a member that dies during the handshake
            return failure
        raise failure from None

    def _wait(self, request: Callable[[], Response]) -> Response:
        """The response to a request, with a time limit that covers the lookup of the host name."""
        try:
            return self._context.wait(request, timeout=CONNECT_SECONDS + ANSWER_SECONDS)
        except TimeoutError:
            raise requests.exceptions.ReadTimeout from None

    def _sleep(self, seconds: float) -> None:
        self._context.wait(lambda: time.sleep(seconds), timeout=PATIENCE_SECONDS + seconds)

    def _find_active(self) -> None:
        """Use the address of the leader; else of a member that answers; else the next one."""
        members = self.server.addresses
        if len(members) == 1:
            return
        current = members.index(self.address)
        answering: list[str] = []
        for address in (*members[current:], *members[:current]):
            match self._health(address):
                case 200:
                    self.hvac.adapter.base_uri = address
                    return
                case 429 | 472 | 473:
                    answering.append(address)
        self.hvac.adapter.base_uri = answering[0] if answering else members[(current + 1) % len(members)]

    def _health(self, address: str) -> int | None:
        """The status of a member's health endpoint; None if it does not answer."""
        limits = (CONNECT_SECONDS, CONNECT_SECONDS)
        try:
            response = self._wait(lambda: self._session.get(address + HEALTH, timeout=limits))
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, StorageUnavailable):
            return None
        return int(response.status_code)


def _says(response: Response, word: str) -> bool:
    return any(word in text for text in errors(response))


def errors(response: Response) -> list[str]:
    """The server's error messages in lower case, to be recognised, and never shown."""
    messages = (document(response) or {}).get("errors")
    return [str(message).lower() for message in messages] if isinstance(messages, list) else []


def document(response: Response) -> dict[str, Any] | None:
    """The JSON object in a response, or None."""
    try:
        value = response.json()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_ours(response: Response) -> bool:
    """Whether a response is from Vault: its failures have ``errors``, and deleted items have ``data``."""
    value = document(response)
    return value is not None and (response.ok or not value.keys().isdisjoint(("errors", "data")))


def section(response: Response, name: str) -> dict[str, Any]:
    """An object in the response's object (``data``, ``auth``); empty if it is missing."""
    return inner(document(response) or {}, name)


def _never_sent(error: BaseException) -> bool:
    """Whether the connection failed before anything was sent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
