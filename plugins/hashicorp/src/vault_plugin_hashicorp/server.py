"""Which server, and how it is reached: the options, and the variables that Vault's and OpenBao's own programs read.

``BAO_ADDR`` counts before ``VAULT_ADDR`` (as in ``bao``), and an option of ours before both. Nothing is read from the
process's own environment or from ``.netrc``: the host's snapshot decides, as it does for everything else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from vault_core.api import ConfigError, Context, boolean, proxy_for, refuse_plain_http

_LONGEST_NAME = 64
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
    environ: Mapping[str, str] = field(repr=False)
    """What says which proxies there are."""

    def proxies_for(self, url: str) -> dict[str, str]:
        """Those of one request, by scheme. Vault's own variable counts before the general ones."""
        own = _ambient(self.environ, "PROXY_ADDR") or _ambient(self.environ, "HTTP_PROXY")
        proxy = proxy_for(url, {"all_proxy": own} if own else self.environ)
        return {urlsplit(url).scheme: proxy} if proxy else {}

    def is_ours(self, url: str) -> bool:
        """Whether a URL leads to one of the addresses, by scheme, host and port."""
        return _origin(url) in {_origin(address) for address in self.addresses}


def ambient(context: Context, name: str) -> str:
    """``BAO_<name>``, else ``VAULT_<name>``, else an empty text."""
    return _ambient(context.environ, name)


def _ambient(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"BAO_{name}") or environ.get(f"VAULT_{name}") or ""


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

    :raises ConfigError: no server is named, keys would travel to it in the clear, or something does not make sense.
    """
    found = addresses(context)
    if not found:
        raise ConfigError(
            "no server is named for backend 'hashicorp'",
            hint="set AWS_VAULT_HASHICORP_ADDRESS or VAULT_ADDR, for example https://vault.example.com:8200",
        )
    for address in found:
        refuse_plain_http(address, context.environ)
    return Server(
        addresses=found,
        namespace=told(context, "namespace", "NAMESPACE").strip("/"),
        verify=_verify(context),
        server_name=ambient(context, "TLS_SERVER_NAME"),
        certificate=_certificate(context),
        environ=context.environ,
    )


def folder(text: str) -> str:
    """Parse a mount or a prefix: segments of letters, digits, ``_``, ``-`` and ``.``, joined by ``/``.

    :raises ValueError: it is not one, or the server would store under another path than the one that is said.
    """
    path = text.strip("/")
    if path and (not _SEGMENTS.match(path) or ".." in path or path.endswith(".")):
        raise ValueError("letters, digits, '_', '-' and '.', joined by '/'")
    return path


def _origin(url: str) -> tuple[str, str, int | None]:
    """What makes a server another one.

    :raises ValueError: it has a port that is none, or a bracket that nobody closes.
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


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
    # Path's own methods raise for what cannot be looked at.
    if not os.path.exists(found) or (os.path.isdir(found) and not folder):  # noqa: PTH110, PTH112
        raise ConfigError(f"{what} should be in {found}, which is not there")
    return str(found)


def expanded(context: Context, path: str) -> Path:
    """A path, ``~`` being the home of the environment that the context shows."""
    home = context.environ.get("HOME")
    return Path(home + path[1:]) if home and (path == "~" or path.startswith("~/")) else Path(path)


def shown(name: str) -> str:
    """A name that somebody else chose, on one short line."""
    return "".join(char if char.isprintable() else "?" for char in name[:_LONGEST_NAME])
