"""Responses of other programs, tokens of other identities, and writes without a response are recognised as such."""

from __future__ import annotations

import http.server
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.lossy_proxy import lossy
from support.openbao import Server, free_port
from vault_core.api import (
    Cancelled,
    ConfigError,
    Secret,
    StorageError,
    StorageLocked,
    StorageUnavailable,
    VaultError,
)
from vault_plugin_hashicorp import client
from vault_plugin_hashicorp.server import server
from vault_plugin_hashicorp.store import Store
from vault_testkit import FakeContext

Open = Callable[..., Any]
Answer = tuple[int, dict[str, str], bytes]


class Between:
    """A proxy before the server that answers some requests itself.

    :param answer: to a request's path.
    """

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self.asked: list[tuple[str, str]] = []
        """Method and path of each request."""
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self) -> None:
                asked.append((self.command, self.path))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, content = answer(self.path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_LIST = reply  # noqa: N815 - http.server's own names

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def between() -> Iterator[Callable[[Callable[[str], Answer]], Between]]:
    made: list[Between] = []

    def start(answer: Callable[[str], Answer]) -> Between:
        made.append(Between(answer))
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def person(openbao: Server) -> str:
    return openbao.person(f"ana-{secrets.token_hex(4)}")


@pytest.fixture
def store(openbao: Server, person: str, open_store: Open) -> Store:
    opened: Store = open_store(openbao.environ(person))[0]
    opened.put("test/key", Secret("value"))
    return opened


def turn_to(store: Store, url: str) -> None:
    """Send the store's requests to this address from now on."""
    store.service.client.hvac.adapter.base_uri = url


# -- other answers than the server's -----------------------------------------------------------------------------------


LOOK_UP = {"ttl": 100, "renewable": True, "entity_id": "e", "display_name": "d", "meta": {"username": "u"}}
MOUNT = {"path": "secret/", "type": "kv", "options": {"version": "2"}}
ITEM = {"data": {"value": "x"}, "metadata": {"version": 1, "created_time": "2026-01-01T00:00:00Z"}}
OF_AN_ITEM = {"current_version": 1, "versions": {"1": {"destroyed": False, "deletion_time": ""}}}


@pytest.mark.parametrize("odd", ["", "x", 1, -1, 10**400, 1e999, True, [], [1], {}, {"1": 1}, None])
def test_response_with_wrong_types_is_an_error(
    odd: object, between: Any, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any response of any server is either an error message or ignored."""
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.0)
    answers: dict[str, dict[str, Any]] = {
        "lookup-self": LOOK_UP,
        "ui/mounts": MOUNT,
        "secret/data": ITEM,
        "secret/metadata": OF_AN_ITEM,
    }
    for place, whole in answers.items():
        for field in whole:

            def answer(path: str, place: str = place, field: str = field) -> Answer:
                found = next(at for at in answers if at in path)
                data = answers[found] | ({field: odd} if found == place else {})
                if "list=true" in path:
                    data = {"keys": odd if odd is not None else ["a"]}
                return 200, {}, json.dumps({"data": data}).encode()

            with suppress(VaultError):
                store, _ = open_store({"VAULT_ADDR": between(answer).url, "VAULT_TOKEN": "x"})
                list(store.keys())
                store.get("a/b")
                store._is_alive("a")


@pytest.mark.parametrize(
    "errors", [["too large"], None, 7, {}, "check-and-set parameter did not match"], ids=["list", *"n7ot"]
)
def test_refused_value_is_an_error_after_one_write(errors: object, between: Any, open_store: Open) -> None:
    """And no lost race, which would be tried again."""
    refusing: Between

    def answer(path: str) -> Answer:
        if refusing.asked[-1][0] in ("POST", "PUT"):
            return 400, {}, json.dumps({"errors": errors}).encode()
        if "secret/data" in path:
            return 404, {}, b'{"errors": []}'
        return 200, {}, json.dumps({"data": LOOK_UP if "lookup-self" in path else MOUNT}).encode()

    refusing = between(answer)
    store, _ = open_store({"VAULT_ADDR": refusing.url, "VAULT_TOKEN": "x"})
    with pytest.raises(StorageError, match=r"refuses the value for secret/.* \(HTTP status 400\)"):
        store.put("test/key", Secret("value"))
    assert [method for method, path in refusing.asked if method in ("POST", "PUT")] == ["POST"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": ""}, "is a nameless engine, not KV version 2"),
        ({"type": "pki"}, "is a pki engine, not KV version 2"),
        ({"options": {"version": "1"}}, "is KV version 1, which has no check-and-set"),
        ({"options": None}, "is KV version 1, which has no check-and-set"),
    ],
)
def test_mount_of_another_kind_is_named(change: dict[str, Any], message: str, between: Any, open_store: Open) -> None:
    def answer(path: str) -> Answer:
        return 200, {}, json.dumps({"data": LOOK_UP if "lookup-self" in path else MOUNT | change}).encode()

    with pytest.raises(ConfigError, match=f"^mount 'secret' at http://.* {message}$"):
        open_store({"VAULT_ADDR": between(answer).url, "VAULT_TOKEN": "x"})


def test_active_member_is_used_from_the_start(between: Any, context: Callable[..., FakeContext]) -> None:
    standby, active = between(lambda _path: (429, {}, b"{}")), between(lambda _path: (200, {}, b"{}"))
    host = context({"VAULT_ADDR": f"{standby.url},{active.url}"})
    made = client.VaultClient(host, server(host))
    assert made.address == active.url
    made.send(lambda client: client.auth.token.lookup_self())
    assert [path for _, path in standby.asked] == ["/v1/sys/health"]
    made.close()


def test_pause_between_tries_can_be_cancelled(
    context: Callable[..., FakeContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = context({"VAULT_ADDR": "http://127.0.0.1:9"})
    made = client.VaultClient(host, server(host))

    def cancelled() -> None:
        raise Cancelled("interrupted")

    monkeypatch.setattr(host, "check", cancelled)
    began = time.monotonic()
    with pytest.raises(Cancelled):
        made._sleep(30)
    assert time.monotonic() - began < 30
    made.close()


def test_json_404_of_gateway_is_not_absent_item(store: Store, between: Any) -> None:
    gateway = between(lambda _path: (404, {}, b'{"message": "no Route matched with those values"}'))
    turn_to(store, gateway.url)
    for look in (lambda: store.get("test/key"), lambda: list(store.keys())):
        with pytest.raises(StorageUnavailable, match="is not from Vault or OpenBao"):
            look()


@pytest.mark.parametrize("status", [301, 302, 303])
def test_redirect_that_turns_write_into_read_is_refused(
    status: int, openbao: Server, store: Store, between: Any
) -> None:
    away = between(lambda path: (status, {"Location": openbao.url + path}, b""))
    turn_to(store, away.url)
    for change in (lambda: store.put("test/key", Secret("new")), lambda: store.delete("test/key")):
        with pytest.raises(StorageUnavailable, match="which would turn the request into a read"):
            change()
    with pytest.raises(StorageUnavailable):
        list(store.keys())
    turn_to(store, openbao.url)
    item = store.get("test/key")
    assert item is not None
    assert item.value == Secret("value")


def test_redirect_of_standby_is_followed(openbao: Server, store: Store, between: Any) -> None:
    standby = between(lambda path: (307, {"Location": openbao.url + path}, b""))
    turn_to(store, standby.url)
    assert store.put("test/key", Secret("new")).startswith("2@")
    assert list(store.keys()) == ["test/key"]


def test_slow_listing_can_be_cancelled(openbao: Server, person: str, open_store: Open) -> None:
    """No single response takes long enough for the wait to call ``check``."""
    with lossy(openbao.url) as front:
        store, host = open_store({"VAULT_ADDR": front.url, "VAULT_TOKEN": person})
        for number in range(40):
            openbao.call("POST", f"secret/data/{store.folder}/test/k{number}", {"data": {"value": "x"}})

        def over() -> None:
            if front.seen[-1].path.rpartition("/")[2].startswith("k"):
                raise Cancelled("the time for this is over")

        front.lose_request = lambda _method, _path: bool(time.sleep(0.1))
        host.check = over
        with pytest.raises(Cancelled):
            list(store.keys())
        assert len({seen.path for seen in front.seen if "/test/k" in seen.path}) < 20


# -- a write of which nothing is known ---------------------------------------------------------------------------------


def test_write_without_response_is_reported_as_unknown(
    openbao: Server, person: str, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last error, no connection, means that nothing was sent; but an earlier attempt was sent."""
    # It has patience for a second try, and for no third, however long they take.
    monkeypatch.setattr(client.VaultClient, "_sleep", lambda *_: monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.0))
    with lossy(openbao.url) as front:
        store, _ = open_store({"VAULT_ADDR": front.url, "VAULT_TOKEN": person})

        def lose(method: str, path: str) -> bool:
            if method != "POST" or "/data/" not in path:
                return False
            turn_to(store, f"http://127.0.0.1:{free_port()}")
            return True

        front.lose_answer = lose
        with pytest.raises(StorageUnavailable, match=r"test/key.* may or may not have been written: no connection"):
            store.put("test/key", Secret("value"))
    assert openbao.call("GET", f"secret/data/{store.folder}/test/key")["data"]["data"]["value"] == "value"


def test_write_that_was_not_sent_is_not_reported_as_unknown(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.3)
    turn_to(store, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageUnavailable, match=r"^no connection to"):
        store._write("test/key", {"value": "new"}, 1)


# -- who we are --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["operator", "without an entity"])
def test_token_of_another_identity_is_not_used(kind: str, openbao: Server, open_store: Open, tmp_path: Path) -> None:
    """Not for the second request either: the other identity may have access, but the user is not it."""
    fields = {"policies": ["root"], "no_parent": True, "display_name": "first"}
    with_no_entity = openbao.call("POST", "auth/token/create", fields)["auth"]["client_token"]
    ours = openbao.person(f"ana-{secrets.token_hex(4)}") if kind == "operator" else with_no_entity
    (tmp_path / ".vault-token").write_text(ours)
    store, _ = open_store({"VAULT_ADDR": openbao.url})
    store.put("test/key", Secret("value"))
    openbao.call("POST", "auth/token/revoke", {"token": ours})
    (tmp_path / ".vault-token").write_text(openbao.token)
    for _ in range(3):
        with pytest.raises(StorageLocked, match="belongs to another identity now"):
            store.get("test/key")


def test_long_names_with_same_start_are_two_identities(openbao: Server, open_store: Open) -> None:
    """Without an entity, the full name identifies the user; only messages shorten it."""

    def store_of(name: str) -> Store:
        made = openbao.call("POST", "auth/token/create", {"policies": ["root"], "display_name": name})
        opened: Store = open_store(openbao.environ(made["auth"]["client_token"]))[0]
        return opened

    start = secrets.token_hex(40)
    ana, ben = store_of(f"{start}-ana"), store_of(f"{start}-ben")
    ana.put("test/key", Secret("of ana"))
    assert ben.get("test/key") is None
    assert len(ana.service.identity.display_name) == 64


# -- what is wrong is named --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("VAULT_NAMESPACE", "nowhere", "check that namespace 'nowhere' exists"),
        ("VAULT_NAMESPACE", "€", "check VAULT_ADDR, VAULT_NAMESPACE"),
        ("VAULT_ADDR", "https://vault..example.com", "check VAULT_ADDR, VAULT_NAMESPACE"),
    ],
)
def test_invalid_name_in_setting_has_hint(
    variable: str, value: str, said: str, openbao: Server, open_store: Open
) -> None:
    with pytest.raises(StorageUnavailable) as error:
        open_store(openbao.environ() | {variable: value})
    assert said in str(error.value.hint)


@pytest.mark.parametrize("variable", ["VAULT_CACERT", "VAULT_CAPATH", "VAULT_CLIENT_CERT"])
def test_inaccessible_file_is_reported(variable: str, open_store: Open) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        open_store({"VAULT_ADDR": "https://127.0.0.1:1", "VAULT_TOKEN": "x", variable: f"/{'x' * 5000}"})


@pytest.mark.parametrize("variable", ["VAULT_CACERT", "VAULT_CLIENT_CERT"])
def test_file_without_certificate_is_named(variable: str, open_store: Open, tmp_path: Path) -> None:
    """The error is found while the connection is made, before anything is sent."""
    (tmp_path / "file.pem").write_text("canary")
    (tmp_path / "folder").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        environ = {"VAULT_ADDR": f"https://127.0.0.1:{listening.getsockname()[1]}", "VAULT_TOKEN": "x"}
        with pytest.raises(ConfigError, match=r"not a PEM file, or has the wrong content: .*file\.pem"):
            open_store(environ | {variable: str(tmp_path / "file.pem")})
        if variable == "VAULT_CLIENT_CERT":
            with pytest.raises(ConfigError, match=r"there is no file .*/folder with"):
                open_store(environ | {variable: str(tmp_path / "folder")})


@pytest.mark.parametrize(
    "address", ["https://ana:canary@v:8200", "https://:canary@v:8200", "https://v/?t=canary", "https://v/#canary"]
)
def test_address_with_password_is_refused_and_not_shown(address: str, context: Callable[..., FakeContext]) -> None:
    with pytest.raises(ConfigError, match="is not the address of a server") as refused:
        server(context({"VAULT_ADDR": address}))
    assert "canary" not in f"{refused.value.message} {refused.value.hint}"
    with pytest.raises(ConfigError, match="is not the address of a server"):
        server(context({"VAULT_ADDR": "https://[::1"}))
