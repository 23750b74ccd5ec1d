"""A front before an HTTP server that records requests, and loses answers when it is told to."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

Lose = Callable[[str, str], bool]
"""Whether to lose the answer to a request, by its method and path."""


@dataclass(frozen=True)
class Seen:
    """A request that came by."""

    method: str
    path: str
    headers: Mapping[str, str]


class LossyProxy:
    """A running front.

    :param target: the URL of the server behind it.
    """

    def __init__(self, target: str) -> None:
        self.seen: list[Seen] = []
        self.lose_answer: Lose = lambda _method, _path: False
        """The request is passed on, its answer is not."""
        self.lose_request: Lose = lambda _method, _path: False
        """The request is not even passed on."""
        front, parts = self, urlsplit(target)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                front.seen.append(Seen(self.command, self.path, dict(self.headers)))
                if front.lose_request(self.command, self.path):
                    self.close_connection = True
                    return
                # As a proxy it is told the whole URL.
                path = self.path.removeprefix(target)
                connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
                try:
                    connection.request(self.command, path, body, dict(self.headers))
                    answer = connection.getresponse()
                    content = answer.read()
                finally:
                    connection.close()
                if front.lose_answer(self.command, self.path):
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "content-length", "transfer-encoding", "date"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_LIST = forward  # noqa: N815 - http.server's own names

            def log_message(self, format: str, *args: object) -> None:
                return

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                return  # the client went away, which is what these tests are about

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; the port answers nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def lossy(target: str) -> Iterator[LossyProxy]:
    """A front for the time of a test."""
    front = LossyProxy(target)
    try:
        yield front
    finally:
        with suppress(OSError):
            front.close()


def first(count: int, method: str, part: str) -> Lose:
    """The first so many requests of a method whose path has this part."""
    left = [count]

    def lose(what: str, path: str) -> bool:
        if what == method and part in path and left[0] > 0:
            left[0] -= 1
            return True
        return False

    return lose
