"""A server whose answers never end, for what must not keep all of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MOST = 64 * 2**20
"""Bytes after which the server gives up, so that a client without a limit fails its test and not the machine."""
_BLOCK = b" " * 65_536


class Endless:
    """A running server; ``sent`` counts the bytes of its bodies.

    :param status: of every answer.
    :param chunked: in chunks, with no length; otherwise until the connection ends.
    :param line: the first chunk's length does not end.
    :param length: what the first chunk says for its length.
    """

    def __init__(self, status: int, *, chunked: bool, line: bool, length: str, headers: str) -> None:
        self.sent = 0
        coding = "Transfer-Encoding: chunked\r\n" if chunked or line or length else ""
        self._head = f"HTTP/1.1 {status} x\r\n{headers}{coding}\r\n"
        self._head += f"{length}\r\n" if length else ""
        self._block = b"0" * len(_BLOCK) if line else b"%x\r\n%s\r\n" % (len(_BLOCK), _BLOCK) if chunked else _BLOCK
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        # Whoever waits in accept() is woken by this, and not by close().
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection, suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        connection.recv(65_536)
        connection.sendall(self._head.encode())
        while self.sent < MOST:
            connection.sendall(self._block)
            self.sent += len(_BLOCK)


@contextmanager
def endless(
    status: int = 200, *, chunked: bool = False, line: bool = False, length: str = "", headers: str = ""
) -> Iterator[Endless]:
    """A server for the time of a ``with``.

    :param headers: lines of the answer's head, each with its end.
    """
    server = Endless(status, chunked=chunked, line=line, length=length, headers=headers)
    try:
        yield server
    finally:
        server.close()
