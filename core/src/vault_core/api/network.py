"""The proxy of a request, and the refusal of plain HTTP: one rule for every plugin that talks to a server.

The rules of the HTTP libraries differ in the variables and exceptions that they know.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from vault_core.errors import ConfigError
from vault_core.settings import PLAIN_HTTP

_PORTS = {"http": 80, "https": 443}
_NETLOC = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]*)?", re.ASCII | re.IGNORECASE)
"""Network locations that every URL parser reads alike: without a user, a backslash or a non-ASCII letter."""
_LOCALHOST = re.compile(r"([a-z0-9_-]+\.)*localhost\.?", re.ASCII | re.IGNORECASE)
"""Names that mean this machine (RFC 6761)."""


def is_loopback(host: str) -> bool:
    """Whether a host is certainly this machine: ``localhost``, 127.0.0.0/8 or ::1.

    No name is resolved, because the next lookup can return another address. So ``api.localhost`` does not count: many
    systems ask the network for it.

    :param host: as :func:`urllib.parse.urlsplit` returns it, without brackets.
    """
    from ipaddress import IPv4Address, ip_address

    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if not isinstance(address, IPv4Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy for a request; None if the request goes directly to its host.

    The variables are ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, lower case before upper case.
    Whatever they say, a request to this machine, or to a name below ``localhost``, never uses a proxy.

    :param environ: the environment of the context.
    :raises ConfigError: the proxy is not an HTTP proxy, or its URL is invalid.
    """
    place = _place(url)
    if is_loopback(place.host) or _LOCALHOST.fullmatch(place.host) or _named(place, _either_case(environ, "no_proxy")):
        return None
    proxy = _own_proxy(place.scheme, environ) or _either_case(environ, "all_proxy")
    kind = proxy.partition("://")[0].lower() if "://" in proxy else "http"
    if kind not in _PORTS:
        raise ConfigError(
            f"the proxy for {place.scheme}:// requests is a {kind}:// one, which awsv cannot use",
            hint=f"set {place.scheme.upper()}_PROXY to an http:// proxy",
        )
    if proxy and not _has_host(proxy if "://" in proxy else f"http://{proxy}"):
        raise ConfigError(
            f"the proxy for {place.scheme}:// requests is not a valid URL",
            hint=f"set {place.scheme.upper()}_PROXY to one such as http://proxy.example.com:3128",
        )
    return proxy or None


def refuse_plain_http(url: str, environ: Mapping[str, str]) -> None:
    """Refuse to send a request with secrets in it, or in its answer, without TLS; call it before the request.

    :param environ: the environment of the context. Its ``AWS_VAULT_PLAIN_HTTP`` names hosts to which the user trusts
        the network.
    :raises ConfigError: the request would cross a network without TLS, or its host is not certain.
    """
    place = _place(url)
    if place.scheme == "https":
        return
    if place.scheme != "http" or not place.host:
        raise ConfigError(
            f"{place.shown} does not name a server", hint="write it as https://host:port, without a user in it"
        )
    if is_loopback(place.host) or _named(place, environ.get(PLAIN_HTTP, "")):
        return
    raise ConfigError(
        f"{place.shown} would carry secrets in the clear",
        hint=f"give an https:// address, or set {PLAIN_HTTP}={place.host} if you trust the network on the way to it",
    )


class _Place(NamedTuple):
    scheme: str
    host: str
    """Empty if two programs could read it differently."""
    port: int | None
    shown: str
    """For messages, without what precedes the host: it may be a password."""


def _place(url: str) -> _Place:
    from urllib.parse import urlsplit  # not at module level: most commands need neither it nor ipaddress

    try:
        parts = urlsplit(url)
        host = (parts.hostname or "") if _NETLOC.fullmatch(parts.netloc) else ""
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # an unclosed bracket, or an invalid port
        return _Place("", "", None, "an invalid URL")
    netloc = parts.netloc.rpartition("@")[2]
    return _Place(parts.scheme, host, port, f"{parts.scheme}://{netloc}" if parts.scheme else "an invalid URL")


def _has_host(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and not re.search(r"\s", parts.netloc) and parts.port != 0
    except ValueError:  # an unclosed bracket, or an invalid port
        return False


def _either_case(environ: Mapping[str, str], name: str) -> str:
    """The value of a variable in lower case, else in upper case."""
    return environ.get(name) or environ.get(name.upper()) or ""


def _own_proxy(scheme: str, environ: Mapping[str, str]) -> str:
    if scheme == "http" and "REQUEST_METHOD" in environ:
        # In a CGI program HTTP_PROXY is the ``Proxy`` header of the request ("httpoxy").
        return environ.get("http_proxy", "")
    return _either_case(environ, f"{scheme}_proxy")


def _named(place: _Place, rules: str) -> bool:
    """Whether a rule matches: a host, a domain or a network, with or without a port, or ``*``."""
    return any(_names(rule.strip().lower(), place) for rule in rules.split(",") if rule.strip())


def _names(rule: str, place: _Place) -> bool:
    from ipaddress import ip_address, ip_network

    if rule == "*":
        return True
    name = rule.removesuffix(f":{place.port}") if rule.count(":") == 1 or "]:" in rule else rule
    name = name.lstrip(".").removeprefix("[").removesuffix("]")
    try:
        address = ip_address(place.host)
    except ValueError:
        return bool(name) and f".{place.host}".endswith(f".{name}")
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return False
