"""HTTP for the server, without settings of the process's environment, and with a limit for the size of a response."""

import shlex
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests  # noqa: TID253 - this module is imported when the store is opened
import urllib3
from requests.adapters import HTTPAdapter  # noqa: TID253 - this module is imported when the store is opened

from vault_core.api import StorageUnavailable
from vault_plugin_hashicorp.server import Server, names_a_server, shown

MOST_BYTES = 4 * 2**20
"""The maximum size of a response: servers accept values up to 1 MiB, and a list may have a hundred thousand names."""
HEALTH = "/v1/sys/health"

Response = Any
"""``requests.Response``; the library has no type annotations."""


class Transport(requests.Session):
    """A session that ignores the process's environment, and follows redirects of a standby to its leader.

    The leader needs the token, so redirects are followed to the configured addresses only.
    """

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = 2
        self._server = server
        self.verify = server.verify
        self.cert = server.certificate
        # The limit could not be applied to a decompressed response.
        self.headers["Accept-Encoding"] = "identity"
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(server.server_name))
        # Vault Enterprise and OpenBao: a standby that would answer reads forwards them to the leader, if its operator
        # allows that (allow_forwarding_via_header).
        self.headers["X-Vault-Inconsistent"] = "forward-active-node"
        self._index = ""
        self.hooks["response"].append(self._remember_index)

    def prepare_request(self, request: Any) -> Any:
        prepared = super().prepare_request(request)
        if self._index and not prepared.path_url.endswith(HEALTH):
            # A later response must include every state that was read or written before.
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
    """Limits the size of responses, and verifies the certificate for another name than the address's if one is set."""

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
            # requests looks for the content here first.
            response._content, response._content_consumed = _limited(response.raw, request.url), True
        except BaseException:
            response.close()
            raise
        return response


def _limited(raw: Any, url: str) -> bytes:
    """:raises StorageUnavailable: there is more than :data:`MOST_BYTES`."""
    kinds, content = requests.exceptions, bytearray()
    try:
        # Not raw.stream(), which has no limit for the lines between chunks. Not raw.read(), which reads without a limit
        # if a chunk has a negative length.
        while len(content) <= MOST_BYTES and (part := raw.read1(MOST_BYTES + 1 - len(content))):
            content += part
    except urllib3.exceptions.ReadTimeoutError:
        raise kinds.ReadTimeout from None
    except urllib3.exceptions.HTTPError:
        raise kinds.ChunkedEncodingError from None
    if len(content) > MOST_BYTES:
        raise StorageUnavailable(
            f"the response of {_address(url)} is larger than {MOST_BYTES // 2**20} MiB",
            hint="check VAULT_ADDR, and the proxies on the way",
        )
    return bytes(content)


def _check_redirection(server: Server, response: Response, target: str) -> None:
    """:raises StorageUnavailable: following the redirect would leak the token or change the request."""
    asked = f"{_address(response.url)} redirects to"
    try:
        url = urljoin(response.url, target)
        is_ours = server.is_ours(url) and "@" not in urlsplit(url).netloc
    except ValueError:  # an unbalanced bracket, an invalid port
        raise StorageUnavailable(f"{asked} an invalid URL", hint="ask its operators") from None
    place = _address(url)
    if not is_ours:
        # By adding the address, the user decides that it may get the token.
        both = ",".join((*server.addresses, place))
        add = f"if it is a member of the same cluster, set AWS_VAULT_HASHICORP_ADDRESS={shlex.quote(both)}"
        hint = add if names_a_server(place) else "ask its operators"
        raise StorageUnavailable(f"{asked} {place}, which is not one of the configured addresses", hint=hint)
    if response.status_code < 307 and response.request.method != "GET":
        # requests would continue with a GET: nothing would be written, and a list would be empty.
        why = f"with HTTP status {response.status_code}, which would turn the request into a read"
        raise StorageUnavailable(f"{asked} {place}, {why}", hint="set VAULT_ADDR to the address of the leader itself")


def _address(url: str) -> str:
    """The server of a URL in a form to show, without a password."""
    parts = urlsplit(url)
    return shown(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
