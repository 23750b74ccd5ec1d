"""Session providers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from vault_core.api import (
    AccessKey,
    CallerIdentity,
    ConsoleRequest,
    Credentials,
    IdentifiesCaller,
    KeyRequest,
    KeyUse,
    ManagesKeys,
    OpensConsole,
    Profile,
    SessionProvider,
    SessionRequest,
)
from vault_core.errors import SessionError
from vault_core.plugins.boundary.calls import Calls, Opened, type_of
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.api import Context, SessionSpec

T = TypeVar("T")

LEAST_LEFT = 5.0
"""Minimum remaining life of an issued session, in seconds: a program needs that long to start and use it."""

_MOST_BITS = 64
"""Of a number in session parameters: most JSON parsers have no longer numbers, and Python does not print all."""


def parameters(plugins: Plugins, spec: SessionSpec, options: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    """The parameters of a session: JSON values, because they are a cache key and are printed."""
    calls = Calls(plugins, "session", spec.name)
    returned = calls("parameters", spec.parameters, options, profile)
    calls.expect("parameters", returned, Mapping, "a mapping")
    found: dict[str, Any] = calls("parameters", dict, returned)
    if wrong := calls("parameters", _not_json, found):
        calls.refuse("parameters", wrong, "JSON values")
    if not isinstance(found.get("mfa_serial"), str | None):
        calls.refuse("parameters", f"mfa_serial as {type_of(found['mfa_serial'])}", "it as a str")
    return found


def _not_json(value: Any, where: str = "") -> str | None:
    """The first part of a value that is not JSON, with its name; None if there is none."""
    match value:
        case None | str() | bool():
            return None
        case int():
            return None if value.bit_length() <= _MOST_BITS else f"a number of more than {_MOST_BITS} bits{where}"
        case float():
            return None if math.isfinite(value) else f"a number that is not finite{where}"
        case dict():
            if odd := [name for name in value if not isinstance(name, str)]:
                return f"a name that is {type_of(odd[0])}{where}"
            return next(filter(None, (_not_json(member, f" in {name!r}") for name, member in value.items())), None)
        case list() | tuple():
            return next(filter(None, (_not_json(member, where) for member in value)), None)
    return f"{type_of(value)}{where}"


def open_provider(plugins: Plugins, spec: SessionSpec, context: Context) -> SessionProvider:
    """Open a session provider; the result has the same optional capabilities."""
    calls = Calls(plugins, "session", spec.name)
    opened = calls.expect("open", calls("open", spec.open, context), SessionProvider, "a SessionProvider")
    offered = [wrapper for offer, wrapper in _OFFERS.items() if isinstance(opened, offer)]
    provider: SessionProvider = type("_Offering", (*offered, _Provider), {})(opened, calls)
    return provider


class _Provider(Opened, SessionProvider):
    def issue(self, request: SessionRequest) -> Credentials:
        session = self._checked(Credentials, "Credentials", "issue", request)
        self._calls.fields("issue", session, access_key_id=str, secret_access_key=Secret, session_token=Secret)
        self._calls.fields("issue", session, expires=datetime)
        self._calls("issue", _refuse_useless, session, self._calls)
        return session


def _refuse_useless(session: Credentials, calls: Calls) -> None:
    """:raises VaultError: the session is unusable, or ends too soon."""
    if session.expires is None or session.expires.utcoffset() != timedelta():
        calls.refuse("issue", "a session whose expires is not in UTC", "an aware datetime in UTC")
    _refuse_lines(calls, "issue", "a session", session)
    if session.expires.timestamp() - time.time() < LEAST_LEFT:
        raise SessionError(
            f"session provider {calls.name!r} issued a session that ends at"
            f" {session.expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}: too soon to be used",
            hint="check the clock of this machine; if it is right, the service issues expired sessions",
        )


def _refuse_lines(calls: Calls, method: str, what: str, found: Credentials) -> None:
    """:raises PluginFault: a line end in the credentials would add a line to the output for shells and files."""
    texts = {"access_key_id": found.access_key_id, "secret_access_key": _text(found.secret_access_key)}
    if found.session_token is not None or method == "issue":
        texts["session_token"] = _text(found.session_token)
    for name, text in texts.items():
        if not text or not text.isprintable():
            calls.refuse(method, f"{what} whose {name} is not one line of text", "one")


def _text(secret: Secret | None) -> str:
    try:
        return secret.reveal_text() if secret else ""
    except ValueError:
        return ""


class _Identifier(Opened, IdentifiesCaller):
    def identify(self, request: SessionRequest) -> CallerIdentity:
        identity = self._checked(CallerIdentity, "a CallerIdentity", "identify", request)
        self._calls.fields("identify", identity, account=str, arn=str)
        return identity


class _KeyManager(Opened, ManagesKeys):
    def list_keys(self, request: KeyRequest, *, with_use: bool = True) -> tuple[AccessKey, ...]:
        keys = self._tuple(AccessKey, "list_keys", request, with_use=with_use)
        for key in keys:
            self._calls.fields("list_keys", key, id=str, user=str, active=bool, created=datetime)
            self._calls.fields("list_keys", key, last_use=KeyUse | None)
            if key.created.utcoffset() != timedelta():
                self._calls.refuse("list_keys", "a key whose created is not in UTC", "an aware datetime in UTC")
        return keys

    def create_key(self, request: KeyRequest) -> Credentials:
        key = self._checked(Credentials, "Credentials", "create_key", request)
        self._calls.fields("create_key", key, access_key_id=str, secret_access_key=Secret, session_token=type(None))
        _refuse_lines(self._calls, "create_key", "a key", key)
        return key

    def set_active(self, request: KeyRequest, key_id: str, *, active: bool) -> None:
        self._call("set_active", request, key_id, active=active)

    def delete_key(self, request: KeyRequest, key_id: str) -> None:
        self._call("delete_key", request, key_id)

    def owner_of(self, request: KeyRequest, key_id: str) -> str:
        return self._checked(str, "a str", "owner_of", request, key_id)

    def attached_policies(self, request: KeyRequest) -> tuple[str, ...]:
        return self._tuple(str, "attached_policies", request)

    def mfa_devices(self, request: KeyRequest) -> tuple[str, ...]:
        return self._tuple(str, "mfa_devices", request)

    def revoke_sessions(self, request: KeyRequest, before: datetime, *, role: str | None = None) -> None:
        self._call("revoke_sessions", request, before, role=role)

    def _tuple(self, allowed: type[T], method: str, *arguments: Any, **named: Any) -> tuple[T, ...]:
        wanted = f"a tuple of {allowed.__name__}"
        values = self._checked(tuple, wanted, method, *arguments, **named)
        for value in values:
            self._calls.expect(method, value, allowed, wanted)
        return values


class _Console(Opened, OpensConsole):
    def console_url(self, request: ConsoleRequest) -> Secret:
        url = self._checked(Secret, "a Secret", "console_url", request)
        if not re.fullmatch(_URL, _text(url)):  # a browser, a terminal and a page in HTML get it as it is
            self._calls.refuse("console_url", "something else than a URL", "one that starts with https:// or http://")
        return url


_URL = r"(?a)https?://[A-Za-z0-9\[][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{0,32767}"
"""The characters of RFC 3986; the length is that of a command line's word in most tools, and far above AWS's URLs."""

_OFFERS: Mapping[type, type] = {
    IdentifiesCaller: _Identifier,
    ManagesKeys: _KeyManager,
    OpensConsole: _Console,
}
"""What a provider may offer besides sessions, and its checking wrapper."""
