"""The way of one request: nothing of the process's environment counts, and the answer has an end."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests  # noqa: TID253 - this module is imported when the store is opened
import urllib3
from requests.adapters import HTTPAdapter  # noqa: TID253 - this module is imported when the store is opened

from vault_plugin_hashicorp.server import Server, names_a_server, shown

MOST_BYTES = 4 * 2**20
"""Of an answer: a value of the longest that servers take, 1 MiB, or some hundred thousand names."""
HEALTH = "/v1/sys/health"

Response = Any
"""``requests.Response``, which has no types."""


class NotFollowed(requests.exceptions.RequestException):
    """A redirection to where the token, or a request's meaning, would be lost.

    :param place: where it leads, as it may be shown.
    :param why: what keeps us from going there.
    """

    def __init__(self, place: str, why: str, hint: str) -> None:
        super().__init__(f"{place}, {why}")
        self.hint = hint


class TooLong(requests.exceptions.RequestException):
    """An answer that may have no end."""


class Transport(requests.Session):
    """Reads nothing of the process's environment, and follows a standby to its leader.

    The token goes along, as the leader needs it: so only to the addresses that are set.
    """

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = 2
        self._server = server
        self.verify = server.verify
        self.cert = server.certificate
        # What is unpacked has no limit of its own.
        self.headers["Accept-Encoding"] = "identity"
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(server.server_name))
        # Vault Enterprise and OpenBao: a standby that answers reads itself hands them to the leader, where its operator
        # allows that (allow_forwarding_via_header).
        self.headers["X-Vault-Inconsistent"] = "forward-active-node"
        self._index = ""
        self.hooks["response"].append(self._remember_index)

    def prepare_request(self, request: Any) -> Any:
        prepared = super().prepare_request(request)
        if self._index and not prepared.path_url.endswith(HEALTH):
            # What we were shown once, or wrote, is what every later answer must have seen.
            prepared.headers["X-Vault-Index"] = self._index
        return prepared

    def send(self, request: Any, **kwargs: Any) -> Response:
        return super().send(request, **kwargs | {"proxies": self._server.proxies_for(request.url)})

    def get_redirect_target(self, resp: Response) -> str | None:
        target: str | None = super().get_redirect_target(resp)
        if target:
            _check_redirection(self._server, resp, target)
        return target

    def _remember_index(self, response: Response, *_: Any, **__: Any) -> None:
        self._index = response.headers.get("X-Vault-Index") or self._index


class _Adapter(HTTPAdapter):
    """Answers with an end, and TLS with another name in the certificate than the address's."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._name:
            kwargs |= {"server_hostname": self._name, "assert_hostname": self._name}
        super().init_poolmanager(*args, **kwargs)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        response: Any = super().send(request, *args, **kwargs | {"stream": True})
        try:
            # Where requests looks for them first.
            response._content, response._content_consumed = _limited(response.raw), True
        except BaseException:
            response.close()
            raise
        return response


def _limited(raw: Any) -> bytes:
    kinds, kept = requests.exceptions, bytearray()
    try:
        # Not raw.stream(): it has no limit for the lines between chunks. Not raw.read(): of a chunk whose length is
        # negative it reads all that comes.
        while len(kept) <= MOST_BYTES and (more := raw.read1(MOST_BYTES + 1 - len(kept))):
            kept += more
    except urllib3.exceptions.ReadTimeoutError:
        raise kinds.ReadTimeout from None
    except urllib3.exceptions.HTTPError:
        raise kinds.ChunkedEncodingError from None
    if len(kept) > MOST_BYTES:
        raise TooLong
    return bytes(kept)


def _check_redirection(server: Server, response: Response, target: str) -> None:
    """:raises NotFollowed: it leads to where nobody goes."""
    try:
        url = urljoin(response.url, target)
        there = urlsplit(url)
        is_ours = server.is_ours(url) and "@" not in there.netloc
    except ValueError:  # a bracket that nobody closes, a port that is none
        raise NotFollowed("no address", "so nowhere", "ask its operators") from None
    place = shown(f"{there.scheme}://{there.netloc.rpartition('@')[2]}")  # without a password
    if not is_ours:
        # Whoever adds it says that it may have the token.
        both = ",".join((*server.addresses, place))
        add = f"if it is a member of the same cluster, set AWS_VAULT_HASHICORP_ADDRESS={shlex.quote(both)}"
        hint = add if names_a_server(place) else "ask its operators"
        raise NotFollowed(place, "which is none of the addresses that are set", hint)
    if response.status_code < 307 and response.request.method != "GET":
        # requests would go on with a GET: a write would be none, and a listing empty.
        why = f"with a read in place of what was asked (HTTP status {response.status_code})"
        raise NotFollowed(place, why, "set VAULT_ADDR to the address of the leader itself")
