"""The vault: AWS keys by profile name, over one store.

It opens the store that the settings name, adds the core's sealing where the backend has none of its own, and turns
names and keys into what every backend can hold: item keys over ``[a-z0-9._-]`` and printable ASCII values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vault_core import output
from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    Capability,
    Credentials,
    Expect,
    SharedItems,
    SlotKeeper,
    StorageBackend,
    StorageSpec,
    Version,
)
from vault_core.errors import (
    PluginNotFound,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    StorageLocked,
    UsageError,
)
from vault_core.pasting import command_line
from vault_core.plugins.boundary import open_store, said
from vault_core.secret import Secret

if TYPE_CHECKING:
    from vault_core.plugins.host import Host, HostContext
    from vault_core.vlt import SlotTable

CREDENTIALS = "credentials/"
"""The kind of the items that hold AWS keys."""
ORIGINALS = "original/"
"""The kind of the items that hold what a plain file held before its keys were removed."""
MAX_NAME = 255
"""The most bytes a profile name may have: three times that and the kind fit into an item key of 900."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")


@dataclass(frozen=True)
class Store:
    """Which store a command works on: its name, its plugin, and everything that tells it from another one."""

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

        :raises PluginNotFound: neither ``config.toml`` nor a plugin has it.
        """
        settings = host.settings.store(name)
        try:
            spec = host.plugins.load("storage", settings.backend)
        except PluginNotFound as error:
            stores = host.settings.config.get("store", {})
            if name in stores:
                raise
            raise PluginNotFound(error.message, hint=host.plugins.hint("storage", name, stores)) from None
        return cls(
            settings.name, spec, host.context("storage", spec.name, spec.options, store=settings, profile=profile)
        )

    @cached_property
    def identity(self) -> str:
        """Equal for two names of one store, and for no two stores: part of the cache key of every session.

        It stays what it was when it was first asked for; :meth:`identify` is what it is now.
        """
        return self.identify()

    def identify(self) -> str:
        """What :attr:`identity` would be if it was first asked for now: a login's file may be exchanged at any time."""
        if self.spec.locate:
            place = self.place
            parts: list[object] = [self.spec.name, os.path.realpath(place) if place.startswith("/") else place]
        else:
            declared = [option for option in self.spec.options if not option.secret]
            options = {option.name: str(self.context.options[option.name]) for option in declared}
            parts = [self.spec.name, options, str(self.context.data_dir)]
        return json.dumps([*parts, self._said("principal")] if self.spec.principal else parts, sort_keys=True)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._said("locate") or self.name

    @property
    def readers(self) -> str | None:
        """Who can read what is kept there, in one sentence; None where the plugin does not say."""
        return self._said("readers")

    def _said(self, question: str) -> str | None:
        return said(self.context.host.plugins, "storage", self.spec, question, self.context)

    @property
    def is_shared(self) -> bool:
        """Whether several people keep keys in it: each their own, and common ones."""
        return Capability.SHARED in self.spec.capabilities


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key in the vault, and which state of its item it was read from."""

    credentials: Credentials
    version: Version
    shared: bool = False
    """It is everybody's, not the person's own."""
    written_by: str = ""
    """See :attr:`vault_core.api.Item.written_by`."""


class Vault(SlotKeeper):
    """An open vault; the store behind it is opened at the first need."""

    def __init__(self, host: Host, store: Store) -> None:
        self.store = store
        self._host = host

    @cached_property
    def _opened(self) -> StorageBackend:
        """:raises StorageLocked: it is another store now, or another person's, than the one that was planned with; or
        it needs the network, and the command only looks."""
        if self._host.local and Capability.REMOTE in self.store.spec.capabilities:
            raise StorageLocked(
                f"store {self.store.name!r} ({self.store.place}) needs the network and was not asked",
                hint="'awsv list --unlock' asks it",
            )
        identity = self.store.identity
        opened = open_store(self._host.plugins, self.store.spec, self.store.context)
        self._host.stores.append(opened)
        if self.store.identify() != identity:
            raise StorageLocked(
                f"store {self.store.name!r} ({self.store.place}) has become another one, or somebody else's, since"
                " the command began",
                hint="repeat the command",
            )
        return opened

    @cached_property
    def _backend(self) -> StorageBackend:
        """The person's own items."""
        backend = self._split(self._opened)
        if self.store.spec.at_rest is AtRest.CORE:
            from vault_core.storage.sealed import SealedBackend

            return SealedBackend(backend, self.store.context, self.store.spec.capabilities)
        return backend

    @cached_property
    def _common(self) -> StorageBackend:
        """Everybody's items.

        :raises StorageDenied: the store has none.
        """
        opened = self._opened if self.store.is_shared and self.store.spec.at_rest is AtRest.SERVICE else None
        if not isinstance(opened, SharedItems):
            raise StorageDenied(
                f"store {self.store.name!r} ({self.store.place}) is yours alone: nothing in it is shared",
                hint="leave --shared away, or name a shared store with --backend",
            )
        return self._split(opened.shared())

    def _split(self, backend: StorageBackend) -> StorageBackend:
        if self.store.spec.max_value is None:
            return backend
        from vault_core.splitting import Split

        with self._host.plugins.blame("storage", self.store.spec.name):
            return Split(backend, self.store.spec.max_value)

    def _items(self, shared: bool) -> StorageBackend:
        return self._common if shared else self._backend

    def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
        """The key stored under a name, or None.

        :param shared: True: everybody's only; False: one's own only; None: one's own, else everybody's.
        :raises StorageCorrupt: the item is not a key.
        """
        if shared is None:
            own = self._get(name, shared=False)
            return own if own is not None or not self.store.is_shared else self._get(name, shared=True)
        return self._get(name, shared=shared)

    def _get(self, name: str, *, shared: bool) -> StoredKey | None:
        items = self._items(shared)
        item = items.get(CREDENTIALS + encode(name))
        if item is None:
            return None
        try:
            fields = json.loads(item.value.reveal())
            key_id, secret = fields["access_key_id"], fields["secret_access_key"]
            if not (isinstance(key_id, str) and isinstance(secret, str)):
                raise TypeError("not text")
            if not (key_id.isprintable() and secret.isprintable()):
                # Whoever may write common items could add lines to what is printed for shells and files.
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

    def put(self, name: str, key: Credentials, *, expect: Expect = ANY, shared: bool = False) -> None:
        """Keep a key under a name.

        :param shared: among everybody's keys, not among one's own.
        :raises StorageConflict: something else than ``expect`` is there; nothing was changed.
        """
        fields = {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key.reveal_text()}
        value = Secret(json.dumps(fields, ensure_ascii=True))
        items = self._items(shared)
        items.put(CREDENTIALS + encode(name), value, expect=self._understood(items, name, expect))

    def delete(self, name: str, *, expect: Expect = ANY, shared: bool = False) -> bool:
        """Forget the key of a name; True if there was one.

        :param shared: everybody's, not one's own.
        :raises StorageConflict: something else than ``expect`` is there; nothing was changed.
        """
        items = self._items(shared)
        return items.delete(CREDENTIALS + encode(name), expect=self._understood(items, name, expect))

    def _understood(self, items: StorageBackend, name: str, expect: Expect) -> Expect:
        """What the backend can check by itself; the rest is looked at here, shortly before."""
        able = self.store.spec.capabilities
        checks = Capability.CREATE_ONLY | Capability.CAS if expect is ABSENT else Capability.CAS
        if expect is ANY or able & checks:
            return expect
        item = items.get(CREDENTIALS + encode(name))
        if (ABSENT if item is None else item.version) != expect:
            raise StorageConflict(f"{name!r} is not as it was before in {self.store.place}")
        return ANY

    def delete_only(self, name: str, key: Credentials) -> bool:
        """Forget one's own key of a name if it is this one; False, and nothing done, if another or none is there."""
        stored = self.get(name, shared=False)
        if stored is None or stored.credentials != key:
            return False
        try:
            return self.delete(name, expect=stored.version)
        except StorageConflict:
            return False

    def original(self, name: str) -> Secret | None:
        """What :meth:`keep_original` keeps under a name, or None."""
        item = self._backend.get(ORIGINALS + encode(name))
        return item.value if item else None

    def keep_original(self, name: str, value: Secret | None) -> None:
        """Keep what a plain file held, sealed like a key; None forgets it.

        :param value: printable ASCII.
        """
        if value is None:
            self._backend.delete(ORIGINALS + encode(name))
        else:
            self._backend.put(ORIGINALS + encode(name), value)

    def slots(self) -> SlotTable:
        """See :meth:`SlotKeeper.slots`.

        :raises StorageDenied: the store has no key slots, as awsv does not encrypt it.
        """
        return self._keeper.slots()

    def change_slots(self, change: Callable[[SlotTable, Secret], SlotTable], *, dek: Secret | None = None) -> None:
        self._keeper.change_slots(change, dek=dek)

    @property
    def _keeper(self) -> SlotKeeper:
        if not isinstance(self._backend, SlotKeeper):
            raise StorageDenied(
                f"store {self.store.name!r} has no key slots: {self.store.spec.name} protects it, not awsv",
                hint="name another store with --backend",
            )
        return self._backend

    def names(self) -> Iterator[str]:
        """The names with a key, one's own and everybody's, sorted."""
        yield from sorted(self.owners())

    def owners(self) -> dict[str, bool]:
        """The names with a key; True where only everybody has one: one's own comes first."""
        names = dict.fromkeys(self._names(self._backend), False)
        if self.store.is_shared:
            try:
                common = self._names(self._common)
            except StorageDenied as error:  # who may not see them still has their own
                output.note(error.message)
                common = []
            names |= {name: True for name in common if name not in names}
        return names

    def _names(self, items: StorageBackend) -> list[str]:
        keys = items.keys()
        found = [key.removeprefix(CREDENTIALS) for key in keys if key.startswith(CREDENTIALS)]
        names = []
        for encoded in found:
            try:
                names.append(decode(encoded))
            except StorageCorrupt as error:  # one item of somebody else's must not hide the others
                output.note(error.message)
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

    :raises StorageCorrupt: nothing that :func:`encode` makes.
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
