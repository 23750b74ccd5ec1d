"""The credentials for the server: a token from where Vault's own programs keep it, or those of a login. Offline."""

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
"""Claims (RFC 7519, section 4.1) that differ in every new token of the same bearer."""


def whose(context: Context) -> str:
    """What identifies the user to the server, without a secret: a digest of the token, or the name of the login."""
    options = context.options
    match options["auth"]:
        case "token":
            try:
                token = find_token(context)
            except VaultError:  # opening the store reports it
                token = None
            return "token " + (hashlib.sha256(token.reveal()).hexdigest()[:16] if token else "-")
        case "approle":
            return json.dumps(["approle", login_mount(context), options["role-id"]])
        case "userpass":
            return json.dumps(["userpass", login_mount(context), options["username"]])
        case method:
            return json.dumps([method, login_mount(context), options["role"], options["jwt-file"], _bearer(context)])


def _bearer(context: Context) -> str:
    """The bearer of the JSON web token in the file: a digest of its claims. The next token in the file may belong to
    another bearer, such as the next job of a CI runner."""
    try:
        text = content(context, "jwt-file")
    except VaultError:  # opening the store reports it
        return "-"
    try:
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        text = json.dumps({name: claims[name] for name in claims if name not in _PASSING}, sort_keys=True)
    except (ValueError, LookupError, TypeError):  # not a JSON web token: the server will refuse it
        pass
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def login_mount(context: Context) -> str:
    """The mount of the login, below ``auth/``."""
    return str(context.options["auth-mount"] or context.options["auth"])


def find_token(context: Context) -> Secret | None:
    """The existing token: from the file that the settings name, the environment or ``~/.vault-token``."""
    named = context.options["token-file"]
    if named:
        return _checked(Secret(content(context, "token-file")), str(named))
    if text := ambient(context.environ, "TOKEN"):
        return _checked(Secret(text.strip()), "VAULT_TOKEN")
    home = context.environ.get("HOME")
    path = Path(home) / ".vault-token" if home else None
    if path is None or not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises if the folder is not accessible
        return None
    try:
        return _checked(Secret(path.read_bytes().strip()), str(path))
    except OSError as error:
        raise StorageLocked(f"cannot read {path}: {error.strerror}", hint=f"chmod 600 {path}") from None


def _checked(token: Secret, where: str) -> Secret | None:
    if token and not _TOKEN.match(token.reveal().decode("latin-1")):
        raise ConfigError(f"{where} is not a token: it contains spaces, line ends or invalid characters")
    return token or None


def secret_id(context: Context) -> str | None:
    """The secret ID; None if none is set: a role may not need one (``bind_secret_id=false``)."""
    if context.options["secret-id-file"]:
        return content(context, "secret-id-file")
    value = context.options["secret-id"]
    return str(value) if value else None


def needed(context: Context, option: str) -> str:
    """The value of an option.

    :raises ConfigError: it is not set.
    """
    value = context.options[option]
    if not value:
        variable = f"AWS_VAULT_HASHICORP_{option.upper().replace('-', '_')}"
        raise ConfigError(f"auth {context.options['auth']} needs option {option!r}", hint=f"set {variable}")
    return str(value)


def content(context: Context, option: str) -> str:
    """The content of the file that an option names, without white space around it."""
    path = expanded(context, needed(context, option))
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageLocked(f"cannot read {path} ({option}): {getattr(error, 'strerror', 'not text')}") from None
