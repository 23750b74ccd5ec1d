"""Which server, and how it is reached: the options, and the variables that Vault's and OpenBao's own programs read.

``BAO_ADDR`` counts before ``VAULT_ADDR`` (as in ``bao``), and an option of ours before both. Nothing is read from the
process's own environment or from ``.netrc``: the host's snapshot decides, as it does for everything else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vault_core.api import ConfigError, Context, boolean

_SEGMENTS = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*\Z")


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach the server."""

    addresses: tuple[str, ...]
    """``https://host:8200``; several are members of one cluster."""
    namespace: str
    verify: bool | str
    """False: any certificate will do; a path: of the certificate authorities (a file or a folder)."""
    server_name: str
    """The name that the certificate must have, where it is not the address's; else empty."""
    certificate: tuple[str, str] | None
    """Paths of our own certificate and its key."""
    proxies: Mapping[str, str]
    """By scheme."""
    direct: str | None
    """What is reached without a proxy, as ``NO_PROXY`` says it, and this machine itself; None: nothing is."""

    def proxies_for(self, url: str) -> dict[str, str]:
        """Those of one request: it may be on the way to another host than an address of ours."""
        if self.direct is not None and _is_direct(urlsplit(url).hostname or "", self.direct):
            return {}
        return dict(self.proxies)


def ambient(context: Context, name: str) -> str:
    """``BAO_<name>``, else ``VAULT_<name>``, else an empty text."""
    return context.environ.get(f"BAO_{name}") or context.environ.get(f"VAULT_{name}") or ""


def told(context: Context, option: str, name: str) -> str:
    """An option of ours, else the variable of Vault's own programs."""
    return context.options[option] or ambient(context, name)


def addresses(context: Context) -> tuple[str, ...]:
    """The addresses as they are set, without trailing slashes; none where nothing is set.

    :raises ConfigError: one of them is no URL of a server.
    """
    text = told(context, "address", "ADDR")
    found = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    for address in found:
        if not names_a_server(address):
            # What makes it wrong may be a password.
            raise ConfigError(
                f"{re.sub('//.*@|[?#].*', '…', address)!r} is not the address of a server",
                hint="it looks like https://vault.example.com:8200",
            )
    return found


def names_a_server(address: str) -> bool:
    """Whether it is the URL of a server, without a password or a query in it."""
    try:
        parts = urlsplit(address)
    except ValueError:  # a bracket that nobody closes
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("https", "http") and bool(parts.hostname) and plain


def server(context: Context) -> Server:
    """Everything that the settings say about the server.

    :raises ConfigError: no server is named, or something about it does not make sense.
    """
    found = addresses(context)
    if not found:
        raise ConfigError(
            "no server is named for backend 'hashicorp'",
            hint="set AWS_VAULT_HASHICORP_ADDRESS or VAULT_ADDR, for example https://vault.example.com:8200",
        )
    proxies, direct = _proxies(context)
    return Server(
        addresses=found,
        namespace=told(context, "namespace", "NAMESPACE").strip("/"),
        verify=_verify(context),
        server_name=ambient(context, "TLS_SERVER_NAME"),
        certificate=_certificate(context),
        proxies=proxies,
        direct=direct,
    )


def folder(text: str) -> str:
    """Parse a mount or a prefix: segments of letters, digits, ``_``, ``-`` and ``.``, joined by ``/``.

    :raises ValueError: it is not one, or the server would store under another path than the one that is said.
    """
    path = text.strip("/")
    if path and (not _SEGMENTS.match(path) or ".." in path or path.endswith(".")):
        raise ValueError("letters, digits, '_', '-' and '.', joined by '/'")
    return path


def unencrypted(address: str) -> bool:
    """Whether keys would travel over a network in the clear."""
    parts = urlsplit(address)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _verify(context: Context) -> bool | str:
    if context.options["skip-verify"] or _flag(context, "SKIP_VERIFY"):
        return False
    path = told(context, "ca-cert", "CACERT") or ambient(context, "CAPATH")
    return _existing(context, path, "the certificate authorities", folder=True) if path else True


def _flag(context: Context, name: str) -> bool:
    text = ambient(context, name)
    try:
        return bool(text) and boolean(text)
    except ValueError:
        raise ConfigError(f"VAULT_{name} is neither true nor false") from None


def _certificate(context: Context) -> tuple[str, str] | None:
    certificate, key = told(context, "client-cert", "CLIENT_CERT"), told(context, "client-key", "CLIENT_KEY")
    if not certificate:
        return None
    return (
        _existing(context, certificate, "the client's certificate", folder=False),
        _existing(context, key or certificate, "the client's key", folder=False),
    )


def _existing(context: Context, path: str, what: str, *, folder: bool) -> str:
    found = expanded(context, path)
    if not found.exists() or (found.is_dir() and not folder):
        raise ConfigError(f"{what} should be in {found}, which is not there")
    return str(found)


def expanded(context: Context, path: str) -> Path:
    """A path, ``~`` being the home of the environment that the context shows."""
    home = context.environ.get("HOME")
    return Path(home + path[1:]) if home and (path == "~" or path.startswith("~/")) else Path(path)


def _proxies(context: Context) -> tuple[Mapping[str, str], str | None]:
    """See :attr:`Server.proxies` and :attr:`Server.direct`."""
    own = ambient(context, "PROXY_ADDR") or ambient(context, "HTTP_PROXY")
    if own:
        return {"http": own, "https": own}, None

    def either(name: str) -> str:
        return context.environ.get(name.lower()) or context.environ.get(name) or ""

    # HTTP_PROXY in capitals could be a header of a request, where a web server runs us (CGI).
    plain = {"http": context.environ.get("http_proxy", ""), "https": either("HTTPS_PROXY")}
    proxies = {scheme: proxy or either("ALL_PROXY") for scheme, proxy in plain.items()}
    return {scheme: proxy for scheme, proxy in proxies.items() if proxy}, either("NO_PROXY")


def _is_direct(host: str, rules: str) -> bool:
    """Whether ``NO_PROXY`` names the host (itself, a domain that it belongs to, a network, or ``*``), or it is ours.

    What is for this machine needs no encryption, and would have none on its way to a proxy. It is the rule of ``vault``
    and ``bao``, too (Go's ``http.ProxyFromEnvironment``).
    """
    if _is_loopback(host):
        return True
    for rule in (part.strip().lower() for part in rules.split(",")):
        if rule and (rule == "*" or host == rule.lstrip(".") or host.endswith("." + rule.lstrip("."))):
            return True
        if "/" in rule and _is_in(host, rule):
            return True
    return False


def _is_in(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
