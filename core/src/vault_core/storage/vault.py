"""The vault: AWS keys by profile name, in one store.

It opens the store that the settings name, encrypts its values if the backend does not, and encodes names and keys so
that every backend can hold them: item keys over ``[a-z0-9._-]`` and printable ASCII values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vault_core import folders
from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    Capability,
    Credentials,
    Expect,
    SharedItems,
    StorageBackend,
    StorageSpec,
    Version,
)
from vault_core.command_line import command_line
from vault_core.errors import (
    PluginNotFound,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    StorageError,
    StorageLocked,
    UsageError,
)
from vault_core.plugins.boundary.calls import answer
from vault_core.plugins.boundary.storage import open_store
from vault_core.records import dataclass
from vault_core.secret import Secret
from vault_core.vlt import SlotKeeper

if TYPE_CHECKING:
    from vault_core.plugins.host import Host, HostContext
    from vault_core.vlt import SlotTable

CREDENTIALS = "credentials/"
"""The kind of the items that hold AWS keys."""
BACKUPS = "original/"
"""The kind of the items that hold the content of a plain file from before its keys were removed."""
MAX_NAME = 255
"""Bytes of a profile name: encoded, it has three times as many, and with the kind it fits into an item key of 900."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")


@dataclass(frozen=True)
class Store:
    """The store that a command works on, not opened yet: its name, its plugin and its context. A step of a plan holds
    one, so that the store that is opened is the one that was planned with."""

    name: str
    spec: StorageSpec
    context: HostContext

    @classmethod
    def choose(cls, host: Host, profile: Mapping[str, str] | None = None) -> Store:
        """The store that the settings name. Opens nothing."""
        return cls.named(host, host.settings.value("backend", profile).text, profile)

    @classmethod
    def named(cls, host: Host, name: str, profile: Mapping[str, str] | None = None) -> Store:
        """The store of this name. Opens nothing.

        :raises PluginNotFound: neither ``config.toml`` nor a plugin defines it.
        """
        settings = host.settings.store(name)
        try:
            spec: StorageSpec = host.plugins.load("storage", settings.backend)
        except PluginNotFound as error:
            stores = host.settings.config.get("store", {})
            if name in stores:
                raise
            raise PluginNotFound(error.message, hint=host.plugins.hint("storage", name, stores)) from None
        return cls(
            settings.name, spec, host.context("storage", spec.name, spec.options, store=settings, profile=profile)
        )

    def __str__(self) -> str:
        return f"store {self.name!r} ({self.place})"

    @cached_property
    def identity(self) -> str:
        """The same for two names of one store, and different for two stores: part of the cache key of every session.

        It keeps its first value; :meth:`identify` computes the value now.
        """
        return self.identify()

    def identify(self) -> str:
        """The identity as it is now: another process may replace a login's file at any time."""
        if self.spec.locate:
            place = self.place
            if place.startswith("/"):
                folders.note_way(Path(place))
                place = os.path.realpath(place)
            parts: list[object] = [self.spec.name, place]
        else:
            declared = [option for option in self.spec.options if not option.secret]
            options = {option.name: str(self.context.options[option.name]) for option in declared}
            parts = [self.spec.name, options, str(self.context.data_dir)]
        return json.dumps([*parts, self._answer("principal")] if self.spec.principal else parts, sort_keys=True)

    @property
    def place(self) -> str:
        """Its place (a path, a URL), for messages."""
        return self._answer("locate") or self.name

    @property
    def readers(self) -> str | None:
        """Who can read what it keeps, in one sentence; None if the plugin does not say."""
        return self._answer("readers")

    def _answer(self, question: str) -> str | None:
        return answer(self.context.plugins, "storage", self.spec, question, self.context)

    @property
    def is_shared(self) -> bool:
        """Whether several people keep keys in it: their own, and shared ones."""
        return Capability.SHARED in self.spec.capabilities


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key in the vault, and the version of its item."""

    credentials: Credentials
    version: Version
    shared: bool = False
    """It is a shared key, not the user's own."""
    written_by: str = ""
    """See :attr:`vault_core.api.Item.written_by`."""


class Vault(SlotKeeper):
    """An open vault; the store behind it is opened at its first use, and is then the one that was planned with."""

    def __init__(self, host: Host, store: Store) -> None:
        self.store = store
        self._host = host

    @cached_property
    def _opened(self) -> StorageBackend:
        """The backend as its plugin opened it.

        :raises StorageLocked: the store, or whose it is, has changed since it was planned with; or it needs the
            network, and the command must not use it.
        """
        if self._host.asking.offline and Capability.REMOTE in self.store.spec.capabilities:
            raise StorageLocked(
                f"{self.store} needs the network and was not asked", hint="'awsv list --unlock' asks it"
            )
        identity = self.store.identity
        opened = open_store(self._host.plugins, self.store.spec, self.store.context)
        self._host.state.stores.append(opened)
        if self.store.identify() != identity:
            raise StorageLocked(
                f"{self.store} is not the store, or not the login, that it was when the command began",
                hint="repeat the command",
            )
        return opened

    @cached_property
    def _own(self) -> StorageBackend:
        """The user's own items."""
        if self._is_sealed:
            from vault_core.storage.sealed import SealedBackend

            spec = self.store.spec
            return SealedBackend(self._opened, self.store.context, spec.capabilities, most=spec.max_value)
        return self._opened

    @cached_property
    def _shared(self) -> StorageBackend:
        """The items that all users of the store share.

        :raises StorageDenied: the store has no shared items.
        """
        can_share = self.store.is_shared and self.store.spec.at_rest is AtRest.SERVICE
        if not (can_share and isinstance(self._opened, SharedItems)):
            raise StorageDenied(
                f"{self.store} is yours alone: nothing in it is shared",
                hint="omit --shared, or name a shared store with --backend",
            )
        return self._opened.shared()

    @property
    def _is_sealed(self) -> bool:
        return self.store.spec.at_rest is AtRest.CORE

    def _items(self, shared: bool) -> StorageBackend:
        return self._shared if shared else self._own

    def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
        """The key stored under a name, or None.

        :param shared: True: only a shared key; False: only the user's own; None: the user's own, else a shared one.
        :raises StorageCorrupt: the item is not a key.
        """
        if shared is None:
            own = self.get(name, shared=False)
            return own if own is not None or not self.store.is_shared else self.get(name, shared=True)
        item = self._items(shared).get(CREDENTIALS + encode(name))
        if item is None:
            return None
        try:
            fields = json.loads(item.value.reveal())
            key_id, secret = fields["access_key_id"], fields["secret_access_key"]
            if not (isinstance(key_id, str) and isinstance(secret, str)):
                raise TypeError("not text")
            if not (key_id.isprintable() and secret.isprintable()):
                # A user who may write shared items could add lines to what is printed for shells and files.
                raise ValueError("more than one line")
        except (ValueError, KeyError, TypeError):
            # The decoder's own exception holds the text of the item.
            remove = command_line(f"awsv remove --force{' --shared' if shared else ''}", name)
            raise StorageCorrupt(
                f"the item of {name!r} in {self.store.place} is not an AWS key",
                hint=f"restore the store from a backup, or remove the item ('{remove}') and add the key again",
            ) from None
        credentials = Credentials(access_key_id=key_id, secret_access_key=Secret(secret))
        return StoredKey(credentials, item.version, shared, item.written_by)

    def holds(self, name: str, key: Credentials) -> bool:
        """Whether this key, the user's own or a shared one, is stored under a name."""
        stored = self.get(name)
        return stored is not None and stored.credentials == key

    def put(self, name: str, key: Credentials, *, expect: Expect = ANY, shared: bool = False) -> None:
        """Store a key under a name.

        :param shared: among the shared keys, not among the user's own.
        :raises StorageConflict: something other than ``expect`` is there; nothing was changed.
        :raises StorageError: the store cannot keep a value of this size; nothing was changed.
        """
        fields = {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key.reveal_text()}
        value = Secret(json.dumps(fields, ensure_ascii=True))
        self._refuse_too_large(f"the key of {name!r}", value)
        items = self._items(shared)
        items.put(CREDENTIALS + encode(name), value, expect=self._supported(items, name, expect))

    def delete(self, name: str, *, expect: Expect = ANY, shared: bool = False) -> bool:
        """Delete the key of a name; True if there was one.

        :param shared: a shared key, not the user's own.
        :raises StorageConflict: something other than ``expect`` is there; nothing was changed.
        """
        items = self._items(shared)
        return items.delete(CREDENTIALS + encode(name), expect=self._supported(items, name, expect))

    def _supported(self, items: StorageBackend, name: str, expect: Expect) -> Expect:
        """The part of ``expect`` that the backend checks without a race; the rest is checked here, just before."""
        able = self.store.spec.capabilities
        checks = Capability.CREATE_ONLY | Capability.CAS if expect is ABSENT else Capability.CAS
        if expect is ANY or able & checks:
            return expect
        item = items.get(CREDENTIALS + encode(name))
        if (ABSENT if item is None else item.version) != expect:
            raise StorageConflict(f"another process changed {name!r} in {self.store.place}")
        return ANY

    def _refuse_too_large(self, what: str, value: Secret) -> None:
        """Before the store is made or asked for: a value that it cannot keep must leave no trace."""
        most = self.store.spec.max_value
        if most is None:
            return
        size = len(value.reveal())
        if self._is_sealed:
            from vault_core.storage.sealed import sealed_size

            size = sealed_size(size)
        if size > most:
            raise StorageError(
                f"{what} takes {size} bytes, and {self.store} keeps at most {most} in one item; nothing was changed",
                hint="name another store with --backend",
            )

    def delete_only(self, name: str, key: Credentials) -> bool:
        """Delete the user's own key of a name if it is this one; False, without effect, otherwise."""
        stored = self.get(name, shared=False)
        if stored is None or stored.credentials != key:
            return False
        try:
            return self.delete(name, expect=stored.version)
        except StorageConflict:
            return False

    def backup(self, name: str) -> Secret | None:
        """What :meth:`keep_backup` keeps under a name, or None."""
        item = self._own.get(BACKUPS + encode(name))
        return item.value if item else None

    def keep_backup(self, name: str, value: Secret | None) -> None:
        """Keep the content of a plain file, encrypted like a key; None deletes it.

        :param value: printable ASCII.
        :raises StorageError: the store cannot keep a value of this size; nothing was changed.
        """
        if value is None:
            self._own.delete(BACKUPS + encode(name))
            return
        self._refuse_too_large("the backup of a plain file", value)
        self._own.put(BACKUPS + encode(name), value)

    def slots(self) -> SlotTable | None:
        """See :meth:`SlotKeeper.slots`.

        :raises StorageDenied: the store has no key slots, as awsv does not encrypt it.
        """
        return self._keeper.slots()

    def change_slots(self, change: Callable[[SlotTable, Secret], SlotTable], *, dek: Secret | None = None) -> None:
        self._keeper.change_slots(change, dek=dek)

    @property
    def _keeper(self) -> SlotKeeper:
        if not isinstance(self._own, SlotKeeper):
            raise StorageDenied(
                f"store {self.store.name!r} has no key slots: {self.store.spec.name} protects it, not awsv",
                hint="name another store with --backend",
            )
        return self._own

    def names(self) -> Iterator[str]:
        """The names with a key, own or shared, sorted."""
        yield from sorted(self.owners())

    def owners(self) -> dict[str, bool]:
        """The names with a key; True if there is only a shared one: the user's own takes precedence."""
        names = dict.fromkeys(self._names(self._own), False)
        if self.store.is_shared:
            try:
                shared = self._names(self._shared)
            except StorageDenied as error:  # a user who may not see shared keys still has their own
                self._host.notice(error.message)
                shared = []
            names |= {name: True for name in shared if name not in names}
        return names

    def _names(self, items: StorageBackend) -> list[str]:
        keys = items.keys()
        names = []
        for encoded in [key.removeprefix(CREDENTIALS) for key in keys if key.startswith(CREDENTIALS)]:
            try:
                names.append(decode(encoded))
            except StorageCorrupt as error:  # one foreign item must not hide the others
                self._host.notice(error.message)
        return names


def check_name(name: str) -> str:
    """A profile name that can be stored: UTF-8, 1 to 255 bytes, no NUL.

    :raises UsageError: it cannot.
    """
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise UsageError(f"the profile name {name!r} is not UTF-8") from None
    if not size:
        raise UsageError("the profile name is empty")
    if size > MAX_NAME:
        raise UsageError(f"the profile name has {size} bytes; {MAX_NAME} is the most")
    if "\0" in name:
        raise UsageError("the profile name holds a NUL byte")
    return name


def encode(name: str) -> str:
    """A name over the alphabet of item keys: every byte but ``[a-z0-9_-]`` becomes ``.`` and two hex digits."""
    return "".join(chr(byte) if byte in _PLAIN else f".{byte:02x}" for byte in name.encode("utf-8"))


def decode(encoded: str) -> str:
    """The inverse of :func:`encode`.

    :raises StorageCorrupt: :func:`encode` never makes it.
    """
    head, *parts = encoded.split(".")
    try:
        data = head.encode("ascii") + b"".join(bytes([int(part[:2], 16)]) + part[2:].encode("ascii") for part in parts)
        name = data.decode("utf-8")
    except (ValueError, UnicodeError):
        name = ""
    if not name or encode(name) != encoded:
        raise StorageCorrupt(f"the store holds an item with the name {encoded!r}, which awsv did not write")
    return name
