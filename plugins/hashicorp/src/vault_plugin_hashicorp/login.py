"""Who we are to the server: a token that somebody made, or one that we log in for; renewed while it is used."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vault_core.api import (
    Context,
    QuestionRefused,
    Secret,
    SourceUnavailable,
    StorageDenied,
    StorageLocked,
    StorageUnavailable,
)
from vault_plugin_hashicorp.answers import inner, seconds, text
from vault_plugin_hashicorp.client import Calls, section
from vault_plugin_hashicorp.credentials import content, found_token, login_mount, needed, secret_id
from vault_plugin_hashicorp.server import shown
from vault_plugin_hashicorp.transport import Response

_RENEW_BELOW = 1 / 3
"""Of a token's life: what is left of it when it is renewed."""
_FAREWELL_SECONDS = 2.0
"""For giving a token back: who has what they wanted does not wait for more."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the server takes us for."""

    entity: str
    """The id of the identity entity; empty for a token that belongs to none (a root token, for one)."""
    name: str
    """What people know it by, as the server says it."""

    @property
    def display_name(self) -> str:
        """The name on one short line."""
        return shown(self.name)


class Login:
    """The token of one open store. May be used from several threads."""

    def __init__(self, context: Context, calls: Calls, *, may_ask: bool) -> None:
        self._context = context
        self._may_ask = may_ask
        self._calls = calls
        self._lock = threading.RLock()
        self._method = context.options["auth"]
        self._password: Secret | None = None
        self._renewable = False
        self._life = 0.0
        self._ends: float | None = None
        self._next_renewal = 0.0
        self.logins = 0
        self.renewals = 0
        self._obtain()
        self.identity = self._look_up()

    def send(self, request: Callable[[Any], Response]) -> Response:
        """The answer to a request with our token, which is renewed, or replaced by a new one, where that helps.

        :raises StorageLocked: the token is not valid (any more), and we cannot log in by ourselves.
        """
        self._keep_alive()
        token = self._calls.client.token
        answer = self._calls.send(request)
        if answer.status_code in (401, 403) and not self._is_valid():
            self._replace(token)
            answer = self._calls.send(request)
        return answer

    def close(self) -> None:
        """Give a token back that nobody else uses: one that we logged in for."""
        client = self._calls.client
        if self._method != "token" and client.token:
            with suppress(Exception):  # it ends by itself; whatever goes wrong is no news
                client.adapter.post("/v1/auth/token/revoke-self", timeout=_FAREWELL_SECONDS)
        client.token = ""

    # -- renewal -----------------------------------------------------------------------------------------------------

    def _keep_alive(self) -> None:
        """Renew the token when little of its life is left, or log in again when it cannot be renewed."""
        with self._lock:
            now = time.monotonic()
            if self._ends is None or now < self._next_renewal:
                return
            if self._renewable and now < self._ends:
                answer = self._calls.send(lambda client: client.auth.token.renew_self())
                if answer.status_code == 200:
                    self.renewals += 1
                    auth = section(answer, "auth")
                    before = self._ends
                    self._note_life(seconds(auth, "lease_duration"), bool(auth.get("renewable")))
                    if self._method == "token" or self._ends > before + 1:
                        return
                # Refused, by the policy or for good: not to be asked for at every request.
                self._next_renewal = now + max(1.0, (self._ends - now) * _RENEW_BELOW)
            if self._method != "token":
                self._obtain()
                self._look_up_again()

    def _note_life(self, seconds: float, renewable: bool) -> None:
        """:param seconds: 0: it does not end."""
        now = time.monotonic()
        self._renewable = renewable
        self._life = max(self._life, seconds)
        self._ends = now + seconds if seconds else None
        left_then = self._life * _RENEW_BELOW
        # A token near its greatest age is renewed to less and less: then not at every request.
        self._next_renewal = now + max(seconds - left_then, min(1.0, seconds / 2))

    def _replace(self, refused: str) -> None:
        """Log in again, unless another thread did since ``refused`` was the token."""
        with self._lock:
            if self._calls.client.token != refused:
                return
            if self._method == "token" and not self._read_anew():
                raise self._invalid()
            if self._method != "token":
                self._obtain()
            self._look_up_again()

    def _read_anew(self) -> bool:
        """Whether somebody has put another token into the file meanwhile."""
        token = found_token(self._context)
        if token is None or token.reveal_text() == self._calls.client.token:
            return False
        self._calls.client.token = token.reveal_text()
        return True

    def _is_valid(self) -> bool:
        return bool(self._calls.send(lambda client: client.auth.token.lookup_self()).status_code == 200)

    def _look_up_again(self) -> None:
        """:raises StorageLocked: the new token is somebody else's, whose items are others; it is not used."""
        found = self._look_up()
        if (found.entity or found.name) != (self.identity.entity or self.identity.name):
            self._calls.client.token = ""
            raise StorageLocked(
                f"the token for {self._calls.address} is somebody else's now", hint="repeat the command"
            )

    def _look_up(self) -> Identity:
        answer = self._calls.send(lambda client: client.auth.token.lookup_self())
        if answer.status_code in (401, 403):
            raise self._invalid()
        data = section(answer, "data")
        if answer.status_code != 200 or not data:
            namespace = self._calls.server.namespace
            raise StorageUnavailable(
                f"{self._calls.address} does not say whom a token belongs to (HTTP status {answer.status_code})",
                hint=f"is there a namespace {shown(namespace)!r}?"
                if namespace
                else "is this a Vault or OpenBao server?",
            )
        self._note_life(seconds(data, "ttl"), bool(data.get("renewable")))
        name = text(inner(data, "meta"), "username") or text(data, "display_name") or "somebody"
        return Identity(text(data, "entity_id"), name)

    def _invalid(self) -> StorageLocked:
        if self._method == "token":
            return StorageLocked(
                f"{self._calls.address} does not accept the token: it has expired, was revoked, is another server's, or"
                " its policy lacks read on auth/token/lookup-self",
                hint="log in: 'vault login' or 'bao login'",
            )
        return StorageLocked(
            f"{self._calls.address} does not accept the token that the login gave",
            hint="its policy needs read on auth/token/lookup-self, as policy 'default' has",
        )

    # -- logging in --------------------------------------------------------------------------------------------------

    def _obtain(self) -> None:
        """A token by the method that the settings name."""
        client = self._calls.client
        if self._method == "token":
            token = found_token(self._context)
            if token is None:
                raise self._no_token()
            client.token = token.reveal_text()
            return
        client.token = ""
        answer = self._calls.send(self._request())
        if answer.status_code != 200:
            raise self._refused(answer)
        client.token = text(section(answer, "auth"), "client_token")
        if not client.token:
            raise StorageDenied(
                f"auth/{login_mount(self._context)} of {self._calls.address} gives no token for this alone: it may want"
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
        """The password: from the option, or from a person, once."""
        given = self._context.options["password"]
        if given:
            return str(given)
        if self._password is None:
            name = self._context.options["username"]
            try:
                if not self._may_ask:
                    raise SourceUnavailable("a source of passphrases asks for none itself")
                self._password = self._context.ask(f"Password of {name} at {self._calls.address}: ")
            except SourceUnavailable as error:
                raise StorageLocked(
                    f"logging in to {self._calls.address} needs the password of {name}: {error.message}",
                    hint="run it in a terminal, or log in by token, approle or jwt",
                ) from None
            except QuestionRefused:
                raise StorageLocked(f"no password was given for {name} at {self._calls.address}") from None
        return self._password.reveal_text()

    def _refused(self, answer: Response) -> StorageDenied:
        self._password = None
        where = f"auth/{login_mount(self._context)} of {self._calls.address}"
        if answer.status_code == 404:
            return StorageDenied(
                f"there is no {where}", hint="name the mount of the login with AWS_VAULT_HASHICORP_AUTH_MOUNT"
            )
        what, hint = {
            "approle": ("role id or secret id", "check them with its operators; a secret id may have been used up"),
            "userpass": ("name or password", "type it again, or check AWS_VAULT_HASHICORP_USERNAME and _PASSWORD"),
            "jwt": ("role or token", "check them with its operators; the token may have expired"),
        }[self._method]
        return StorageDenied(f"{where} refuses the {what} (HTTP status {answer.status_code})", hint=hint)

    def _no_token(self) -> StorageLocked:
        removed = self._context.environ.get("AWS_VAULT_REMOVED", "").split(",")
        if lost := [name for name in ("BAO_TOKEN", "VAULT_TOKEN") if name in removed]:
            return StorageLocked(
                f"no token for {self._calls.address}: awsv removed {lost[0]} from the environment of what it started",
                hint=f"run this outside of 'awsv exec', or start that one with --keep-env {lost[0]}",
            )
        named = self._context.options["token-file"]
        why = f"{named} is empty" if named else "neither VAULT_TOKEN nor ~/.vault-token"
        return StorageLocked(
            f"no token for {self._calls.address}: {why}",
            hint="log in ('vault login' or 'bao login'), or set AWS_VAULT_HASHICORP_AUTH",
        )
