"""The boundary to plugins: calls them, checks what they return, and attributes errors to their distribution.

Each kind has a function that opens a plugin and returns a checking wrapper of the same class. The core does not call
plugins otherwise (``docs/adr/0021-what-plugins-return-is-checked.md``). Messages name the type of a wrong value, never
the value, which may be a secret.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from vault_core.api import (
    ANY,
    AccessKey,
    CallerIdentity,
    ConsoleRequest,
    Credentials,
    Expect,
    IdentifiesCaller,
    Item,
    KeyRequest,
    KeyUse,
    ManagesKeys,
    MfaRequest,
    MfaSource,
    OpensConsole,
    PassphraseRequest,
    PassphraseSource,
    Profile,
    SessionProvider,
    SessionRequest,
    SharedItems,
    StorageBackend,
    Version,
)
from vault_core.errors import PluginFault, SessionError
from vault_core.plugins.discovery import KINDS
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret
from vault_core.vlt import SlotKeeper

if TYPE_CHECKING:
    from vault_core.api import Context, MfaSourceSpec, PassphraseSourceSpec, SessionSpec, StorageSpec, StoreContext
    from vault_core.vlt import SlotTable

LEAST_LEFT = 5.0
"""Minimum remaining life of an issued session, in seconds: a program needs that long to start and use it."""

_MOST_BITS = 64
"""Of a number in session parameters: most JSON parsers have no longer numbers, and Python does not print all."""

_END = object()

T = TypeVar("T")


class Calls:
    """The calls into one plugin."""

    def __init__(self, plugins: Plugins, kind: str, name: str) -> None:
        self.name = name
        self._plugins = plugins
        self._kind = kind

    def __call__(self, method: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function of the plugin and return its result; an unexpected exception is attributed to the plugin.

        :raises PluginFault: it returned a coroutine; the core is synchronous.
        """
        with self._plugins.attributed_to(self._kind, self.name):
            returned = function(*arguments)
        if isinstance(returned, CoroutineType):
            returned.close()  # otherwise Python warns that it was never awaited
            self.refuse(method, "a coroutine", "its result: all calls are synchronous")
        return returned

    def expect(self, method: str, returned: T, allowed: Any, wanted: str) -> T:
        """Return the value if its type is allowed.

        :param wanted: the expected type, for the message.
        :raises PluginFault: it is of another type.
        """
        if not isinstance(returned, allowed):
            self.refuse(method, _type(returned), wanted)
        return returned

    def fields(self, method: str, returned: Any, **allowed: Any) -> None:
        """Check the fields of a dataclass of the API, because dataclasses do not check them.

        :raises PluginFault: a field has another type.
        """
        for name, wanted in allowed.items():
            value = self(method, getattr, returned, name)  # a subclass in the plugin can run code here
            if not isinstance(value, wanted):
                named = getattr(wanted, "__name__", wanted)
                self.refuse(method, f"{_type(returned)} whose {name} is {_type(value)}", f"a {named} there")

    def refuse(self, method: str, what: str, wanted: str) -> NoReturn:
        """:raises PluginFault: always."""
        owner, version = self._plugins.owner(self._kind, self.name)
        raise PluginFault(
            f"{method}() of {KINDS[self._kind]} {self.name!r} (from {owner} {version}) returned {what};"
            f" it must return {wanted}",
            hint=f"this is a bug of {owner}",
        )


def _type(value: Any) -> str:
    return "None" if value is None else type(value).__name__


class _Opened:
    """An open plugin, whose results are checked."""

    def __init__(self, opened: Any, calls: Calls) -> None:
        self._opened = opened
        self._calls = calls


def said(plugins: Plugins, kind: str, spec: Any, question: str, context: Context) -> str | None:
    """The result of an optional callable of a spec; None if the spec has none, or if ``unavailable`` returns None."""
    ask = getattr(spec, question, None)
    if ask is None:
        return None
    calls = Calls(plugins, kind, spec.name)
    allowed, wanted = (str | None, "a str or None") if question == "unavailable" else (str, "a str")
    text: str | None = calls.expect(question, calls(question, ask, context), allowed, wanted)
    return text


# -- storage backends -------------------------------------------------------------------------------------------------


def open_store(plugins: Plugins, spec: StorageSpec, context: StoreContext) -> StorageBackend:
    """Open the store of a backend; the result has the same optional capabilities."""
    calls = Calls(plugins, "storage", spec.name)
    opened = calls.expect("open", calls("open", spec.open, context), StorageBackend, "a StorageBackend")
    return _around(opened, calls)


def _around(opened: StorageBackend, calls: Calls) -> StorageBackend:
    if isinstance(opened, SharedItems):
        return (_SharedKeeperStore if isinstance(opened, SlotKeeper) else _SharedStore)(opened, calls)
    return (_KeeperStore if isinstance(opened, SlotKeeper) else _Store)(opened, calls)


class _Store(_Opened, StorageBackend):
    _opened: StorageBackend

    def get(self, key: str) -> Item | None:
        returned = self._calls("get", lambda: self._opened.get(key))
        item: Item | None = self._calls.expect("get", returned, Item | None, "an Item or None")
        if item is not None:
            self._calls.fields("get", item, value=Secret, version=str, written_by=str)
        return item

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        returned = self._calls("put", lambda: self._opened.put(key, value, expect=expect))
        return self._calls.expect("put", returned, str, "a version, which is a str")

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        returned = self._calls("delete", lambda: self._opened.delete(key, expect=expect))
        return self._calls.expect("delete", returned, bool, "a bool")

    def keys(self) -> Iterator[str]:
        wanted = "an iterator of str"
        keys = self._calls("keys", lambda: self._opened.keys())
        if isinstance(keys, str | bytes):
            self._calls.refuse("keys", _type(keys), wanted)
        self._calls.expect("keys", keys, Iterable, wanted)
        return self._each(self._calls("keys", iter, keys), wanted)

    def _each(self, keys: Iterator[Any], wanted: str) -> Iterator[str]:
        while (key := self._calls("keys", next, keys, _END)) is not _END:
            if not isinstance(key, str):
                self._calls.refuse("keys", f"a key that is {_type(key)}", wanted)
            yield key

    def close(self) -> None:
        self._calls("close", lambda: self._opened.close())


class _SharedStore(_Store, SharedItems):
    _opened: Any

    def shared(self) -> StorageBackend:
        returned = self._calls("shared", lambda: self._opened.shared())
        return _around(self._calls.expect("shared", returned, StorageBackend, "a StorageBackend"), self._calls)


class _KeeperStore(_Store, SlotKeeper):
    _opened: Any

    def slots(self) -> SlotTable | None:
        returned = self._calls("slots", lambda: self._opened.slots())
        from vault_core.vlt import SlotTable as Table  # most commands open no store

        table: SlotTable | None = self._calls.expect("slots", returned, Table | None, "a SlotTable or None")
        return table

    def change_slots(self, change: Callable[[SlotTable, Secret], SlotTable], *, dek: Secret | None = None) -> None:
        self._calls("change_slots", lambda: self._opened.change_slots(change, dek=dek))


class _SharedKeeperStore(_SharedStore, _KeeperStore):
    pass


# -- passphrase and MFA sources ---------------------------------------------------------------------------------------


def open_source(plugins: Plugins, spec: PassphraseSourceSpec, context: Context) -> PassphraseSource:
    """Open a passphrase source."""
    calls = Calls(plugins, "passphrase", spec.name)
    opened = calls.expect("open", calls("open", spec.open, context), PassphraseSource, "a PassphraseSource")
    return _Source(opened, calls)


class _Source(_Opened, PassphraseSource):
    _opened: PassphraseSource

    def get(self, request: PassphraseRequest) -> Secret | None:
        return _secret(self._calls, "get", self._calls("get", lambda: self._opened.get(request)))

    def put(self, request: PassphraseRequest, secret: Secret) -> None:
        self._calls("put", lambda: self._opened.put(request, secret))

    def forget(self, request: PassphraseRequest) -> bool:
        returned = self._calls("forget", lambda: self._opened.forget(request))
        return self._calls.expect("forget", returned, bool, "a bool")


def open_mfa(plugins: Plugins, spec: MfaSourceSpec, context: Context) -> MfaSource:
    """Open an MFA source."""
    calls = Calls(plugins, "mfa", spec.name)
    opened = calls.expect("open", calls("open", spec.open, context), MfaSource, "an MfaSource")
    return _Mfa(opened, calls)


class _Mfa(_Opened, MfaSource):
    def code(self, request: MfaRequest) -> Secret | None:
        return _secret(self._calls, "code", self._calls("code", lambda: self._opened.code(request)))


def _secret(calls: Calls, method: str, returned: Any) -> Secret | None:
    """The secret of a source. An empty one would create a store that anybody can open."""
    secret: Secret | None = calls.expect(method, returned, Secret | None, "a Secret or None")
    if secret is not None and not secret:
        calls.refuse(method, "an empty Secret", "None where it has none")
    return secret


# -- session providers ------------------------------------------------------------------------------------------------


def parameters(plugins: Plugins, spec: SessionSpec, options: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    """The parameters of a session: JSON values, because they are a cache key and are printed."""
    calls = Calls(plugins, "session", spec.name)
    returned = calls("parameters", spec.parameters, options, profile)
    calls.expect("parameters", returned, Mapping, "a mapping")
    found: dict[str, Any] = calls("parameters", dict, returned)
    if wrong := calls("parameters", _not_json, found):
        calls.refuse("parameters", wrong, "JSON values")
    if not isinstance(found.get("mfa_serial"), str | None):
        calls.refuse("parameters", f"mfa_serial as {_type(found['mfa_serial'])}", "it as a str")
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
                return f"a name that is {_type(odd[0])}{where}"
            return next(filter(None, (_not_json(member, f" in {name!r}") for name, member in value.items())), None)
        case list() | tuple():
            return next(filter(None, (_not_json(member, where) for member in value)), None)
    return f"{_type(value)}{where}"


def open_provider(plugins: Plugins, spec: SessionSpec, context: Context) -> SessionProvider:
    """Open a session provider; the result has the same optional capabilities."""
    calls = Calls(plugins, "session", spec.name)
    opened = calls.expect("open", calls("open", spec.open, context), SessionProvider, "a SessionProvider")
    offered = [wrapper for offer, wrapper in _OFFERS.items() if isinstance(opened, offer)]
    provider: SessionProvider = type("_Offering", (*offered, _Provider), {})(opened, calls)
    return provider


class _Provider(_Opened, SessionProvider):
    def issue(self, request: SessionRequest) -> Credentials:
        returned = self._calls("issue", lambda: self._opened.issue(request))
        session: Credentials = self._calls.expect("issue", returned, Credentials, "Credentials")
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


class _Identifier(_Opened, IdentifiesCaller):
    def identify(self, request: SessionRequest) -> CallerIdentity:
        returned = self._calls("identify", lambda: self._opened.identify(request))
        identity: CallerIdentity = self._calls.expect("identify", returned, CallerIdentity, "a CallerIdentity")
        self._calls.fields("identify", identity, account=str, arn=str)
        return identity


class _KeyManager(_Opened, ManagesKeys):
    def list_keys(self, request: KeyRequest, *, with_use: bool = True) -> tuple[AccessKey, ...]:
        returned = self._calls("list_keys", lambda: self._opened.list_keys(request, with_use=with_use))
        keys: tuple[AccessKey, ...] = self._calls.expect("list_keys", returned, tuple, "a tuple of AccessKey")
        for key in keys:
            self._calls.expect("list_keys", key, AccessKey, "a tuple of AccessKey")
            self._calls.fields("list_keys", key, id=str, user=str, active=bool, created=datetime)
            self._calls.fields("list_keys", key, last_use=KeyUse | None)
            if key.created.utcoffset() != timedelta():
                self._calls.refuse("list_keys", "a key whose created is not in UTC", "an aware datetime in UTC")
        return keys

    def create_key(self, request: KeyRequest) -> Credentials:
        returned = self._calls("create_key", lambda: self._opened.create_key(request))
        key: Credentials = self._calls.expect("create_key", returned, Credentials, "Credentials")
        self._calls.fields("create_key", key, access_key_id=str, secret_access_key=Secret, session_token=type(None))
        _refuse_lines(self._calls, "create_key", "a key", key)
        return key

    def set_active(self, request: KeyRequest, key_id: str, *, active: bool) -> None:
        self._calls("set_active", lambda: self._opened.set_active(request, key_id, active=active))

    def delete_key(self, request: KeyRequest, key_id: str) -> None:
        self._calls("delete_key", lambda: self._opened.delete_key(request, key_id))

    def owner_of(self, request: KeyRequest, key_id: str) -> str:
        returned = self._calls("owner_of", lambda: self._opened.owner_of(request, key_id))
        owner: str = self._calls.expect("owner_of", returned, str, "a str")
        return owner

    def attached_policies(self, request: KeyRequest) -> tuple[str, ...]:
        return self._names("attached_policies", lambda: self._opened.attached_policies(request))

    def mfa_devices(self, request: KeyRequest) -> tuple[str, ...]:
        return self._names("mfa_devices", lambda: self._opened.mfa_devices(request))

    def revoke_sessions(self, request: KeyRequest, before: datetime, *, role: str | None = None) -> None:
        self._calls("revoke_sessions", lambda: self._opened.revoke_sessions(request, before, role=role))

    def _names(self, method: str, function: Callable[[], Any]) -> tuple[str, ...]:
        names: tuple[str, ...] = self._calls.expect(method, self._calls(method, function), tuple, "a tuple of str")
        for name in names:
            self._calls.expect(method, name, str, "a tuple of str")
        return names


class _Console(_Opened, OpensConsole):
    def console_url(self, request: ConsoleRequest) -> Secret:
        returned = self._calls("console_url", lambda: self._opened.console_url(request))
        url: Secret = self._calls.expect("console_url", returned, Secret, "a Secret")
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
