"""What must not be mistaken: others' answers for the server's, others' tokens for ours, a lost write for none."""

from __future__ import annotations

import http.server
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.busy import seconds
from support.lossy import lossy
from support.openbao import Server, free_port
from vault_core.api import Cancelled, ConfigError, Secret, StorageLocked, StorageUnavailable
from vault_core.testing import FakeContext
from vault_plugin_hashicorp import calls
from vault_plugin_hashicorp.server import server
from vault_plugin_hashicorp.service import Store

Open = Callable[..., Any]
Answer = tuple[int, dict[str, str], bytes]


class Between:
    """Something between us and the server that answers by itself.

    :param answer: to a request's path.
    """

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self) -> None:
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
    """From here on the store's requests go there."""
    store.service.calls.client.adapter.base_uri = url


# -- other answers than the server's -----------------------------------------------------------------------------------


def test_a_gateways_404_in_json_is_not_an_absent_item(store: Store, between: Any) -> None:
    gateway = between(lambda _path: (404, {}, b'{"message": "no Route matched with those values"}'))
    turn_to(store, gateway.url)
    for look in (lambda: store.get("test/key"), lambda: list(store.keys())):
        with pytest.raises(StorageUnavailable, match="but not as Vault or OpenBao does"):
            look()


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirection_that_turns_a_write_into_a_read_is_not_followed(
    status: int, openbao: Server, store: Store, between: Any
) -> None:
    away = between(lambda path: (status, {"Location": openbao.url + path}, b""))
    turn_to(store, away.url)
    for change in (lambda: store.put("test/key", Secret("new")), lambda: store.delete("test/key")):
        with pytest.raises(StorageUnavailable, match="with a read in place of what was asked"):
            change()
    with pytest.raises(StorageUnavailable):
        list(store.keys())
    turn_to(store, openbao.url)
    item = store.get("test/key")
    assert item is not None
    assert item.value == Secret("value")


def test_a_standbys_redirection_is_followed(openbao: Server, store: Store, between: Any) -> None:
    standby = between(lambda path: (307, {"Location": openbao.url + path}, b""))
    turn_to(store, standby.url)
    assert store.put("test/key", Secret("new")).startswith("2@")
    assert list(store.keys()) == ["test/key"]


def test_a_slow_listing_ends_when_its_time_is_over(openbao: Server, person: str, open_store: Open) -> None:
    """No single answer takes long enough for anybody to look at the clock while it is waited for."""
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


def test_a_write_whose_outcome_nobody_knows_is_not_called_undone(
    openbao: Server, person: str, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last thing that happened, no connection, says that nothing was sent: but something was, before."""
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", seconds(1))  # for more than one try
    with lossy(openbao.url) as front:
        store, _ = open_store({"VAULT_ADDR": front.url, "VAULT_TOKEN": person})

        def lose(method: str, path: str) -> bool:
            if method != "POST" or "/data/" not in path:
                return False
            turn_to(store, f"http://127.0.0.1:{free_port()}")
            return True

        front.lose_answer = lose
        with pytest.raises(StorageUnavailable, match=r"nobody knows whether .*test/key.* was written: no connection"):
            store.put("test/key", Secret("value"))
    assert openbao.call("GET", f"secret/data/{store.folder}/test/key")["data"]["data"]["value"] == "value"


def test_a_write_that_was_never_sent_is_not_called_unknown(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.3)
    turn_to(store, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageUnavailable, match=r"^no connection to"):
        store._write("test/key", {"value": "new"}, 1)


# -- who we are --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["operator", "without an entity"])
def test_somebody_elses_token_is_never_used(kind: str, openbao: Server, open_store: Open, tmp_path: Path) -> None:
    """Not by the second request either: they may be allowed to read what is ours, but we are not they."""
    fields = {"policies": ["root"], "no_parent": True, "display_name": "first"}
    with_no_entity = openbao.call("POST", "auth/token/create", fields)["auth"]["client_token"]
    ours = openbao.person(f"ana-{secrets.token_hex(4)}") if kind == "operator" else with_no_entity
    (tmp_path / ".vault-token").write_text(ours)
    store, _ = open_store({"VAULT_ADDR": openbao.url})
    store.put("test/key", Secret("value"))
    openbao.call("POST", "auth/token/revoke", {"token": ours})
    (tmp_path / ".vault-token").write_text(openbao.token)
    for _ in range(3):
        with pytest.raises(StorageLocked, match="somebody else's now"):
            store.get("test/key")


@pytest.mark.parametrize(
    "address", ["https://ana:canary@v:8200", "https://:canary@v:8200", "https://v/?t=canary", "https://v/#canary"]
)
def test_a_password_in_an_address_is_refused_and_not_shown(address: str, context: Callable[..., FakeContext]) -> None:
    with pytest.raises(ConfigError, match="is not the address of a server") as refused:
        server(context({"VAULT_ADDR": address}))
    assert "canary" not in f"{refused.value.message} {refused.value.hint}"
    with pytest.raises(ConfigError, match="is not the address of a server"):
        server(context({"VAULT_ADDR": "https://[::1"}))
