"""The address that a browser gets is worth something once, and to this user's processes alone."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vault_core.console import handover
from vault_core.console.handover import Loopback, page
from vault_core.secret import Secret

URL = "https://signin.example.test/federation?Action=login&SigninToken=CANARY&Destination=https%3A%2F%2Fx"
NAVIGATION = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
STRANGER = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(f"GET {sys.argv[2]} HTTP/1.1\\r\\nHost: 127.0.0.1:{sys.argv[1]}\\r\\n\\r\\n".encode())
{more}
try:
    print(connection.recv(65536))
except ConnectionResetError:
    print(b"")
"""


class Waiting:
    """An address that waits in a thread."""

    def __init__(self) -> None:
        self.loopback = Loopback(Secret(URL))
        self.address = urlsplit(self.loopback.address)
        self.port = self.address.port or 0
        self.served: bool | None = None
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        self.served = self.loopback.serve(time.monotonic() + 60, self._check)

    def _check(self) -> None:
        if self.stop.is_set():
            raise TimeoutError

    def end(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def raw(self, data: bytes) -> bytes:
        """What is answered to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            answer = b""
            try:
                while more := connection.recv(65536):
                    answer += more
            except ConnectionResetError:
                pass
            return answer

    def ask(self, method: str = "GET", path: str | None = None, **headers: str) -> bytes:
        """What is answered to a browser's request."""
        given = {"Host": f"127.0.0.1:{self.port}", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
        return self.raw(f"{method} {path or self.address.path} HTTP/1.1\r\n{lines}\r\n".encode())


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # the end of a test stops the thread
    found = Waiting()
    yield found
    found.stop.set()
    found.end()


def test_first_request_of_browser_is_redirected_and_no_other(waiting: Waiting) -> None:
    answer = waiting.ask(**{name.replace("-", "_"): value for name, value in NAVIGATION.items()})
    head = answer.decode().split("\r\n")
    assert head[0].startswith("HTTP/1.1 302")
    assert {f"Location: {URL}", "Cache-Control: no-store", "Referrer-Policy: no-referrer"} <= set(head)
    waiting.end()
    assert waiting.served
    with pytest.raises(ConnectionRefusedError):
        waiting.ask()


REFUSED = {
    "HEAD": lambda it: it.ask("HEAD"),
    "POST": lambda it: it.ask("POST"),
    "another page": lambda it: it.ask(path="/favicon.ico"),
    "no path": lambda it: it.ask(path="/"),
    "a longer path": lambda it: it.ask(path=it.address.path + "x"),
    "a query": lambda it: it.ask(path=it.address.path + "?"),
    "absolute": lambda it: it.ask(path=it.loopback.address),
    "rebound name": lambda it: it.ask(Host=f"evil.example:{it.port}"),
    "localhost": lambda it: it.ask(Host=f"localhost:{it.port}"),
    "no port": lambda it: it.ask(Host="127.0.0.1"),
    "two hosts": lambda it: it.ask(host=f"evil.example:{it.port}"),
    "no host": lambda it: it.raw(f"GET {it.address.path} HTTP/1.1\r\n\r\n".encode()),
    "image of a stranger's page": lambda it: it.ask(Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="image"),
    "link of a stranger's page": lambda it: it.ask(Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document"),
    "page of another port": lambda it: it.ask(Sec_Fetch_Site="same-site"),
    "prefetch": lambda it: it.ask(Sec_Purpose="prefetch"),
    "old prefetch": lambda it: it.ask(Purpose="prefetch"),
    "no HTTP": lambda it: it.raw(b"\x16\x03\x01\x02\x00\r\n\r\n"),
    "HTTP 0.9": lambda it: it.raw(f"GET {it.address.path}\r\n\r\n".encode()),
    "endless": lambda it: it.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000),
}


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED.keys())
def test_other_request_gets_nothing_and_spends_nothing(asked: object, waiting: Waiting) -> None:
    answer = asked(waiting)  # type: ignore[operator]  # one of the functions above
    assert b"CANARY" not in answer
    assert b"Location" not in answer
    assert b"Location: " + URL.encode() in waiting.ask()


def test_connections_that_send_nothing_hold_nobody_up(waiting: Waiting) -> None:
    """Browsers open some in advance."""
    idle = [socket.create_connection(("127.0.0.1", waiting.port)) for _ in range(80)]
    idle[40].sendall(b"GET /half")
    try:
        assert b"Location" in waiting.ask()
    finally:
        for connection in idle:
            connection.close()


def test_oldest_of_too_many_connections_makes_room(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "_MOST_OPEN", 2)
    with ExitStack() as stack:
        opened = [
            stack.enter_context(socket.create_connection(("127.0.0.1", waiting.port), timeout=30)) for _ in range(3)
        ]
        assert opened[0].recv(1) == b""
        assert b"302" in waiting.ask()


def test_of_two_requests_at_once_one_is_redirected(waiting: Waiting) -> None:
    connections = [socket.create_connection(("127.0.0.1", waiting.port), timeout=30) for _ in range(4)]
    request = f"GET {waiting.address.path} HTTP/1.1\r\nHost: 127.0.0.1:{waiting.port}\r\n\r\n".encode()
    answers = []
    for connection in connections:
        connection.sendall(request)
    for connection in connections:
        try:
            answers.append(connection.recv(65536))
        except ConnectionResetError:
            answers.append(b"")
        connection.close()
    assert [b"CANARY" in answer for answer in answers].count(True) == 1


@pytest.mark.parametrize("more", ["", "connection.shutdown(socket.SHUT_WR)"], ids=["open", "half closed"])
@pytest.mark.root("starts a process of another user")
def test_another_user_who_knows_the_address_gets_nothing(waiting: Waiting, more: str) -> None:
    stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-I", "-c"]
    program = STRANGER.replace("{more}", more)
    done = subprocess.run(
        [*stranger, program, str(waiting.port), waiting.address.path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "b''\n"
    same = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER.replace("{more}", ""), str(waiting.port), waiting.address.path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CANARY" in same.stdout


@pytest.mark.process
def test_browser_with_an_ipv6_socket_is_known_too(waiting: Waiting) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as connection:
        connection.connect(("::ffff:127.0.0.1", waiting.port))
        connection.sendall(
            f"GET {waiting.address.path} HTTP/1.1\r\nHost: 127.0.0.1:{waiting.port}\r\n\r\n".encode(),
        )
        assert b"CANARY" in connection.recv(65536)


def test_without_the_systems_table_nobody_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(Secret(URL)) as loopback:
        assert loopback.knows_users == (sys.platform == "linux")
        monkeypatch.setattr(handover, "_TABLES", ("/nowhere/tcp",))
        assert not loopback.knows_users


def test_nobody_is_served_without_the_systems_table(monkeypatch: pytest.MonkeyPatch, waiting: Waiting) -> None:
    monkeypatch.setattr(handover, "_TABLES", ("/nowhere/tcp",))
    assert waiting.ask() == b""
    assert waiting.served is None


def test_waiting_ends_at_its_time_and_leaves_no_port_open() -> None:
    with Loopback(Secret(URL)) as loopback:
        assert not loopback.serve(time.monotonic(), lambda: None)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(loopback.address).port or 0))


def test_page_is_private_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "login"
    with page(folder, Secret(URL)) as address:
        path = Path(urlsplit(address).path)
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)
        assert f'content="0; url={URL.replace("&", "&amp;")}"' in path.read_text()
        assert "CANARY" not in address
    assert list(folder.iterdir()) == []


def test_page_of_killed_process_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "old.html"
    tmp_path.chmod(0o700)
    left.write_text("CANARY")
    os.utime(left, (0, 0))
    with page(tmp_path, Secret(URL)):
        assert not left.exists()


def test_page_is_not_written_where_others_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "login"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(OSError, match="open to other users"), page(folder, Secret(URL)):
        pass
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("user", "inode", "owner"), [(1000, 4711, 1000), (0, 4711, 0), (0, 0, None)])
def test_socket_without_a_process_is_nobodys(
    user: int, inode: int, owner: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system shows user 0 there, who is root to a process of root."""
    address = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), sys.byteorder):08X}"
    table = tmp_path / "tcp"
    table.write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        f"   0: {address}:1F90 {address}:0050 01 00000000:00000000 00:00000000 00000000 {user} 0 {inode} 1\n"
    )
    monkeypatch.setattr(handover, "_TABLES", (str(table),))
    assert handover._owner(("127.0.0.1", 8080), ("127.0.0.1", 80), "01") == owner
