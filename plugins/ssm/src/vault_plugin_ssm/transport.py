"""One request and its answer, in place of botocore's own sending: by the way that is allowed, and with an end.

The distributions ``vault-plugin-aws`` and ``vault-plugin-ssm`` each have this file, the same to the letter (ADR 0014
says why it is not one).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from vault_core.api import proxy_for, refuse_plain_http

MOST_BYTES = 2**20
"""Of an answer. The longest that we ask for has some ten thousand."""


class TooLong(Exception):
    """An answer of more than :data:`MOST_BYTES`; the text says whose."""


def send(
    request: Any, *, environ: Mapping[str, str], verify: bool | str, timeout: tuple[float, float], **_: object
) -> Any:
    """The answer to a request, which is followed nowhere; botocore takes it for its own (event ``before-send``).

    :param environ: proxies, and the hosts that may be talked to without TLS.
    :param verify: the file of trusted certificates; True: those that come with botocore.
    :param timeout: seconds to connect, and between two bytes.
    :raises ConfigError: it would travel in the clear.
    :raises TooLong: the answer may have no end.
    :raises botocore.exceptions.BotoCoreError: there is none.
    """
    from botocore.httpsession import URLLib3Session

    refuse_plain_http(request.url, environ)
    proxy = proxy_for(request.url, environ)
    proxies = {urlsplit(request.url).scheme: proxy} if proxy else {}
    with closing(URLLib3Session(verify=verify, proxies=proxies, timeout=timeout)) as http:
        request.stream_output = True  # else botocore keeps all that comes
        answer = http.send(request)
        with closing(answer.raw):
            answer._content = _limited(answer.raw, request.url)  # where botocore looks for it first
        return answer


def _limited(raw: Any, url: str) -> bytes:
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
    from urllib3 import exceptions

    kept = bytearray()
    try:
        # Not raw.stream(): it has no limit for the lines between chunks. Not raw.read(): of a chunk whose length is
        # negative it reads all that comes.
        while len(kept) <= MOST_BYTES and (more := raw.read1(MOST_BYTES + 1 - len(kept))):
            kept += more
    except exceptions.ReadTimeoutError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from None
    except exceptions.HTTPError as error:
        raise ConnectionClosedError(endpoint_url=url, error=error) from None
    if len(kept) > MOST_BYTES:
        host = urlsplit(url).netloc.rpartition("@")[2]  # without a password
        raise TooLong(f"{host} answers with more than 1 MiB")
    return bytes(kept)
