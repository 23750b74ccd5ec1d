"""The store: the user's own items in the mount, and the shared ones."""

from __future__ import annotations

import re

from vault_core.api import Context, Secret, SharedItems, StorageBackend
from vault_plugin_hashicorp.items import Items
from vault_plugin_hashicorp.login import Identity
from vault_plugin_hashicorp.service import Service


class Store(Items, SharedItems):
    """A person's or a host's own items; and those of everybody."""

    def __init__(self, service: Service, prefix: str) -> None:
        root = f"{prefix}/" if prefix else ""
        super().__init__(service, f"{root}own/{own_folder(service.identity)}")
        self._common = Items(service, f"{root}common")

    def shared(self) -> StorageBackend:
        return self._common

    def field(self, path: str, name: str) -> Secret | None:
        """A field of a secret that somebody else made, anywhere in the mount; None where there is none."""
        _, data = self.service.read(path)
        value = (data or {}).get(name)
        return Secret(value) if isinstance(value, str) else None


def own_folder(identity: Identity) -> str:
    """The folder of somebody's own items: the entity's id, so that one templated policy keeps people apart.

    A token without an entity has the folder of its name: it has no id, and the policy cannot speak of it anyway.
    """
    if identity.entity:
        return identity.entity
    plain = re.compile(rb"[^A-Za-z0-9_-]")
    return "name-" + plain.sub(lambda found: b".%02x" % found[0][0], identity.name.encode()).decode()


def open_store(context: Context, *, may_ask: bool = True) -> Store:
    """See :attr:`StorageSpec.open`.

    :param may_ask: ask a person for the password of a login.
    """
    return Store(Service(context, may_ask=may_ask), context.options["prefix"])
