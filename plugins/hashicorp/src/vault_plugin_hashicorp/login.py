"""The login to the server: an existing token, or one from an auth method. It is renewed while it is used."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vault_core import api
from vault_plugin_hashicorp.client import VaultClient, section
from vault_plugin_hashicorp.credentials import content, find_token, login_mount, needed, secret_id
from vault_plugin_hashicorp.fields import inner, seconds, text
from vault_plugin_hashicorp.server import shown
from vault_plugin_hashicorp.transport import Response

_RENEW_BELOW = 1 / 3
"""A token is renewed when less than this part of its life is left."""
_REVOKE_SECONDS = 2.0
"""Time limit for revoking a token at the end, when the user has the result and should not have to wait."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity behind the token."""

    entity: str
    """The ID of the identity entity; empty for a token without one, such as a root token."""
    name: str
    """Its name at the server; empty if it has none."""

    @property
    def display_name(self) -> str:
        """The name on one short line."""
        return shown(self.name) or "unnamed"


class Login:
    """The token of one open store. Safe for use by several threads."""

    def __init__(self, context: api.Context, client: VaultClient, *, may_ask: bool) -> None:
        self._context = context
        self._may_ask = may_ask
        self._client = client
        self._lock = threading.RLock()
        self._method = context.options["auth"]
        self._password: api.Secret | None = None
        self._renewable = False
        self._life = 0.0
        self._ends: float | None = None
        self._next_renewal = 0.0
        self.logins = 0
        self.renewals = 0
        self._obtain()
        self.identity = self._look_up()

    def send(self, request: Callable[[Any], Response]) -> Response:
        """Send a request with the token, which is renewed or replaced first if needed.

        :raises StorageLocked: the token is not valid, and awsv cannot log in without the user.
        """
        self._keep_alive()
        token = self._client.hvac.token
        response = self._client.send(request)
        if response.status_code in (401, 403) and not self._is_valid():
            self._replace(token)
            response = self._client.send(request)
        return response

    def close(self) -> None:
        """Revoke the token if it came from a login of this process."""
        client = self._client.hvac
        if self._method != "token" and client.token:
            with suppress(Exception):  # the token expires anyway
                client.adapter.post("/v1/auth/token/revoke-self", timeout=_REVOKE_SECONDS)
        client.token = ""

    # -- renewal -----------------------------------------------------------------------------------------------------

    def _keep_alive(self) -> None:
        """Renew the token if little of its life is left, or log in again if it cannot be renewed."""
        with self._lock:
            now = time.monotonic()
            if self._ends is None or now < self._next_renewal:
                return
            if self._renewable and now < self._ends:
                response = self._client.send(lambda client: client.auth.token.renew_self())
                if response.status_code == 200:
                    self.renewals += 1
                    auth = section(response, "auth")
                    before = self._ends
                    self._note_life(seconds(auth, "lease_duration"), bool(auth.get("renewable")))
                    if self._method == "token" or self._ends > before + 1:
                        return
                # Refused, by the policy or because of the token's maximum age: do not try it before every request.
                self._next_renewal = now + max(1.0, (self._ends - now) * _RENEW_BELOW)
            if self._method != "token":
                self._obtain()
                self._look_up_again()

    def _note_life(self, seconds: float, renewable: bool) -> None:
        """:param seconds: the remaining life; 0: the token does not expire."""
        now = time.monotonic()
        self._renewable = renewable
        self._life = max(self._life, seconds)
        self._ends = now + seconds if seconds else None
        left_then = self._life * _RENEW_BELOW
        # Near its maximum age, a token is renewed for shorter and shorter periods: do not renew it for every request.
        self._next_renewal = now + max(seconds - left_then, min(1.0, seconds / 2))

    def _replace(self, refused: str) -> None:
        """Log in again, unless another thread has replaced the token ``refused``."""
        with self._lock:
            if self._client.hvac.token != refused:
                return
            if self._method == "token" and not self._reload():
                raise self._invalid()
            if self._method != "token":
                self._obtain()
            self._look_up_again()

    def _reload(self) -> bool:
        """Read the token again; True if it is a new one."""
        token = find_token(self._context)
        if token is None or token.reveal_text() == self._client.hvac.token:
            return False
        self._client.hvac.token = token.reveal_text()
        return True

    def _is_valid(self) -> bool:
        return bool(self._client.send(lambda client: client.auth.token.lookup_self()).status_code == 200)

    def _look_up_again(self) -> None:
        """:raises StorageLocked: the new token belongs to another identity, which has other items; it is not used."""
        identity = self._look_up()
        if (identity.entity or identity.name) != (self.identity.entity or self.identity.name):
            self._client.hvac.token = ""
            raise api.StorageLocked(
                f"the token for {self._client.address} belongs to another identity now", hint="repeat the command"
            )

    def _look_up(self) -> Identity:
        response = self._client.send(lambda client: client.auth.token.lookup_self())
        if response.status_code in (401, 403):
            raise self._invalid()
        data = section(response, "data")
        if response.status_code != 200 or not data:
            namespace = self._client.server.namespace
            raise api.StorageUnavailable(
                f"{self._client.address} cannot look up the token (HTTP status {response.status_code})",
                hint=f"check that namespace {shown(namespace)!r} exists"
                if namespace
                else "check that this is a Vault or OpenBao server",
            )
        self._note_life(seconds(data, "ttl"), bool(data.get("renewable")))
        name = text(inner(data, "meta"), "username") or text(data, "display_name")
        return Identity(text(data, "entity_id"), name)

    def _invalid(self) -> api.StorageLocked:
        if self._method == "token":
            return api.StorageLocked(
                f"{self._client.address} does not accept the token: it has expired, was revoked, is for another server,"
                " or its policy lacks read on auth/token/lookup-self",
                hint="log in: 'vault login' or 'bao login'",
            )
        return api.StorageLocked(
            f"{self._client.address} does not accept the token of the login",
            hint="its policy needs read on auth/token/lookup-self, as policy 'default' has",
        )

    # -- logging in --------------------------------------------------------------------------------------------------

    def _obtain(self) -> None:
        """Get a token by the method that the settings name."""
        client = self._client.hvac
        if self._method == "token":
            token = find_token(self._context)
            if token is None:
                raise self._no_token()
            client.token = token.reveal_text()
            return
        client.token = ""
        response = self._client.send(self._request())
        if response.status_code != 200:
            raise self._refused(response)
        client.token = text(section(response, "auth"), "client_token")
        if not client.token:
            raise api.StorageDenied(
                f"auth/{login_mount(self._context)} of {self._client.address} returned no token: it may require"
                " a second factor",
                hint="log in with 'vault login' or 'bao login', and set AWS_VAULT_HASHICORP_AUTH=token",
            )
        self.logins += 1

    def _request(self) -> Callable[[Any], Response]:
        context, mount = self._context, login_mount(self._context)
        match self._method:
            case "approle":
                role, secret = needed(context, "role-id"), secret_id(context)
                return lambda client: client.auth.approle.login(role, secret, use_token=False, mount_point=mount)
            case "userpass":
                name, password = needed(context, "username"), self._ask()
                return lambda client: client.auth.userpass.login(name, password, use_token=False, mount_point=mount)
            case _:
                role, jwt = needed(context, "role"), content(context, "jwt-file")
                return lambda client: client.auth.jwt.jwt_login(role, jwt, use_token=False, path=mount)

    def _ask(self) -> str:
        """The password: from the option, or from the user, who is asked once."""
        option = self._context.options["password"]
        if option:
            return str(option)
        if self._password is None:
            name = self._context.options["username"]
            try:
                if not self._may_ask:
                    raise api.SourceUnavailable("a passphrase source must not ask for one")
                self._password = self._context.ask(f"Password of {name} at {self._client.address}: ")
            except api.SourceUnavailable as error:
                raise api.StorageLocked(
                    f"logging in to {self._client.address} needs the password of {name}: {error.message}",
                    hint="run it in a terminal, or log in with token, approle or jwt",
                ) from None
            except api.QuestionRefused:
                raise api.StorageLocked(f"no password was given for {name} at {self._client.address}") from None
        return self._password.reveal_text()

    def _refused(self, response: Response) -> api.StorageDenied:
        self._password = None
        where = f"auth/{login_mount(self._context)} of {self._client.address}"
        if response.status_code == 404:
            return api.StorageDenied(
                f"there is no {where}", hint="set AWS_VAULT_HASHICORP_AUTH_MOUNT to the mount of the login"
            )
        what, hint = {
            "approle": ("role ID or secret ID", "check them with its operators; the secret ID may have been used up"),
            "userpass": ("name or password", "type it again, or check AWS_VAULT_HASHICORP_USERNAME and _PASSWORD"),
            "jwt": ("role or token", "check them with its operators; the token may have expired"),
        }[self._method]
        return api.StorageDenied(f"{where} refuses the {what} (HTTP status {response.status_code})", hint=hint)

    def _no_token(self) -> api.StorageLocked:
        removed = self._context.environ.get("AWS_VAULT_REMOVED", "").split(",")
        if lost := [name for name in ("BAO_TOKEN", "VAULT_TOKEN") if name in removed]:
            return api.StorageLocked(
                f"no token for {self._client.address}: 'awsv exec' removed {lost[0]} from the environment",
                hint=f"run this outside 'awsv exec', or start 'awsv exec' with --keep-env {lost[0]}",
            )
        named = self._context.options["token-file"]
        why = f"{named} is empty" if named else "neither VAULT_TOKEN nor ~/.vault-token exists"
        return api.StorageLocked(
            f"no token for {self._client.address}: {why}",
            hint="log in ('vault login' or 'bao login'), or set AWS_VAULT_HASHICORP_AUTH",
        )
