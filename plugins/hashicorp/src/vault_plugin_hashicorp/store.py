"""The store: the user's own items in the mount, and the shared ones."""

import re

from vault_core.api import Context, Secret, SharedItems, StorageBackend
from vault_plugin_hashicorp.items import Items
from vault_plugin_hashicorp.login import Identity
from vault_plugin_hashicorp.service import Service

_ESCAPED = re.compile(rb"[^A-Za-z0-9_-]")


class Store(Items, SharedItems):
    """The own items of a user or host, and the shared items."""

    def __init__(self, service: Service, prefix: str) -> None:
        root = f"{prefix}/" if prefix else ""
        super().__init__(service, f"{root}own/{own_folder(service.identity)}")
        self._common = Items(service, f"{root}common")

    def shared(self) -> StorageBackend:
        return self._common

    def field(self, path: str, name: str) -> Secret | None:
        """A field of any secret in the mount; None if it does not exist."""
        _, data = self.service.read(path)
        value = (data or {}).get(name)
        return Secret(value) if isinstance(value, str) else None


def own_folder(identity: Identity) -> str:
    """The folder of an identity's own items: the entity's ID, so that one templated policy separates all users.

    A token without an entity uses a folder for its name: it has no ID, so the policy could not name it anyway.
    """
    if identity.entity:
        return identity.entity
    if not identity.name:
        return "name-somebody"
    return "name-" + _ESCAPED.sub(lambda char: b".%02x" % char[0][0], identity.name.encode()).decode()


def open_store(context: Context, *, may_ask: bool = True) -> Store:
    """See :attr:`StorageSpec.open`.

    :param may_ask: whether the user may be asked for the password of a login.
    """
    return Store(Service(context, may_ask=may_ask), context.options["prefix"])
