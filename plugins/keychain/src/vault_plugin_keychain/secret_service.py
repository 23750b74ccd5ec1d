"""The Secret Service, through ``keyring``'s class for it and ``SecretStorage``.

What ``keyring`` would do by itself is replaced where it could stall or ask at the wrong time: it connects with a limit
to every wait, takes the collection that was named, and unlocks it only where a person can be asked. Items are found by
their attributes, so there is no index to keep, and none to be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from jeepney import DBusAddress, DBusErrorResponse
from secretstorage import Collection, Item, get_all_collections
from secretstorage.exceptions import ItemNotFoundException, SecretStorageException
from secretstorage.util import add_match_rules

from vault_core.api import Context, StorageLocked, StorageUnavailable
from vault_plugin_keychain import bus as dbus
from vault_plugin_keychain.keychains import KeyringKeychain, isolated, wrapped
from vault_plugin_keychain.kinds import SECRET_SERVICE

_SERVICE = DBusAddress(
    "/org/freedesktop/secrets", bus_name=SECRET_SERVICE.bus_name, interface="org.freedesktop.Secret.Service"
)
_COLLECTION = "org.freedesktop.Secret.Collection"
_APPLICATION = "awsv"
"""``keyring`` writes it to every item, and only items with it are ours."""
_NONE = "/"
_TRIES = 5
_UNLOCK = "unlock it in your desktop session, then repeat"
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


class SecretService(KeyringKeychain):
    """One collection of the Secret Service.

    :param service: the attribute ``service`` of our items.
    """

    def __init__(self, ctx: Context, service: str) -> None:
        base = isolated(SECRET_SERVICE)

        def collection(_self: Any) -> Collection:
            return opened(ctx)

        chosen = type("SecretService", (base,), {"appid": _APPLICATION, "get_preferred_collection": collection})
        super().__init__(SECRET_SERVICE, service, chosen())
        self._ctx = ctx
        self._query = {"service": service, "application": _APPLICATION}

    def get(self, name: str) -> str | None:
        for _ in range(_TRIES - 1):
            try:
                return self._get(name, passing=(ItemNotFoundException,))
            except ItemNotFoundException:  # found, and deleted before it was read: by who replaces it, perhaps
                continue
        return self._get(name)

    def set(self, name: str, text: str) -> None:
        with wrapped(SECRET_SERVICE, "write"):
            collection = opened(self._ctx)
            with closing(collection.connection):
                # Programs that synchronise or merge collections make copies. Only one of them would be replaced, and
                # another one read afterwards.
                for copy in list(collection.search_items(self._query | {"username": name}))[1:]:
                    copy.delete()
        super().set(name, text)

    def names(self) -> list[str]:
        """The names of all texts."""
        found: set[str] = set()
        with wrapped(SECRET_SERVICE, "list"):
            collection = opened(self._ctx)
            with closing(collection.connection) as bus:
                address = DBusAddress(collection.collection_path, SECRET_SERVICE.bus_name, _COLLECTION)
                (paths,) = bus.call(address, "SearchItems", "a{ss}", (self._query,))
                for path in paths:
                    with suppress(ItemNotFoundException):  # somebody deleted it meanwhile
                        found.add(Item(bus, path).get_attributes().get("username", ""))
        return sorted(found - {""})


def opened(ctx: Context) -> Collection:
    """The collection that the options name, unlocked; its ``connection`` is the caller's to close.

    :raises StorageLocked: it is locked, and nobody can be asked, or they declined.
    :raises StorageUnavailable: no bus, no service, no collection, or no answer in time.
    """
    bus = dbus.connect(ctx, SECRET_SERVICE.title)
    try:
        with _explained():
            bus.require(SECRET_SERVICE.bus_name, SECRET_SERVICE.title)
            collection = _find(bus, ctx.options.get("collection-name"))
            if collection.is_locked():
                _unlock(ctx, bus, collection)
    except BaseException:
        bus.close()
        raise
    return collection


def _find(bus: dbus.Bus, label: str | None) -> Collection:
    _greet(bus)
    if not label:
        default = _default(bus)
        if default == _NONE:
            raise StorageUnavailable(
                "the Secret Service has no default collection",
                hint="log in to your desktop once, or make a keyring in its password manager and set it as default",
            )
        return Collection(bus, default)
    collections = list(get_all_collections(bus))
    for collection in collections:
        if collection.get_label() == label:
            return collection
    known = ", ".join(sorted({repr(collection.get_label()) for collection in collections} - {"''"}))
    raise StorageUnavailable(
        f"the Secret Service has no collection {label!r}; it has {known or 'none'}",
        hint="make it in your desktop's password manager, or unset the option collection-name",
    )


def _greet(bus: dbus.Bus) -> None:
    """Have the service note down who we are.

    gnome-keyring (42.1) does so at a program's first message, and while others come and go not always before it answers
    that one: it aborts, for everybody, if it is SecretStorage's reading of a property, and this call is told that
    there is no default collection, which is why nobody looks at the answer.
    """
    _default(bus)


def _default(bus: dbus.Bus) -> str:
    """The path of the default collection, or ``/``."""
    (path,) = bus.call(_SERVICE, "ReadAlias", "s", ("default",))
    return str(path)


def _unlock(ctx: Context, bus: dbus.Bus, collection: Collection) -> None:
    name = f"the collection {collection.get_label()!r} of the Secret Service"
    reason = _why_no_dialog(ctx)
    if reason:
        raise StorageLocked(f"{name} is locked, and {reason}", hint=_UNLOCK)
    ctx.notify(f"{name} is locked: answer your desktop's dialog")
    try:
        add_match_rules(bus)  # gnome-keyring tells us alone that the dialog is over; others tell whoever listens
        with bus.dialog():
            collection.unlock()
    except TimeoutError:
        raise StorageLocked(
            f"{name} is locked, and nobody answered the dialog within {dbus.DIALOG_PATIENCE:g} s",
            hint=_UNLOCK,
        ) from None
    if collection.is_locked():
        raise StorageLocked(
            f"{name} is locked, and the dialog was dismissed or could not be shown",
            hint=_UNLOCK,
        )


def _why_no_dialog(ctx: Context) -> str | None:
    if not ctx.can_show_dialog:
        return "nobody can be asked here"
    if not any(ctx.environ.get(name) for name in _DISPLAYS):
        return f"no dialog can be shown: {' and '.join(_DISPLAYS)} are not set"
    return None


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise StorageUnavailable(
            f"the Secret Service does not answer within {dbus.PATIENCE:g} s",
            hint=f"look after the program that offers {SECRET_SERVICE.bus_name}, or use '--backend file'",
        ) from error
    except (OSError, SecretStorageException, DBusErrorResponse) as error:
        raise StorageUnavailable(
            f"the Secret Service went away: {type(error).__name__}", hint="repeat; if it stays, log in again"
        ) from error
