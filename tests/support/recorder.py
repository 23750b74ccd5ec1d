"""A server that takes whatever it is sent, writes it down and refuses it: what would a secret reach here?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Recorder:
    """What arrived: one line a request, with its path, its headers and its body."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[str] = []


@contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            recorder.seen.append(f"a connection from {self.client_address[1]}")
            super().handle()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
            recorder.seen.append(f"{self.path} {dict(self.headers.items())} {body}")
            self.send_response(400)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"errors": ["x"]}')

        do_GET = do_POST = do_PUT = do_DELETE = do_LIST = answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder = Recorder(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
