"""AWS's federation endpoint for the demo: it gives a sign-in token for a session that comes in the body of a POST."""

from __future__ import annotations

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class SignIn:
    """A running endpoint on loopback. The constructor starts it."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        """The sign-in tokens, which log anybody in."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.tokens = self.tokens
        self.url = f"http://127.0.0.1:{self._server.server_port}/federation"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tokens: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Exchange a session for a token; any other request is an error, a GET with the session in its URL, too."""
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        session = json.loads(form.get("Session", ["{}"])[0])
        if form.get("Action") != ["getSigninToken"] or set(session) != {"sessionId", "sessionKey", "sessionToken"}:
            self.send_error(400)
            return
        self.server.tokens.append(secrets.token_urlsafe(256))
        answer = json.dumps({"SigninToken": self.server.tokens[-1]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
