"""A recording front before moto: it writes down every AWS call and can be told to answer differently.

``front.calls`` is what arrived, in order. ``front.on("AssumeRole", deny())`` changes the answer to one action; see
the functions below for what AWS can do to its callers.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from xml.sax.saxutils import escape

CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]*)/(?P<service>[^/]+)/")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
UPSTREAM_SECONDS = 60.0
HANG_SECONDS = 120.0


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    action: str
    """``AssumeRole``, ``GetParameter``; the method and path where the protocol names no action."""
    parameters: Mapping[str, str] = field(repr=False)
    """Of the query protocols (STS, IAM); empty for others."""
    service: str
    region: str
    """As signed."""
    access_key_id: str
    """Whose key signed it; empty if unsigned."""
    session_token: str = field(repr=False)
    """Empty for a long-term key."""
    at: float
    """On :func:`time.monotonic`'s clock."""


@dataclass(frozen=True)
class Fault:
    """An answer of our own instead of moto's."""

    status: int | None = None
    """None: moto answers."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before anything is answered."""
    until: threading.Event | None = None
    """Nothing is answered before this."""
    date_shift: float = 0.0
    """Seconds added to the ``Date`` header."""
    drop: bool = False
    """Close the connection without an answer."""
    trickle: float = 0.0
    """Seconds between two bytes of the answer."""


def error(status: int, code: str, message: str, *, date_shift: float = 0.0) -> Fault:
    """An error in the query protocol's XML."""
    body = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
    )
    return Fault(status, body.encode(), {"Content-Type": "text/xml"}, date_shift=date_shift)


def json_error(code: str, message: str, status: int = 400) -> Fault:
    """An error in the JSON protocol, which SSM and KMS speak."""
    body = json.dumps({"__type": code, "message": message})
    return Fault(status, body.encode(), {"Content-Type": "application/x-amz-json-1.1"})


def deny(message: str = "User: arn:aws:iam::123456789012:user/alice is not authorized to perform this") -> Fault:
    """Access denied, for good."""
    return error(403, "AccessDenied", message)


def deny_mfa() -> Fault:
    """The MFA code is wrong."""
    return deny("MultiFactorAuthentication failed with invalid MFA one time pass code. ")


def deny_mfa_serial() -> Fault:
    """The MFA device is not this user's."""
    return deny(
        "MultiFactorAuthentication failed, unable to validate MFA code.  "
        "Please verify your MFA serial number is valid and associated with this user."
    )


def throttle() -> Fault:
    """Too many requests."""
    return error(400, "Throttling", "Rate exceeded")


def unknown_key() -> Fault:
    """The access key was deleted or made inactive."""
    return error(403, "InvalidClientTokenId", "The security token included in the request is invalid.")


def expired_token() -> Fault:
    """The session that signed the request is over."""
    return error(403, "ExpiredToken", "The security token included in the request is expired")


def bad_signature(text: str = "") -> Fault:
    """The secret key does not belong to the key id. AWS repeats the request in the message: ``text``."""
    message = "The request signature we calculated does not match the signature you provided. "
    return error(403, "SignatureDoesNotMatch", message + text)


def clock_skew(seconds: float) -> Fault:
    """AWS's clock is ahead of ours by this much."""
    return error(403, "SignatureDoesNotMatch", "Signature expired: it is now later than that", date_shift=seconds)


def server_error(status: int = 503) -> Fault:
    """A trouble of AWS's own."""
    return error(status, "ServiceUnavailable", "Service is unable to handle request")


def garbage(body: bytes = b"\x00<<<not xml", status: int = 200) -> Fault:
    """An answer nobody can read (a captive portal, a broken proxy)."""
    return Fault(status, body, {"Content-Type": "text/xml"})


def drop() -> Fault:
    """The connection ends without an answer."""
    return Fault(drop=True)


def hang(seconds: float = HANG_SECONDS) -> Fault:
    """No answer for this long (or until the front closes), then the connection ends."""
    return Fault(delay=seconds, drop=True)


def slow(seconds: float) -> Fault:
    """Moto's answer, late."""
    return Fault(delay=seconds)


def held(until: threading.Event) -> Fault:
    """Moto's answer, no sooner than this."""
    return Fault(until=until)


def trickle(seconds: float) -> Fault:
    """Moto's answer, a byte at a time."""
    return Fault(trickle=seconds)


@dataclass(frozen=True)
class Issued:
    """A session that moto issued."""

    call: Call
    """The call that made it."""
    session_token: str = field(repr=False)


@dataclass
class _Planned:
    fault: Fault
    times: float


class RecordingProxy:
    """An HTTP server on loopback that passes requests on to moto.

    It also serves as a client's plain HTTP proxy: whatever host is asked for, moto answers.

    :param upstream: moto's URL.
    :param tls: a server's context with its certificate; None: plain HTTP.
    """

    def __init__(self, upstream: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._planned: dict[str, list[_Planned]] = {}
        self._issued: dict[str, Issued] = {}
        self.closed = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.front = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self.url = self.url.replace("http:", "https:")
        # 20 ms: how long closing takes at most.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; every hanging answer ends."""
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def calls(self) -> list[Call]:
        """Everything that arrived so far, answered or not."""
        with self._lock:
            return list(self._calls)

    def named(self, action: str) -> list[Call]:
        """The calls of one action."""
        return [call for call in self.calls if call.action == action]

    @property
    def actions(self) -> list[str]:
        """The actions of :attr:`calls`."""
        return [call.action for call in self.calls]

    def issued(self, access_key_id: str) -> Issued | None:
        """The last session that moto gave this access key; None if it gave none."""
        with self._lock:
            return self._issued.get(access_key_id)

    def keep_issued(self, call: Call, body: bytes) -> None:
        """Write down the session in an answer of moto, if it is one."""
        text = body.decode(errors="replace")
        key = re.search(r"<AccessKeyId>([^<]+)</AccessKeyId>", text)
        token = re.search(r"<SessionToken>([^<]+)</SessionToken>", text)
        if key and token:
            with self._lock:
                self._issued[key[1]] = Issued(call, token[1])

    def forget(self) -> None:
        """Drop the record and the faults."""
        with self._lock:
            self._calls.clear()
            self._planned.clear()

    def on(self, action: str, fault: Fault, *, times: float = float("inf")) -> None:
        """Answer an action with a fault, so many times. Several faults of one action follow each other."""
        with self._lock:
            self._planned.setdefault(action, []).append(_Planned(fault, times))

    def arrive(self, call: Call) -> Fault:
        """Write a call down; what to do with it."""
        with self._lock:
            self._calls.append(call)
            planned = self._planned.get(call.action, [])
            while planned and planned[0].times <= 0:
                planned.pop(0)
            if not planned:
                return Fault()
            planned[0].times -= 1
            return planned[0].fault


@contextmanager
def running(upstream: str, *, tls: ssl.SSLContext | None = None) -> Iterator[RecordingProxy]:
    """A front before ``upstream`` for the time of a ``with``."""
    front = RecordingProxy(upstream, tls=tls)
    try:
        yield front
    finally:
        front.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The default of 5 refuses connections when a dozen processes start at once.
    request_queue_size = 128
    front: RecordingProxy

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        front = self.server.front
        call = self._call(body)
        fault = front.arrive(call)
        if fault.delay and front.closed.wait(fault.delay):
            return
        while fault.until is not None and not fault.until.wait(0.02):
            if front.closed.is_set():
                return
        if fault.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault.status is None:
            fault = self._ask_upstream(body, fault)
            front.keep_issued(call, fault.body)
        self._answer(fault)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method is served alike."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the record is :attr:`RecordingProxy.calls`."""

    def _call(self, body: bytes) -> Call:
        parameters: dict[str, str] = {}
        if self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        signed = CREDENTIAL.search(self.headers.get("Authorization", ""))
        return Call(
            action=parameters.pop("Action", target or f"{self.command} {self.path}"),
            parameters=parameters,
            service=signed["service"] if signed else "",
            region=signed["region"] if signed else "",
            access_key_id=signed["key"] if signed else "",
            session_token=self.headers.get("X-Amz-Security-Token", ""),
            at=time.monotonic(),
        )

    def _ask_upstream(self, body: bytes, fault: Fault) -> Fault:
        upstream = self.server.front.upstream
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=UPSTREAM_SECONDS)
        try:
            # A client that takes us for its proxy sends the whole URL.
            url = urlsplit(self.path)
            path = urlunsplit(("", "", url.path or "/", url.query, ""))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in {"connection"}}
            connection.request(self.command, path, body=body, headers=headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            return replace(fault, status=answer.status, body=answer.read(), headers=kept)
        finally:
            connection.close()

    def _answer(self, fault: Fault) -> None:
        assert fault.status is not None
        self.send_response_only(fault.status)
        self.send_header("Date", formatdate(time.time() + fault.date_shift, usegmt=True))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(fault.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if not fault.trickle:
            self.wfile.write(fault.body)
            return
        for byte in fault.body:
            if self.server.front.closed.wait(fault.trickle):
                return
            self.wfile.write(bytes([byte]))
