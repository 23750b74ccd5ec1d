"""Sends one request and reads its response, in place of botocore's own transport.

Each request takes the proxy, or the direct connection, that the rules of :mod:`vault_core.api` give it, and the length
of a response is limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from vault_core.api import proxy_for, refuse_plain_http

MAX_BYTES = 2**20
"""The longest response. The ones that the plugins need have some ten thousand bytes."""


class TooLong(Exception):
    """A response is longer than :data:`MAX_BYTES`. The text names the host."""


def send(
    request: Any, *, environ: Mapping[str, str], verify: bool | str, timeout: tuple[float, float], **_: object
) -> Any:
    """Handle botocore's event ``before-send``: the returned response replaces the one that botocore would get.

    Redirections are not followed.

    :param environ: the proxy variables, and the hosts to which plain HTTP is allowed.
    :param verify: the file of trusted certificates; True for those of botocore.
    :param timeout: seconds to connect, and seconds between two bytes.
    :raises ConfigError: the request would carry secrets without TLS.
    :raises TooLong: the response is too long.
    :raises botocore.exceptions.BotoCoreError: there is no response.
    """
    from botocore.httpsession import URLLib3Session

    refuse_plain_http(request.url, environ)
    proxy = proxy_for(request.url, environ)
    proxies = {urlsplit(request.url).scheme: proxy} if proxy else {}
    with closing(URLLib3Session(verify=verify, proxies=proxies, timeout=timeout)) as http:
        request.stream_output = True  # otherwise botocore reads the whole response
        response = http.send(request)
        with closing(response.raw):
            response._content = _limited(response.raw, request.url)  # botocore looks here first
        return response


def _limited(raw: Any, url: str) -> bytes:
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
    from urllib3 import exceptions

    body = bytearray()
    try:
        # Not raw.stream(), which does not limit the lines between chunks. Not raw.read(), which reads everything where
        # the length of a chunk is negative.
        while len(body) <= MAX_BYTES and (more := raw.read1(MAX_BYTES + 1 - len(body))):
            body += more
    except exceptions.ReadTimeoutError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from None
    except exceptions.HTTPError as error:
        raise ConnectionClosedError(endpoint_url=url, error=error) from None
    if len(body) > MAX_BYTES:
        host = urlsplit(url).netloc.rpartition("@")[2]  # without a password
        raise TooLong(f"the response of {host} is longer than 1 MiB")
    return bytes(body)
