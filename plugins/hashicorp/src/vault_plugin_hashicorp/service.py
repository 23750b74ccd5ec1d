"""The KV version 2 mount of a server: its requests, and the errors for the server's refusals."""

import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from vault_core.api import ConfigError, Context, StorageDenied, StorageError
from vault_plugin_hashicorp.client import VaultClient, errors, section
from vault_plugin_hashicorp.fields import inner, text
from vault_plugin_hashicorp.login import Identity, Login
from vault_plugin_hashicorp.server import server, shown
from vault_plugin_hashicorp.transport import Response

_MISMATCH = "check-and-set parameter did not match"
"""The server's message when another version is current (kv ``path_data.go``)."""


class Service:
    """An open mount.

    :raises StorageError: the connection or the login failed, or it is not a KV version 2 mount.
    """

    def __init__(self, context: Context, *, may_ask: bool = True) -> None:
        self._context = context
        self.mount: str = context.options["mount"]
        self._warned = False
        self.client = VaultClient(context, server(context))
        self._kv = self.client.hvac.secrets.kv.v2
        with ExitStack() as cleanup:
            cleanup.callback(self.client.close)
            self.login = Login(context, self.client, may_ask=may_ask)
            cleanup.callback(self.login.close)
            self._check_mount()
            cleanup.pop_all()

    @property
    def address(self) -> str:
        return self.client.address

    @property
    def identity(self) -> Identity:
        return self.login.identity

    def close(self) -> None:
        self.login.close()
        self.client.close()

    # -- requests ----------------------------------------------------------------------------------------------------

    def read(self, path: str, number: int | None = None) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The metadata of a version (default: the current one; empty if there is none), and its data or None."""
        more = {"version": number, "raise_on_deleted_version": True}
        response = self._send("read", "data", path, (200, 404), self._kv.read_secret_version, **more)
        version = section(response, "data")
        data = version.get("data")
        return inner(version, "metadata"), data if isinstance(data, dict) else None

    def write(self, path: str, content: dict[str, Any], over: int) -> dict[str, Any] | None:
        """Write the version after ``over``; return its metadata, or None if ``over`` is not the current version."""
        put = self._kv.create_or_update_secret
        response = self._send("create and update", "data", path, (200, 400), put, secret=content, cas=over)
        if response.status_code == 200:
            return section(response, "data")
        if any(_MISMATCH in text for text in errors(response)):
            return None
        raise StorageError(f"{self.address} refuses the value for {self.mount}/{path} (HTTP status 400)")

    def destroy(self, path: str, versions: Iterable[int], *, warn: bool) -> None:
        """Destroy versions permanently, if the policy allows it; the item is deleted in any case.

        :param warn: warn once if the policy forbids it.
        """
        try:
            destroy = self._kv.destroy_secret_versions
            self._send("update", "destroy", path, (200, 204, 404), destroy, versions=list(versions))
        except StorageDenied as error:
            if warn and not self._warned:
                self._warned = True
                self._context.notify(f"warning: earlier versions can still be read: {error.message}; {error.hint}")

    def metadata(self, path: str) -> dict[str, Any]:
        """The metadata of an item and its versions; empty if there never was one."""
        response = self._send("read", "metadata", path, (200, 404), self._kv.read_secret_metadata)
        return section(response, "data")

    def names(self, folder: str) -> list[str]:
        """The names of the items and folders in a folder; those of folders end with a slash."""
        response = self._send("list", "metadata", f"{folder}/", (200, 404), self._kv.list_secrets)
        names = section(response, "data").get("keys")
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def _send(
        self,
        capability: str,
        area: str,
        path: str,
        expected: tuple[int, ...],
        method: Callable[..., Response],
        **more: Any,
    ) -> Response:
        """The response of a method of ``hvac`` that has an expected status.

        :param capability: what the policy has to allow.
        :param area: the part of the mount: ``data``, ``metadata`` or ``destroy``.
        """
        response = self.login.send(lambda _: method(path=path, mount_point=self.mount, **more))
        if response.status_code in expected and not _no_route(response):
            return response
        raise self._refusal(capability, f"{area}/{path}", response)

    # -- refusals ----------------------------------------------------------------------------------------------------

    def _refusal(self, capability: str, path: str, response: Response) -> StorageError:
        if response.status_code == 403:
            words = ", ".join(f'"{word}"' for word in capability.split(" and "))
            return StorageDenied(
                f"{self.address} does not allow {self.identity.display_name} to {capability} {self.mount}/{path}",
                hint=f'its policy needs: path "{self._rule(path)}" {{ capabilities = [{words}] }}',
            )
        if _no_route(response):
            return self._no_mount()
        return StorageError(
            f"{self.address} cannot {capability} {self.mount}/{path} (HTTP status {response.status_code})",
            hint="ask its operators",
        )

    def _rule(self, path: str) -> str:
        """The path of a policy rule that covers this path and its neighbours."""
        own = f"/own/{self.identity.entity}/"
        if self.identity.entity and own in path:
            return f"{self.mount}/{path.partition(own)[0]}/own/{{{{identity.entity.id}}}}/*"
        return re.sub(r"/common/.*", "/common/*", f"{self.mount}/{path}")

    def _check_mount(self) -> None:
        """:raises StorageError: not a KV version 2 mount. Version 1 would store ``data/…`` as an item of that name."""
        response = self.login.send(lambda client: client.adapter.get(f"/v1/sys/internal/ui/mounts/{self.mount}"))
        if response.status_code != 200:
            raise self._no_mount()
        mount = section(response, "data")
        # For a path inside a mount, the server returns the properties of that mount.
        if text(mount, "path").strip("/") != self.mount:
            raise self._no_mount()
        if (engine := text(mount, "type")) not in ("kv", "generic"):
            raise ConfigError(
                f"mount {self.mount!r} at {self.address} is a {shown(engine) or 'nameless'} engine, not KV version 2",
                hint="set AWS_VAULT_HASHICORP_MOUNT to another mount",
            )
        if inner(mount, "options").get("version") != "2":
            raise ConfigError(
                f"mount {self.mount!r} at {self.address} is KV version 1, which has no check-and-set",
                hint=f"ask its operators to run: bao kv enable-versioning {self.mount}",
            )

    def _no_mount(self) -> StorageDenied:
        return StorageDenied(
            f"there is no mount {self.mount!r} at {self.address}, or {self.identity.display_name} has no access to it",
            hint="set AWS_VAULT_HASHICORP_MOUNT to the KV version 2 mount, or ask its operators for a policy",
        )


def _no_route(response: Response) -> bool:
    return bool(response.status_code == 404) and any("no handler for route" in text for text in errors(response))
