"""What we would log in with: a token where Vault's own programs have it, or what a login takes. Connects to nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from pathlib import Path

from vault_core.api import ConfigError, Context, Secret, StorageLocked, VaultError
from vault_plugin_hashicorp.server import ambient, expanded

_TOKEN = re.compile(r"[!-~]+\Z")
_PASSING = frozenset(("exp", "iat", "jti", "nbf"))
"""Claims (RFC 7519, section 4.1) that every new token of the same bearer has anew."""


def whose(context: Context) -> str:
    """What decides who we are, without a secret: a digest of the token, or the name to log in with."""
    options = context.options
    match options["auth"]:
        case "token":
            try:
                found = found_token(context)
            except VaultError:  # whoever opens the store is told
                found = None
            return "token " + (hashlib.sha256(found.reveal()).hexdigest()[:16] if found else "-")
        case "approle":
            return json.dumps(["approle", login_mount(context), options["role-id"]])
        case "userpass":
            return json.dumps(["userpass", login_mount(context), options["username"]])
        case method:
            return json.dumps([method, login_mount(context), options["role"], options["jwt-file"], _bearer(context)])


def _bearer(context: Context) -> str:
    """For whom the JSON web token in the file is: a digest of its claims. The file may be somebody else's the next
    time: that of a runner's next job, say."""
    try:
        text = content(context, "jwt-file")
    except VaultError:  # whoever opens the store is told
        return "-"
    try:
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        text = json.dumps({name: claims[name] for name in claims if name not in _PASSING}, sort_keys=True)
    except (ValueError, LookupError, TypeError):  # no such token: the server is going to say so
        pass
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def login_mount(context: Context) -> str:
    """Where the login is mounted: below ``auth/``."""
    return str(context.options["auth-mount"] or context.options["auth"])


def found_token(context: Context) -> Secret | None:
    """The token that somebody made: a file that the settings name, the environment, ``~/.vault-token``."""
    named = context.options["token-file"]
    if named:
        return _checked(Secret(content(context, "token-file")), str(named))
    if text := ambient(context, "TOKEN"):
        return _checked(Secret(text.strip()), "VAULT_TOKEN")
    home = context.environ.get("HOME")
    path = Path(home) / ".vault-token" if home else None
    if path is None or not os.path.isfile(path):  # noqa: PTH113 - Path's own raises for what cannot be looked at
        return None
    try:
        return _checked(Secret(path.read_bytes().strip()), str(path))
    except OSError as error:
        raise StorageLocked(f"cannot read {path}: {error.strerror}", hint=f"chmod 600 {path}") from None


def _checked(found: Secret, where: str) -> Secret | None:
    if found and not _TOKEN.match(found.reveal().decode("latin-1")):
        raise ConfigError(f"{where} holds no token: there are blanks or line ends in it")
    return found or None


def secret_id(context: Context) -> str | None:
    """A role may do without one (``bind_secret_id=false``)."""
    if context.options["secret-id-file"]:
        return content(context, "secret-id-file")
    given = context.options["secret-id"]
    return str(given) if given else None


def needed(context: Context, option: str) -> str:
    """The text of an option.

    :raises ConfigError: it is not set.
    """
    value = context.options[option]
    if not value:
        variable = f"AWS_VAULT_HASHICORP_{option.upper().replace('-', '_')}"
        raise ConfigError(f"auth {context.options['auth']} needs option {option!r}", hint=f"set {variable}")
    return str(value)


def content(context: Context, option: str) -> str:
    """The content of the file that an option names, without blanks around it."""
    path = expanded(context, needed(context, option))
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageLocked(f"cannot read {path} ({option}): {getattr(error, 'strerror', 'not text')}") from None
