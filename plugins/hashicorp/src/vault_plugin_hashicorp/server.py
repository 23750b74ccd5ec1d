"""The settings of the server: the options, and the variables that Vault's and OpenBao's own programs read.

``BAO_ADDR`` takes precedence over ``VAULT_ADDR`` (as in ``bao``), and an option over both. Only the context's
environment is used, neither the process's own nor ``.netrc``.
"""

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
    """The settings of the server."""

    addresses: tuple[str, ...]
    """``https://host:8200``; several addresses are members of one cluster."""
    namespace: str
    verify: bool | str
    """True: verify certificates; a path: with these certificate authorities (a file or a folder); False: do not."""
    server_name: str
    """The name that the certificate must have; empty: the host of the address."""
    certificate: tuple[str, str] | None
    """The paths of the client certificate and its key."""
    environ: Mapping[str, str] = field(repr=False)
    """The environment, for the proxy settings."""

    def proxies_for(self, url: str) -> dict[str, str]:
        """The proxy of one request, by scheme. Vault's own variable takes precedence over the general ones."""
        own = ambient(self.environ, "PROXY_ADDR") or ambient(self.environ, "HTTP_PROXY")
        proxy = proxy_for(url, {"all_proxy": own} if own else self.environ)
        return {urlsplit(url).scheme: proxy} if proxy else {}

    def is_ours(self, url: str) -> bool:
        """Whether a URL has the scheme, host and port of one of the addresses."""
        return _origin(url) in {_origin(address) for address in self.addresses}


def ambient(environ: Mapping[str, str], name: str) -> str:
    """``BAO_<name>``, else ``VAULT_<name>``, else an empty string."""
    return environ.get(f"BAO_{name}") or environ.get(f"VAULT_{name}") or ""


def setting(context: Context, option: str, name: str) -> str:
    """An option, else the variable of Vault's own programs."""
    return context.options[option] or ambient(context.environ, name)


def addresses(context: Context) -> tuple[str, ...]:
    """The addresses as they are set, without trailing slashes; empty if none is set.

    :raises ConfigError: one of them is not the URL of a server.
    """
    text = setting(context, "address", "ADDR")
    parts = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    for address in parts:
        if not names_a_server(address):
            # The invalid part may be a password, so it is not shown.
            raise ConfigError(
                f"{re.sub('//.*@|[?#].*', '…', address)!r} is not the address of a server",
                hint="use an address like https://vault.example.com:8200",
            )
    return parts


def names_a_server(address: str) -> bool:
    """Whether this is the URL of a server, without a password or a query."""
    try:
        parts = urlsplit(address)
    except ValueError:  # an unbalanced bracket
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("https", "http") and bool(parts.hostname) and plain


def server(context: Context) -> Server:
    """All settings of the server.

    :raises ConfigError: no address is set, keys would be sent unencrypted, or a setting is invalid.
    """
    members = addresses(context)
    if not members:
        raise ConfigError(
            "no server is set for backend 'hashicorp'",
            hint="set AWS_VAULT_HASHICORP_ADDRESS or VAULT_ADDR, for example https://vault.example.com:8200",
        )
    for address in members:
        refuse_plain_http(address, context.environ)
    return Server(
        addresses=members,
        namespace=setting(context, "namespace", "NAMESPACE").strip("/"),
        verify=_verify(context),
        server_name=ambient(context.environ, "TLS_SERVER_NAME"),
        certificate=_certificate(context),
        environ=context.environ,
    )


def folder(text: str) -> str:
    """Parse a mount or a prefix: segments of letters, digits, ``_``, ``-`` and ``.``, joined by ``/``.

    :raises ValueError: it has another form, or the server would use a different path.
    """
    path = text.strip("/")
    if path and (not _SEGMENTS.match(path) or ".." in path or path.endswith(".")):
        raise ValueError("it must consist of letters, digits, '_', '-' and '.', joined by '/'")
    return path


def _origin(url: str) -> tuple[str, str, int | None]:
    """The scheme, host and port that identify a server.

    :raises ValueError: the port is invalid, or a bracket is unbalanced.
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _verify(context: Context) -> bool | str:
    if context.options["skip-verify"] or _flag(context, "SKIP_VERIFY"):
        return False
    path = setting(context, "ca-cert", "CACERT") or ambient(context.environ, "CAPATH")
    return _existing(context, path, "the certificate authorities", folder=True) if path else True


def _flag(context: Context, name: str) -> bool:
    text = ambient(context.environ, name)
    try:
        return bool(text) and boolean(text)
    except ValueError:
        raise ConfigError(f"VAULT_{name} must be true or false") from None


def _certificate(context: Context) -> tuple[str, str] | None:
    certificate, key = setting(context, "client-cert", "CLIENT_CERT"), setting(context, "client-key", "CLIENT_KEY")
    if not certificate:
        return None
    return (
        _existing(context, certificate, "the client certificate", folder=False),
        _existing(context, key or certificate, "the client key", folder=False),
    )


def _existing(context: Context, path: str, what: str, *, folder: bool) -> str:
    file = expanded(context, path)
    # Path's own methods raise if a folder is not accessible.
    if not os.path.exists(file) or (os.path.isdir(file) and not folder):  # noqa: PTH110, PTH112
        raise ConfigError(f"there is no file {file} with {what}")
    return str(file)


def expanded(context: Context, path: str) -> Path:
    """A path with ``~`` replaced by the home in the context's environment."""
    home = context.environ.get("HOME")
    return Path(home + path[1:]) if home and (path == "~" or path.startswith("~/")) else Path(path)


def shown(name: str) -> str:
    """An untrusted name, shortened and made printable."""
    return "".join(char if char.isprintable() else "?" for char in name[:_LONGEST_NAME])
