"""A front before moto that is as strict as IAM: moto goes on accepting inactive keys, and denies nothing.

It enforces the status of keys, permissions, and the time until a new key works; it gives each GetSessionToken a
credential of its own; it can refuse, lose or interrupt any call, and remembers which key signed which call.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from support import quarantine
from support.home import Home
from support.moto import ACCOUNT, Key, MotoServer
from support.recording_proxy import CREDENTIAL, Fault, deny, error, unknown_key
from support.stored import UNLOCKED, add

PROGRAM_CALLS = ("GetSessionToken", "AssumeRole", "GetCallerIdentity")
SAYS_WHOSE = "iam:GetAccessKeyLastUsed"
"""AWS denies this call for a key that it does not know: nobody learns from it which keys there are."""
IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::{account}:{who}</Arn><UserId>AIDA</UserId><Account>{account}</Account>"
    "</GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>"
    "</GetCallerIdentityResponse>"
)


@dataclass(frozen=True)
class Signed:
    """A call that arrived."""

    action: str
    key: str
    """Whose key signed it."""
    accepted: bool
    """The key was accepted, and so was the permission."""
    subject: str
    """The key or the user that it is about."""


@dataclass
class KeyState:
    """What IAM knows about a key."""

    user: str
    secret: str
    active: bool = True
    born: float = 0.0
    deactivations: int = 0


@dataclass
class Trouble:
    """What happens to the call with a number, counted from :meth:`IamFront.arm`."""

    number: int
    how: str
    """``refuse``, ``deny``, ``lose-before``, ``lose-after``; or ``before``, ``after``: ``action`` runs."""
    action: Callable[[], None] = lambda: None
    times: int = 1
    """So many calls of the same action from that one on."""
    name: str = ""
    """The action of the call, once it arrived."""


class IamFront:
    """A running front.

    :param delay: seconds before a new key is accepted.
    """

    def __init__(self, moto: MotoServer, *, delay: float = 0.0) -> None:
        self.moto = moto
        self.bob = Key("", "")
        self.delay = delay
        self.keys: dict[str, KeyState] = {}
        self.sessions: dict[str, tuple[str, bool]] = {}
        """Session key id to its user, and whether MFA was used."""
        self.assumed: dict[str, str] = {}
        """Key id of an assumed role's session to the name of the role."""
        self.issued: dict[str, float] = {}
        """When a session was issued."""
        self.revoked: dict[tuple[str, str], float] = {}
        """(``user`` or ``role``, its name) to the moment: sessions from before it are refused."""
        self.ended: dict[str, int] = {}
        """A key to the number of calls that had arrived when it was made inactive."""
        self.denied: set[tuple[str, str]] = set()
        """(user, action)."""
        self.roots: set[str] = set()
        """The keys of the root user."""
        self.allowed: dict[str, set[str]] = {}
        """User to the only actions of IAM that are not denied."""
        self.quarantined: set[str] = set()
        """Users to whom AWS has attached the policy of :mod:`support.quarantine`."""
        self.names_policies = True
        """A refusal names the policy that denies, as AWS does by now."""
        self.hides_new: float = 0.0
        """Seconds for which ListAccessKeys does not show a new key."""
        self.calls: list[Signed] = []
        self.codes: list[str] = []
        """The MFA codes that arrived."""
        self._trouble: Trouble | None = None
        self._count = 0
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.front = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def user(self, name: str) -> Key:
        """A new user with one key, which works at once."""
        self.moto.client("iam").create_user(UserName=name)
        return self.key(name)

    def key(self, user: str) -> Key:
        """Another key of a user, made by somebody else."""
        made = self.moto.create_key(user)
        with self._lock:
            self.keys[made.access_key_id] = KeyState(user, made.secret_access_key)
        return made

    def quarantine(self, user: str) -> None:
        """Do what AWS does when it finds a key of a user in public."""
        self.moto.client("iam").attach_user_policy(UserName=user, PolicyArn=quarantine.ARN)
        with self._lock:
            self.quarantined.add(user)

    def forget_user(self, name: str) -> None:
        """Delete a user and whatever hangs on it."""
        admin = self.moto.client("iam")
        for found in admin.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            admin.delete_access_key(UserName=name, AccessKeyId=found["AccessKeyId"])
        for policy in admin.list_user_policies(UserName=name)["PolicyNames"]:
            admin.delete_user_policy(UserName=name, PolicyName=policy)
        for policy in admin.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
            admin.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
        admin.delete_user(UserName=name)
        with self._lock:
            self.keys = {key: state for key, state in self.keys.items() if state.user != name}

    def at_iam(self, user: str) -> dict[str, bool]:
        """The keys of a user, and whether they are active: moto's own answer."""
        found = self.moto.client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
        return {key["AccessKeyId"]: key["Status"] == "Active" for key in found}

    def works(self, key_id: str, secret: str) -> bool:
        """Whether a key would be accepted, secret included."""
        with self._lock:
            state = self.keys.get(key_id)
            return state is not None and state.active and state.secret == secret

    def arm(self, trouble: Trouble | None = None) -> None:
        """Count calls from here; what happens to one of them."""
        with self._lock:
            self._trouble, self._count = trouble, 0

    @property
    def count(self) -> int:
        """The calls since :meth:`arm`."""
        return self._count

    def signed_by(self, key_id: str) -> list[str]:
        """The actions that a key signed and that were accepted."""
        return [call.action for call in self.calls if call.key == key_id and call.accepted]

    # -- one call ----------------------------------------------------------------------------------------------------

    def arrive(self, key: str, parameters: dict[str, str]) -> tuple[Fault | None, Trouble | None]:
        """The refusal of a call, if there is one; and what else happens to it."""
        action = parameters.get("Action", "")
        with self._lock:
            trouble = self._trouble if self._hits(action) else None
            self._count += 1
            refusal = self._refusal(key, action)
            if trouble is not None and trouble.how == "refuse":
                refusal = error(400, "ValidationError", "refused")
            elif trouble is not None and trouble.how == "deny":
                refusal = deny()
            subject = parameters.get("AccessKeyId") or parameters.get("UserName", "")
            self.calls.append(Signed(action, key, refusal is None, subject))
            if "TokenCode" in parameters:
                self.codes.append(parameters["TokenCode"])
        return refusal, trouble

    def _hits(self, action: str) -> bool:
        trouble = self._trouble
        if trouble is None or trouble.times <= 0:
            return False
        if self._count == trouble.number:
            trouble.name = action
        if self._count >= trouble.number and trouble.name == action:
            trouble.times -= 1
            return True
        return False

    def _refusal(self, key: str, action: str) -> Fault | None:
        if key in self.issued:
            who = ("role", self.assumed[key]) if key in self.assumed else ("user", self.sessions[key][0])
            if self.issued[key] < self.revoked.get(who, 0.0):
                return deny(f"{who[1]} is not authorized to perform: {action} with an explicit deny in a policy")
        if key in self.assumed:
            return None
        if key in self.sessions:
            user, has_mfa = self.sessions[key]
            if action not in PROGRAM_CALLS and not has_mfa:
                return unknown_key()
        else:
            state = self.keys.get(key)
            if state is None or not state.active or time.monotonic() - state.born < self.delay:
                return unknown_key()
            user = state.user
        if user in self.quarantined and action in quarantine.denied():
            service = "sts" if action in PROGRAM_CALLS else "iam"
            policy = f": {quarantine.ARN}" if self.names_policies else ""
            return deny(
                f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: {service}:{action}"
                f" with an explicit deny in an identity-based policy{policy}"
            )
        only = self.allowed.get(user)
        if (user, action) in self.denied or (only is not None and action not in (*PROGRAM_CALLS, *only)):
            return deny(f"User: {user} is not authorized to perform: iam:{action}")
        return None

    def learn(self, key: str, parameters: dict[str, str], body: str) -> str:
        """Take over a change that moto carried out; the body to send."""
        subject = parameters.get("AccessKeyId", "")
        with self._lock:
            match parameters.get("Action"):
                case "CreateAccessKey":
                    made, secret = (_tag(body, name) for name in ("AccessKeyId", "SecretAccessKey"))
                    self.keys[made] = KeyState(_tag(body, "UserName"), secret, born=time.monotonic())
                case "UpdateAccessKey":
                    state = self.keys[subject]
                    state.active = parameters["Status"] == "Active"
                    state.deactivations += not state.active
                    if not state.active:
                        self.ended[subject] = len(self.calls)
                case "DeleteAccessKey":
                    self.keys.pop(subject, None)
                case "GetSessionToken":
                    session = f"ASIA{secrets.token_hex(8).upper()}"
                    self.sessions[session] = (self.keys[key].user, "TokenCode" in parameters)
                    self.issued[session] = time.time()
                    return re.sub(r"(<AccessKeyId>)[^<]*", rf"\g<1>{session}", body)
                case "AssumeRole":
                    session = _tag(body, "AccessKeyId")
                    self.assumed[session] = parameters["RoleArn"].rpartition("/")[2]
                    self.issued[session] = time.time()
                case "PutUserPolicy" | "PutRolePolicy" if parameters["PolicyName"] == "AWSRevokeOlderSessions":
                    found = json.loads(parameters["PolicyDocument"])["Statement"][0]["Condition"]["DateLessThan"]
                    kind = "user" if "UserName" in parameters else "role"
                    name = parameters.get("UserName") or parameters["RoleName"]
                    self.revoked[kind, name] = datetime.fromisoformat(found["aws:TokenIssueTime"]).timestamp()
                case "DetachUserPolicy" if parameters["PolicyArn"] == quarantine.ARN:
                    self.quarantined.discard(parameters["UserName"])
                case "ListAccessKeys":
                    return self._without_new(body)
        return body

    def _without_new(self, body: str) -> str:
        for key, state in self.keys.items():
            if time.monotonic() - state.born < self.hides_new:
                body = re.sub(rf"<member>(?:(?!</member>).)*{key}(?:(?!</member>).)*</member>", "", body, flags=re.S)
        return body


def _tag(body: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>", body)
    assert found, body
    return found[1]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    front: IamFront

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or is killed, is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        front = self.server.front
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        found = CREDENTIAL.search(self.headers.get("Authorization", ""))
        key = found["key"] if found else ""
        refusal, trouble = front.arrive(key, parameters)
        how = trouble.how if trouble else ""
        if trouble is not None and how == "before":
            trouble.action()
        if how == "lose-before":
            return self._drop()
        if refusal is not None:
            return self._send(refusal.status or 500, refusal.body, "text/xml")
        if parameters.get("Action") == "GetCallerIdentity" and key in front.sessions.keys() | front.roots:
            who = "root" if key in front.roots else f"user/{front.sessions[key][0]}"
            identity = IDENTITY.format(account=ACCOUNT, who=who)
            return self._send(200, identity.encode(), "text/xml")
        status, kind, answer = self._ask_moto(body)
        if parameters.get("Action") == "GetAccessKeyLastUsed" and b"NoSuchEntity" in answer:
            unknown = deny(
                f"not authorized to perform: {SAYS_WHOSE} on resource: access key {parameters['AccessKeyId']}"
            )
            return self._send(unknown.status or 500, unknown.body, "text/xml")
        if status < 300:
            answer = front.learn(key, parameters, answer.decode()).encode()
        if trouble is not None and how == "after":
            trouble.action()
        if how == "lose-after":
            return self._drop()
        return self._send(status, answer, kind)

    def _ask_moto(self, body: bytes) -> tuple[int, str, bytes]:
        upstream = http.client.HTTPConnection(urlsplit(self.server.front.moto.url).netloc, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            upstream.request("POST", self.path, body, headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheader("Content-Type", "text/xml"), answer.read()
        finally:
            upstream.close()

    def _drop(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the record is :attr:`IamFront.calls`."""


@pytest.fixture
def iam(moto: MotoServer) -> Iterator[IamFront]:
    """A front with the user ``bob``, who has one key."""
    with running(moto) as front:
        front.bob = front.user("bob")
        yield front
        for name in {state.user for state in front.keys.values()} | {"bob"}:
            front.forget_user(name)


@pytest.fixture
def rotating(tmp_path: Path, iam: IamFront) -> Home:
    """A home whose AWS is the front, and whose store opens by itself and holds bob's key as ``work``."""
    home = Home(tmp_path / "machine", iam.url)
    home.env |= UNLOCKED
    add(home, iam.bob, "work")
    return home


@contextmanager
def running(moto: MotoServer, *, delay: float = 0.0) -> Iterator[IamFront]:
    """A front for the time of a ``with``."""
    front = IamFront(moto, delay=delay)
    try:
        yield front
    finally:
        front.close()
