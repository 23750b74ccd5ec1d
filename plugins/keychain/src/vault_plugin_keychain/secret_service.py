"""The Secret Service, through ``keyring``'s class for it and ``SecretStorage``.

Methods of ``keyring``'s class that could block, or show a dialog at the wrong time, are replaced: every wait has a
limit, the collection is the configured one, and it is unlocked only if a dialog can be shown. Items are found by their
attributes, so no index is needed.
"""

from contextlib import closing, suppress
from typing import Any

from jeepney import DBusAddress
from secretstorage import Collection, Item, get_all_collections
from secretstorage.exceptions import ItemNotFoundException
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
"""The value of the attribute ``application`` of every item of awsv."""
_NONE = "/"
_TRIES = 5
_UNLOCK = "unlock it in your desktop session, then try again"
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


class SecretService(KeyringKeychain):
    """One collection of the Secret Service.

    :param service: the attribute ``service`` of awsv's items.
    """

    def __init__(self, ctx: Context, service: str) -> None:
        base = isolated(SECRET_SERVICE)

        def collection(_self: Any) -> Collection:
            return open_collection(ctx)

        keyring = type("SecretService", (base,), {"appid": _APPLICATION, "get_preferred_collection": collection})
        super().__init__(SECRET_SERVICE, service, keyring())
        self._ctx = ctx
        self._query = {"service": service, "application": _APPLICATION}

    def _read(self, name: str) -> Any:
        for _ in range(_TRIES - 1):
            with suppress(ItemNotFoundException):  # deleted between the search and the read, perhaps to replace it
                return super()._read(name)
        return super()._read(name)

    def set(self, name: str, text: str) -> None:
        with wrapped(SECRET_SERVICE, "write"):
            collection = open_collection(self._ctx)
            with closing(collection.connection):
                # Programs that synchronise or merge collections make copies. Only one of them would be replaced, and
                # a later read could return another.
                for copy in list(collection.search_items(self._query | {"username": name}))[1:]:
                    copy.delete()
        super().set(name, text)

    def names(self) -> list[str]:
        """The names of all texts."""
        names: set[str] = set()
        with wrapped(SECRET_SERVICE, "list"):
            collection = open_collection(self._ctx)
            with closing(collection.connection) as bus:
                address = DBusAddress(collection.collection_path, SECRET_SERVICE.bus_name, _COLLECTION)
                (paths,) = bus.call(address, "SearchItems", "a{ss}", (self._query,))
                for path in paths:
                    with suppress(ItemNotFoundException):  # another process has deleted it
                        names.add(Item(bus, path).get_attributes().get("username", ""))
        return sorted(names - {""})


def open_collection(ctx: Context) -> Collection:
    """The collection that the options name, unlocked. The caller closes its ``connection``.

    :raises StorageLocked: it is locked, and no dialog can be shown, or the user dismissed it.
    :raises StorageUnavailable: no bus, no service, no collection, or no answer in time.
    """
    bus = dbus.connect(ctx, SECRET_SERVICE.title)
    try:
        with dbus.explained(SECRET_SERVICE.title, SECRET_SERVICE.bus_name):
            bus.require(SECRET_SERVICE.bus_name, SECRET_SERVICE.title)
            collection = _find(bus, ctx.options.get("collection-name"))
            if collection.is_locked():
                _unlock(ctx, bus, collection)
    except BaseException:
        bus.close()
        raise
    return collection


def _find(bus: dbus.Bus, label: str | None) -> Collection:
    # gnome-keyring (42.1) registers a client at its first message, and while other clients come and go, not always
    # before it answers. If that message is SecretStorage's read of a property, the service aborts for all clients. This
    # call may instead get the wrong answer that there is no default collection, so its result is ignored.
    _default(bus)
    if not label:
        default = _default(bus)
        if default == _NONE:
            raise StorageUnavailable(
                "the Secret Service has no default collection",
                hint="log in to your desktop once, or create a default keyring in its password manager",
            )
        return Collection(bus, default)
    collections = list(get_all_collections(bus))
    for collection in collections:
        if collection.get_label() == label:
            return collection
    labels = ", ".join(sorted({repr(collection.get_label()) for collection in collections} - {"''"}))
    raise StorageUnavailable(
        f"the Secret Service has no collection {label!r}; available: {labels or 'none'}",
        hint="create it in your desktop's password manager, or unset the option collection-name",
    )


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
        add_match_rules(bus)  # other services than gnome-keyring broadcast the signal that the dialog has ended
        with bus.dialog():
            collection.unlock()
    except TimeoutError:
        raise StorageLocked(
            f"{name} is locked, and the dialog was not answered within {dbus.DIALOG_PATIENCE:g} s",
            hint=_UNLOCK,
        ) from None
    if collection.is_locked():
        raise StorageLocked(f"{name} is locked, and the dialog was dismissed or could not be shown", hint=_UNLOCK)


def _why_no_dialog(ctx: Context) -> str | None:
    if not ctx.can_show_dialog:
        return "dialogs are not allowed here"
    if not any(ctx.environ.get(name) for name in _DISPLAYS):
        return f"no dialog can be shown: {' and '.join(_DISPLAYS)} are not set"
    return None
