"""A stand-in for AWS's federation endpoint and the console behind it, for which there is no emulator.

It checks each request as the IAM user guide documents it ("Enable custom identity broker access to the AWS console"),
and refuses a session that AWS refuses: it asks the recording front before moto how the session was made.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, parse_qsl, urlsplit

from support.recording_proxy import Issued

DURATIONS = range(900, 43200 + 1)
SESSION = {"sessionId", "sessionKey", "sessionToken"}


class Refused(Exception):
    """The endpoint refuses a request: HTTP 400. AWS does not say why; the stand-in does, in its record."""


class KnowsSessions(Protocol):
    """What :class:`support.recording_proxy.RecordingProxy` knows."""

    def issued(self, access_key_id: str) -> Issued | None:
        """The last session with this access key."""


@dataclass
class Login:
    """A browser that has logged in."""

    destination: str
    issuer: str
    access_key_id: str
    """Of the session behind the sign-in token."""
    cookies: str
    """What the browser sent along, of earlier logins."""
    headers: dict[str, str] = field(repr=False)


class Federation:
    """A running stand-in on loopback."""

    def __init__(self, front: KnowsSessions) -> None:
        self._front = front
        self._lock = threading.Lock()
        self.exchanges: list[dict[str, str]] = []
        """The form of each POST for a sign-in token."""
        self.refusals: list[str] = []
        """Why requests were refused."""
        self.logins: list[Login] = []
        self.visits: list[str] = []
        """The cookies of each request for the console's page."""
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        """In place of the answer to a POST."""
        self.tokens: dict[str, str] = {}
        """Sign-in tokens that no browser has used yet, with the access key of their session."""
        self.issued_tokens: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.federation = self
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}/federation"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def exchange(self, method: str, path: str, content_type: str, body: bytes) -> str:
        """A sign-in token for a request.

        :raises Refused: AWS would refuse it.
        """
        if method != "POST" or path != "/federation":
            raise Refused(f"{method} {path.partition('?')[0]}: the session belongs in the body of a POST")
        if content_type != "application/x-www-form-urlencoded":
            raise Refused(f"content type {content_type}")
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        form = dict(pairs)
        if len(form) != len(pairs) or not {"Action", "Session"} <= set(form) <= {
            "Action",
            "Session",
            "SessionDuration",
        }:
            raise Refused(f"fields {[name for name, _ in pairs]}")
        with self._lock:
            self.exchanges.append(form)
        if form["Action"] != "getSigninToken":
            raise Refused(f"action {form['Action']}")
        session: dict[str, Any] = json.loads(form["Session"])
        if set(session) != SESSION or not all(isinstance(value, str) and value for value in session.values()):
            raise Refused(f"session with {sorted(session)}")
        issued = self._front.issued(session["sessionId"])
        if issued is None or issued.session_token != session["sessionToken"]:
            raise Refused("a session that AWS has not issued")
        self._check(issued, form.get("SessionDuration"))
        token = secrets.token_urlsafe(256)
        with self._lock:
            self.tokens[token] = session["sessionId"]
            self.issued_tokens.append(token)
        return token

    @staticmethod
    def _check(issued: Issued, duration: str | None) -> None:
        call = issued.call
        is_chained = bool(call.session_token)
        if call.action not in ("AssumeRole", "GetFederationToken"):
            raise Refused(f"a session of {call.action}")
        if call.action == "AssumeRole" and is_chained and "DurationSeconds" in call.parameters:
            raise Refused("AssumeRole with DurationSeconds, signed by a session")
        if duration is None:
            return
        if not duration.isascii() or not duration.isdigit() or int(duration) not in DURATIONS:
            raise Refused(f"SessionDuration {duration}")
        if call.action == "GetFederationToken":
            raise Refused("SessionDuration with GetFederationToken")
        if is_chained:
            raise Refused("SessionDuration with a chained role")

    def login(self, query: str, headers: dict[str, str]) -> Login:
        """A browser comes with a sign-in token.

        :raises Refused: the token is unknown or used.
        """
        asked = parse_qs(query, keep_blank_values=True, strict_parsing=True)
        if set(asked) != {"Action", "Issuer", "Destination", "SigninToken"} or asked["Action"] != ["login"]:
            raise Refused(f"login with {sorted(asked)}")
        with self._lock:
            key = self.tokens.pop(asked["SigninToken"][0], None)
            if key is None:
                raise Refused("a sign-in token that is unknown or used")
            login = Login(asked["Destination"][0], asked["Issuer"][0], key, headers.get("cookie", ""), headers)
            self.logins.append(login)
        return login


@contextmanager
def standing_in(front: KnowsSessions) -> Iterator[Federation]:
    """The stand-in for the time of a ``with``."""
    federation = Federation(front)
    try:
        yield federation
    finally:
        federation.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    federation: Federation

    def handle_error(self, request: object, client_address: object) -> None:
        """Browsers hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """The record is the federation's."""

    def do_POST(self) -> None:
        federation = self.server.federation
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            token = federation.exchange("POST", self.path, self.headers.get("Content-Type", ""), body)
        except (Refused, ValueError) as refused:
            federation.refusals.append(str(refused))
            self._send(400, {}, b"Bad request")
            return
        if federation.answer is not None:
            self._send(*federation.answer)
            return
        self._send(200, {"Content-Type": "application/json"}, json.dumps({"SigninToken": token}).encode())

    def do_GET(self) -> None:
        federation = self.server.federation
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if url.path == "/console":
            federation.visits.append(headers.get("cookie", ""))
            self._send(200, {"Content-Type": "text/html"}, b"<title>Console</title>logged in")
            return
        if url.path != "/federation":
            self._send(404, {}, b"")
            return
        try:
            login = federation.login(url.query, headers)
        except (Refused, ValueError) as refused:
            federation.refusals.append(str(refused))
            self._send(400, {}, b"Bad request")
            return
        # The console's own host cannot be here, so its page is one of ours.
        cookie = f"aws-session={login.access_key_id}; Path=/; Max-Age=3600"
        self._send(302, {"Location": "/console", "Set-Cookie": cookie}, b"")

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
