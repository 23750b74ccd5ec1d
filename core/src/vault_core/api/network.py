"""Which way a request takes, and who could read it there: one rule for every plugin that talks to a server.

A library's own rule is of no use here: each knows other variables and other exceptions, and none knows what is secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from vault_core.errors import ConfigError
from vault_core.settings import PLAIN_HTTP

_PORTS = {"http": 80, "https": 443}
_NETLOC = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]*)?", re.ASCII | re.IGNORECASE)
"""What every parser of URLs takes for the same host: without user, backslash and letters that look like others."""
_LOCALHOST = re.compile(r"([a-z0-9_-]+\.)*localhost\.?", re.ASCII | re.IGNORECASE)
"""Names that nobody but this machine should answer for (RFC 6761)."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself for certain: ``localhost``, 127.0.0.0/8 or ::1.

    No name is looked up: where it leads to can be another place the next time. That goes for ``api.localhost``, too:
    many systems ask the network for it.

    :param host: as :func:`urllib.parse.urlsplit` gives it, without brackets.
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
    """The URL of the proxy that a request goes through; None: it goes straight to its host.

    ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy`` count, lower case before upper case. Nothing that is
    for this machine goes to a proxy, whatever they say; a name below ``localhost`` does not, either.

    :param environ: of the context.
    :raises ConfigError: the proxy is of another kind than HTTP, or is none.
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
            f"the proxy for {place.scheme}:// requests is no URL of a host",
            hint=f"set {place.scheme.upper()}_PROXY to one such as http://proxy.example.com:3128",
        )
    return proxy or None


def refuse_plain_http(url: str, environ: Mapping[str, str]) -> None:
    """Before a request that carries secrets, or whose answer does.

    :param environ: of the context; ``AWS_VAULT_PLAIN_HTTP`` in it names the hosts that the user trusts the way to.
    :raises ConfigError: it would travel over a network without TLS, or nobody can tell where to.
    """
    place = _place(url)
    if place.scheme == "https":
        return
    if place.scheme != "http" or not place.host:
        raise ConfigError(f"{place.shown} names no server", hint="write it as https://host:port, without a user in it")
    if is_loopback(place.host) or _named(place, environ.get(PLAIN_HTTP, "")):
        return
    raise ConfigError(
        f"{place.shown} would carry secrets in the clear",
        hint=f"give an https:// address, or set {PLAIN_HTTP}={place.host} if you trust the network on the way to it",
    )


class _Place(NamedTuple):
    scheme: str
    host: str
    """Empty where it is written in a way that two programs could read differently."""
    port: int | None
    shown: str
    """For messages: what a URL has before its host may be a password."""


def _place(url: str) -> _Place:
    from urllib.parse import urlsplit  # commands that talk to nobody need not wait for it, nor for ipaddress

    try:
        parts = urlsplit(url)
        host = (parts.hostname or "") if _NETLOC.fullmatch(parts.netloc) else ""
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # a bracket that nobody closes, a port that is none
        return _Place("", "", None, "what is no URL")
    netloc = parts.netloc.rpartition("@")[2]
    return _Place(parts.scheme, host, port, f"{parts.scheme}://{netloc}" if parts.scheme else "what is no URL")


def _has_host(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and not re.search(r"\s", parts.netloc) and parts.port != 0
    except ValueError:  # a bracket that nobody closes, a port that is none
        return False


def _either_case(environ: Mapping[str, str], name: str) -> str:
    """A variable that is read in lower case first, as every tool does that knows it."""
    return environ.get(name) or environ.get(name.upper()) or ""


def _own_proxy(scheme: str, environ: Mapping[str, str]) -> str:
    if scheme == "http" and "REQUEST_METHOD" in environ:
        # In a CGI program HTTP_PROXY is the request's ``Proxy`` header, so anybody's ("httpoxy").
        return environ.get("http_proxy", "")
    return _either_case(environ, f"{scheme}_proxy")


def _named(place: _Place, rules: str) -> bool:
    """Whether rules name the place: its host, a domain that it is in, a network, with or without a port, or ``*``."""
    entries = filter(None, (rule.strip().lower() for rule in rules.split(",")))
    return any(_names(rule, place) for rule in entries)


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
