"""The KV version 2 mount of a server that we are logged in to: single requests, and what a refusal means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from vault_core.api import (
    ConfigError,
    Context,
    StorageDenied,
    StorageError,
)
from vault_plugin_hashicorp.answers import inner, text
from vault_plugin_hashicorp.client import Calls, errors, section
from vault_plugin_hashicorp.login import Identity, Login
from vault_plugin_hashicorp.server import server, shown
from vault_plugin_hashicorp.transport import Response

_MISMATCH = "check-and-set parameter did not match"
"""What the server says when another version is current (kv ``path_data.go``)."""


class Service:
    """An open mount.

    :raises StorageError: no connection, no login, or not a KV version 2 mount.
    """

    def __init__(self, context: Context, *, may_ask: bool = True) -> None:
        self._context = context
        self.mount: str = context.options["mount"]
        self._told_of_history = False
        self.calls = Calls(context, server(context))
        with ExitStack() as cleanup:
            cleanup.callback(self.calls.close)
            self.login = Login(context, self.calls, may_ask=may_ask)
            cleanup.callback(self.login.close)
            self._check_mount()
            cleanup.pop_all()

    @property
    def address(self) -> str:
        return self.calls.address

    @property
    def identity(self) -> Identity:
        return self.login.identity

    def close(self) -> None:
        self.login.close()
        self.calls.close()

    # -- requests ----------------------------------------------------------------------------------------------------

    def read(self, path: str, number: int | None = None) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The metadata of a version (default: the current one; empty if there is none), and its data or None."""
        answer = self._send(
            "read",
            f"data/{path}",
            lambda client: client.secrets.kv.v2.read_secret_version(
                path, version=number, mount_point=self.mount, raise_on_deleted_version=True
            ),
            (200, 404),
        )
        found = section(answer, "data")
        data = found.get("data")
        return inner(found, "metadata"), data if isinstance(data, dict) else None

    def write(self, path: str, content: dict[str, Any], over: int) -> dict[str, Any] | None:
        """Write the version after ``over``: its metadata; None where another version than ``over`` is current."""
        answer = self._send(
            "create and update",
            f"data/{path}",
            lambda client: client.secrets.kv.v2.create_or_update_secret(
                path, content, cas=over, mount_point=self.mount
            ),
            (200, 400),
        )
        if answer.status_code == 200:
            return section(answer, "data")
        if any(_MISMATCH in text for text in errors(answer)):
            return None
        raise StorageError(f"{self.address} does not take what is written to {self.mount}/{path} (HTTP status 400)")

    def destroy(self, path: str, versions: Iterable[int], *, told: bool) -> None:
        """Destroy versions for good, if the policy allows it: the item is deleted all the same.

        :param told: say once that it does not.
        """
        try:
            self._send(
                "update",
                f"destroy/{path}",
                lambda client: client.secrets.kv.v2.destroy_secret_versions(
                    path, versions=list(versions), mount_point=self.mount
                ),
                (200, 204, 404),
            )
        except StorageDenied as error:
            if told and not self._told_of_history:
                self._told_of_history = True
                self._context.notify(f"warning: earlier versions can still be read: {error.message}; {error.hint}")

    def metadata(self, path: str) -> dict[str, Any]:
        """What is known of an item's versions; empty if there never was one."""
        answer = self._send(
            "read",
            f"metadata/{path}",
            lambda client: client.secrets.kv.v2.read_secret_metadata(path, mount_point=self.mount),
            (200, 404),
        )
        return section(answer, "data")

    def names(self, folder: str) -> list[str]:
        """What is directly in a folder; folders end with a slash."""
        answer = self._send(
            "list",
            f"metadata/{folder}/",
            lambda client: client.secrets.kv.v2.list_secrets(folder, mount_point=self.mount),
            (200, 404),
        )
        names = section(answer, "data").get("keys")
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def _send(
        self, capability: str, path: str, request: Callable[[Any], Response], expected: tuple[int, ...]
    ) -> Response:
        answer = self.login.send(request)
        if answer.status_code in expected and not _no_route(answer):
            return answer
        raise self._refusal(capability, path, answer)

    # -- refusals ----------------------------------------------------------------------------------------------------

    def _refusal(self, capability: str, path: str, answer: Response) -> StorageError:
        if answer.status_code == 403:
            words = ", ".join(f'"{word}"' for word in capability.split(" and "))
            return StorageDenied(
                f"{self.address} does not let {self.identity.display_name} {capability} {self.mount}/{path}",
                hint=f'its policy needs: path "{self._rule(path)}" {{ capabilities = [{words}] }}',
            )
        if _no_route(answer):
            return self._no_mount()
        return StorageError(
            f"{self.address} cannot {capability} {self.mount}/{path} (HTTP status {answer.status_code})",
            hint="ask its operators",
        )

    def _rule(self, path: str) -> str:
        """The path of a rule that covers this one and its neighbours."""
        own = f"/own/{self.identity.entity}/"
        if self.identity.entity and own in path:
            return f"{self.mount}/{path.partition(own)[0]}/own/{{{{identity.entity.id}}}}/*"
        return re.sub(r"/common/.*", "/common/*", f"{self.mount}/{path}")

    def _check_mount(self) -> None:
        """Version 1 would take a write to ``data/…`` for one of that name, and keep it without versions."""
        answer = self.login.send(lambda client: client.adapter.get(f"/v1/sys/internal/ui/mounts/{self.mount}"))
        if answer.status_code != 200:
            raise self._no_mount()
        found = section(answer, "data")
        # A path inside of a mount is answered with the mount's properties.
        if text(found, "path").strip("/") != self.mount:
            raise self._no_mount()
        if (engine := text(found, "type")) not in ("kv", "generic"):
            raise ConfigError(
                f"mount {self.mount!r} at {self.address} is a {shown(engine) or 'nameless'} engine, not KV version 2",
                hint="name another with AWS_VAULT_HASHICORP_MOUNT",
            )
        if inner(found, "options").get("version") != "2":
            raise ConfigError(
                f"mount {self.mount!r} at {self.address} is KV version 1, which cannot check and set",
                hint=f"its operators can change it: bao kv enable-versioning {self.mount}",
            )

    def _no_mount(self) -> StorageDenied:
        return StorageDenied(
            f"there is no mount {self.mount!r} at {self.address}, or {self.identity.display_name} has no access to it",
            hint="name the KV version 2 mount with AWS_VAULT_HASHICORP_MOUNT, or ask for a policy",
        )


def _no_route(answer: Response) -> bool:
    return bool(answer.status_code == 404) and any("no handler for route" in text for text in errors(answer))
