"""One request to the server, with patience where it is worth it and with limits everywhere.

A request is repeated while the cluster chooses a leader, so only requests that may be repeated come here: reads, and
writes that check and set. What was sent and never answered may have been carried out; the caller finds out.
Messages are made here from status codes: the server's own texts, and ``hvac``'s exceptions, are shown to nobody.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import hvac  # noqa: TID253 - this module is imported when the store is opened
import requests  # noqa: TID253 - this module is imported when the store is opened
import urllib3
from hvac.adapters import RawAdapter  # noqa: TID253 - this module is imported when the store is opened

from vault_core.api import ConfigError, Context, StorageLocked, StorageUnavailable, VaultError
from vault_plugin_hashicorp.answers import inner
from vault_plugin_hashicorp.server import Server
from vault_plugin_hashicorp.transport import HEALTH, MOST_BYTES, NotFollowed, Response, TooLong, Transport

CONNECT_SECONDS = 5.0
"""To one address, names being looked up included."""
ANSWER_SECONDS = 10.0
"""Between two bytes of an answer; the server itself gives up after 90 s (``default_max_request_duration``)."""
PATIENCE_SECONDS = 30.0
"""How long a request is repeated. A cluster of three needs up to 15 s to replace a leader that was killed."""
_TICK = 0.5
_NO_PEM = ("PEM", "NO_CERTIFICATE", "KEY_VALUES_MISMATCH")
"""OpenSSL's words about a file of certificates or of a key."""
_LONGEST_PAUSE = 1.0

_SEALED = 503
_UPGRADE = "from non-versioned to versioned data"
"""A KV mount that a standby or a new leader has just taken over says so, as a 400 (kv ``upgrade.go``)."""
_REPEATED = frozenset({412, 429, 472, 473, 500, 502, 503, 504})
"""A standby that is behind (412), too many requests (429), no leader, a load balancer without a member."""


class Unreachable(StorageUnavailable):
    """No address can be connected to: nothing was sent."""


class Calls:
    """Requests to the members of one cluster.

    :param context: ``check`` is called at least once a second.
    """

    def __init__(self, context: Context, server: Server) -> None:
        self._context = context
        self.server = server
        self._session = Transport(server)
        self.client = hvac.Client(
            url=server.addresses[0],
            token="",  # None would have hvac look for one
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
        """How many requests were sent again."""
        self.unanswered = 0
        """How many may have been carried out although there was no answer that counts."""
        if server.verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.notify(f"warning: whoever is between us and {self.address} can read the keys: TLS is not verified")
        if len(server.addresses) > 1:
            self._find_active()

    @property
    def address(self) -> str:
        """The address in use."""
        return str(self.client.adapter.base_uri)

    def close(self) -> None:
        self._session.close()

    def send(self, request: Callable[[hvac.Client], Response]) -> Response:
        """The server's answer to a request that may be repeated, whatever it says short of "not now".

        :raises Unreachable: no member can be connected to, and none ever was.
        :raises StorageLocked: every member is sealed.
        :raises StorageUnavailable: there was no answer in time; whether the request was carried out is not known.
        """
        started, pause, tries, first = time.monotonic(), 0.1, 0, not self._answered
        while True:
            self._context.check()  # a server that is slow, but not slow enough to be waited for, is asked many times
            trouble = self._try(request)
            if not isinstance(trouble, VaultError):
                self._answered = True
                return trouble
            tries += 1
            self.unanswered += not isinstance(trouble, Unreachable | StorageLocked)
            # A server that was never there is no cluster that chooses a leader.
            hopeless = first and isinstance(trouble, Unreachable | StorageLocked)
            if hopeless and tries >= len(self.server.addresses):
                raise trouble
            if time.monotonic() - started > PATIENCE_SECONDS:
                raise trouble
            if not hopeless:
                self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that eight clients do not come at once
                pause = min(pause * 2, _LONGEST_PAUSE)
            self.repeated += 1
            self._find_active()

    def _try(self, request: Callable[[hvac.Client], Response]) -> Response | VaultError:
        """One answer, or why there is none that counts.

        :raises StorageUnavailable: it would not help to ask again.
        """
        try:
            response = self._wait(lambda: request(self.client))
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            return self._no_answer(error)
        if response.status_code == _SEALED and _says(response, "sealed"):
            return StorageLocked(f"{self.address} is sealed", hint="its operators unseal it: 'bao operator unseal'")
        if response.status_code in _REPEATED or (response.status_code == 400 and _says(response, _UPGRADE)):
            return StorageUnavailable(
                f"{self.address} cannot serve requests now (HTTP status {response.status_code})",
                hint="its cluster may be without a leader: try again, or ask its operators",
            )
        if response.status_code != 204 and not _is_ours(response):
            # A portal, or a proxy's own answer: its 404 must not be taken for "there is no such item".
            raise StorageUnavailable(
                f"{self.address} answers (HTTP status {response.status_code}), but not as Vault or OpenBao does",
                hint="check VAULT_ADDR, and what is between us and it",
            )
        return response

    def _no_answer(self, error: Exception) -> VaultError:
        """What an exception means; its own text may hold what was sent.

        :raises StorageUnavailable: it would not help to ask again.
        """
        kinds = requests.exceptions
        if isinstance(error, NotFollowed):
            raise StorageUnavailable(f"{self.address} sends us on to {error}", hint=error.hint) from None
        if isinstance(error, TooLong):
            raise StorageUnavailable(
                f"{self.address} answers with more than {MOST_BYTES // 2**20} MiB",
                hint="check VAULT_ADDR, and what is between us and it",
            ) from None
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
            return StorageUnavailable(f"{self.address} broke the connection off", hint="try again")
        if isinstance(error, kinds.TooManyRedirects):
            return StorageUnavailable(f"{self.address} names no leader that answers", hint="try again")
        raise StorageUnavailable(
            f"{self.address} gave no usable answer: {type(error).__name__}", hint="check VAULT_ADDR, VAULT_NAMESPACE"
        ) from None

    def _no_tls(self, error: requests.exceptions.SSLError) -> StorageUnavailable:
        """:raises VaultError: another try would end the same way."""
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "doesn't match" in str(error):
            raise StorageUnavailable(
                f"the certificate of {self.address} is not from an authority that we trust, or for another name",
                hint="set VAULT_CACERT to the file of its certificate authority",
            ) from None
        if not self._answered and any(sign in str(error) for sign in _NO_PEM):
            files = [self.server.verify, *(self.server.certificate or ())]
            named = ", ".join(file for file in files if isinstance(file, str))
            raise ConfigError(f"one of these is no PEM file, or not what it should hold: {named}") from None
        failure = StorageUnavailable(
            f"no TLS connection to {self.address} comes about", hint="is the address right: https:// and the port?"
        )
        if self._answered:  # a member that dies while it greets
            return failure
        raise failure from None

    def _wait(self, request: Callable[[], Response]) -> Response:
        """The answer to a request; the lookup of a host name has no time limit of its own."""
        try:
            return self._context.wait(request, timeout=CONNECT_SECONDS + ANSWER_SECONDS)
        except TimeoutError:
            raise requests.exceptions.ReadTimeout from None

    def _sleep(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._context.check()
            time.sleep(min(left, _TICK))

    def _find_active(self) -> None:
        """Turn to the leader; else to a member that answers; else to the next one."""
        members = self.server.addresses
        if len(members) == 1:
            return
        here = members.index(self.address)
        answering: list[str] = []
        for address in (*members[here:], *members[:here]):
            match self._health(address):
                case 200:
                    self.client.adapter.base_uri = address
                    return
                case 429 | 472 | 473:
                    answering.append(address)
        self.client.adapter.base_uri = answering[0] if answering else members[(here + 1) % len(members)]

    def _health(self, address: str) -> int | None:
        """The status that a member gives itself; None where it does not answer."""
        limits = (CONNECT_SECONDS, CONNECT_SECONDS)
        try:
            answer = self._wait(lambda: self._session.get(address + HEALTH, timeout=limits))
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError):
            return None
        return int(answer.status_code)


def _says(response: Response, word: str) -> bool:
    return any(word in text for text in errors(response))


def errors(response: Response) -> list[str]:
    """The server's own words, in lower case, to be recognised, never to be shown."""
    found = (document(response) or {}).get("errors")
    return [str(text).lower() for text in found] if isinstance(found, list) else []


def document(response: Response) -> dict[str, Any] | None:
    """The JSON object that an answer holds, or None."""
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_ours(response: Response) -> bool:
    """Whether an answer is Vault's: what is wrong is in ``errors``, and what is deleted has ``data`` about it."""
    found = document(response)
    return found is not None and (response.ok or not found.keys().isdisjoint(("errors", "data")))


def section(response: Response, name: str) -> dict[str, Any]:
    """An object in the answer's object (``data``, ``auth``); empty where there is none."""
    return inner(document(response) or {}, name)


def _never_sent(error: BaseException) -> bool:
    """Whether a failed connection failed before anything was sent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
