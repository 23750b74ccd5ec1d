"""Give a browser an address that is a credential.

Every user of the machine can read the arguments of every process, so the browser is started with an address that is
worth nothing to others. :class:`Loopback` is one on this machine that answers once, and only a process of this user.
Where the system does not tell whose process asks, :func:`page` writes a private file instead. The file comes second
because browsers in a sandbox (snap, flatpak) cannot read the user's private folders.
"""

from __future__ import annotations

import hmac
import html
import os
import re
import secrets
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from vault_core import files
from vault_core.secret import Secret

_HOST = "127.0.0.1"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
"""Linux's tables of TCP sockets, with the user id of each; the second has IPv4 connections of IPv6 sockets."""
_ESTABLISHED, _LISTENING = "01", "0A"
"""States in these tables (``include/net/tcp_states.h``)."""
_MOST_BYTES = 32_768
"""Of a request; browsers send one or two thousand bytes to a new address."""
_MOST_OPEN = 64
"""Connections at a time. Browsers open some in advance, and send nothing over most of them."""
_BEAT = 0.1
"""Seconds between two looks at the browser."""
_LINGER = 5.0
"""Seconds that the browser has to read the answer."""
_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.[01]")


class Loopback:
    """An address of this machine that redirects one request of this user's browser. Use it in a ``with`` block.

    :param url: where the request is redirected.
    :raises OSError: there is no such socket.
    """

    def __init__(self, url: Secret) -> None:
        self._url = url
        self._path = f"/{secrets.token_urlsafe(32)}"
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._listener.bind((_HOST, 0))
            self._listener.listen(_MOST_OPEN)
            self._listener.setblocking(False)
        except BaseException:
            self._listener.close()
            raise
        self._port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def address(self) -> str:
        """What the browser is started with. Others may read it."""
        return f"http://{_HOST}:{self._port}{self._path}"

    @property
    def knows_users(self) -> bool:
        """Whether this system tells whose process is at the other end: it does for this socket."""
        return _owner((_HOST, self._port), None, _LISTENING) == os.geteuid()

    def serve(self, until: float, check: Callable[[], None]) -> bool:
        """Wait for the browser and redirect it; whether it came in time. Nothing is answered afterwards.

        :param until: on :func:`time.monotonic`'s clock.
        :param check: called several times a second; what it raises ends the waiting.
        """
        waiting: dict[socket.socket, bytearray] = {}
        with self._listener, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            try:
                while (left := until - time.monotonic()) > 0:
                    check()
                    for key, _ in selector.select(min(left, _BEAT)):
                        if key.fileobj is self._listener:
                            self._accept(selector, waiting)
                        elif isinstance(key.fileobj, socket.socket) and self._read(selector, waiting, key.fileobj):
                            return True
                return False
            finally:
                for connection in waiting:
                    connection.close()

    def _accept(self, selector: selectors.BaseSelector, waiting: dict[socket.socket, bytearray]) -> None:
        try:
            connection, peer = self._listener.accept()
        except OSError:  # it has gone already
            return
        if _owner(peer, (_HOST, self._port), _ESTABLISHED) != os.geteuid():
            connection.close()
            return
        if len(waiting) >= _MOST_OPEN:
            self._drop(selector, waiting, next(iter(waiting)))
        connection.setblocking(False)
        waiting[connection] = bytearray()
        selector.register(connection, selectors.EVENT_READ)

    @staticmethod
    def _drop(
        selector: selectors.BaseSelector, waiting: dict[socket.socket, bytearray], connection: socket.socket
    ) -> None:
        selector.unregister(connection)
        del waiting[connection]
        connection.close()

    def _read(
        self, selector: selectors.BaseSelector, waiting: dict[socket.socket, bytearray], connection: socket.socket
    ) -> bool:
        """Read what came; whether it was the browser's request, which has its answer now."""
        try:
            more = connection.recv(_MOST_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            more = b""
        request = waiting[connection]
        request += more
        whole = b"\r\n\r\n" in request
        if not whole and more and len(request) <= _MOST_BYTES:
            return False
        status = self._judge(bytes(request)) if whole else 400
        if status == 302:  # from now on there is no other answer, even if this one is lost
            self._listener.close()
        if whole:
            self._answer(connection, status)
        self._drop(selector, waiting, connection)
        return status == 302

    def _judge(self, request: bytes) -> int:
        """The status of the answer: 302 for the one request that is redirected."""
        first, *lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
        asked = _REQUEST.fullmatch(first)
        headers = [
            (name.strip().lower(), value.strip().lower()) for name, _, value in (x.partition(b":") for x in lines)
        ]
        if asked is None:
            return 400
        # A page of another site whose name leads to this machine (DNS rebinding) has that name here.
        if [value for name, value in headers if name == b"host"] != [f"{_HOST}:{self._port}".encode()]:
            return 403
        if not hmac.compare_digest(asked[2], self._path.encode()):
            return 404
        if asked[1] != b"GET":
            return 405
        given = dict(headers)
        # A link, an image or a frame in a page of another site, which may know the address; or a prefetch.
        if given.get(b"sec-fetch-site", b"none") != b"none" or b"sec-purpose" in given or b"purpose" in given:
            return 403
        return 302

    def _answer(self, connection: socket.socket, status: int) -> None:
        where = f"Location: {self._url.reveal_text()}\r\n" if status == 302 else ""
        answer = (
            f"HTTP/1.1 {status} awsv\r\n{where}Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
            "X-Content-Type-Options: nosniff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        with suppress(OSError):  # it has gone
            connection.settimeout(_LINGER)
            connection.sendall(answer.encode("ascii"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(_MOST_BYTES):  # until it has read all: a closed socket would take it back
                pass


def _owner(local: tuple[str, int], remote: tuple[str, int] | None, state: str) -> int | None:
    """The user of a TCP socket of this machine; None if the system does not tell.

    :param remote: the other end; None: any.
    :param state: as the table has it. A socket that its process has closed has no user any more, and is in another one.
    """
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except (OSError, ValueError):
            continue
        for line in lines:
            fields = line.split()
            if len(fields) < 10 or fields[3] != state or fields[9] == "0":
                continue
            if _is(fields[1], local) and (remote is None or _is(fields[2], remote)):
                return int(fields[7])
    return None


def _is(shown: str, end: tuple[str, int]) -> bool:
    """Whether an end of a connection is shown so: each word of the address in the byte order of the machine."""
    address = f"{int.from_bytes(socket.inet_aton(end[0]), sys.byteorder):08X}"
    mapped = f"{0:016X}{int.from_bytes(bytes([0, 0, 255, 255]), sys.byteorder):08X}{address}"
    return shown in (f"{address}:{end[1]:04X}", f"{mapped}:{end[1]:04X}")


@contextmanager
def page(folder: Path, url: Secret) -> Iterator[str]:
    """A private page that leads a browser to an address; its ``file://`` address. It is removed at the end.

    :param folder: private; it is made.
    :raises OSError: it cannot be written, or another user could read it.
    """
    files.make_folder(folder, secret=True)
    for left in folder.glob("*.html"):  # by a process that was killed
        if files.is_older(left, 60):
            with suppress(OSError):
                left.unlink()
    target = html.escape(url.reveal_text(), quote=True)
    text = (
        '<!DOCTYPE html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={target}"><title>awsv</title>'
        f'<a rel="noreferrer" href="{target}">Open the AWS console</a>\n'
    )
    path = folder / f"{secrets.token_hex(16)}.html"
    files.create(path, text.encode("ascii"))
    try:
        yield path.as_uri()
    finally:
        with suppress(OSError):
            path.unlink()
