"""What a session provider returns about access keys is checked, and what it is given is handed on."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from support.odd import Shelf, gives, later, refused
from vault_core.api import (
    AccessKey,
    CallerIdentity,
    Credentials,
    IdentifiesCaller,
    KeyRequest,
    ManagesKeys,
    Secret,
    SessionProvider,
    SessionSpec,
    SourceNeed,
)
from vault_core.plugins.boundary.sessions import open_provider

KEY = AccessKey(id="AKIA1", user="alice", active=True, created=datetime(2026, 1, 1, tzinfo=UTC))
MADE = Credentials(access_key_id="AKIA2", secret_access_key=Secret("s"))
REQUEST = KeyRequest(parameters={}, source=MADE, deadline=0)
NAIVE = KEY.created.replace(tzinfo=None)
CALLS: dict[str, Any] = {
    "list_keys": lambda keys: keys.list_keys(REQUEST, with_use=False),
    "create_key": lambda keys: keys.create_key(REQUEST),
    "set_active": lambda keys: keys.set_active(REQUEST, "AKIA1", active=False),
    "delete_key": lambda keys: keys.delete_key(REQUEST, "AKIA1"),
    "owner_of": lambda keys: keys.owner_of(REQUEST, "AKIA1"),
    "attached_policies": lambda keys: keys.attached_policies(REQUEST),
    "mfa_devices": lambda keys: keys.mfa_devices(REQUEST),
    "revoke_sessions": lambda keys: keys.revoke_sessions(REQUEST, KEY.created, role="r"),
}


class Issuing(SessionProvider):
    def issue(self, request: object) -> Any:
        raise AssertionError


class Manager(Issuing, ManagesKeys):
    """Answers every method alike, and remembers the calls."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.calls = answer, []

    def _answer(self, *given: Any, **named: Any) -> Any:
        self.calls.append((given, named))
        return self.answer() if callable(self.answer) else self.answer

    list_keys = create_key = set_active = delete_key = owner_of = _answer
    attached_policies = mfa_devices = revoke_sessions = _answer


class Both(Manager, IdentifiesCaller):
    def identify(self, request: object) -> Any:
        return CallerIdentity(account="1", arn="a")


def opened(provider: SessionProvider) -> Any:
    spec = SessionSpec(name="odd", summary="s", open=gives(provider), parameters=gives({}), source=SourceNeed.NEVER)
    return open_provider(Shelf(session=spec), spec, None)  # type: ignore[arg-type]  # this one looks at no context


@pytest.mark.parametrize("kind", [Manager, Both])
def test_open_provider_keeps_what_it_offers(kind: Any) -> None:
    around = opened(kind(()))
    assert isinstance(around, ManagesKeys)
    assert isinstance(around, IdentifiesCaller) is issubclass(kind, IdentifiesCaller)
    assert not isinstance(opened(Issuing()), ManagesKeys)


def test_arguments_are_handed_on() -> None:
    manager = Manager(())
    around = opened(manager)
    for name in ("list_keys", "set_active", "delete_key", "revoke_sessions"):
        CALLS[name](around)
    assert manager.calls == [
        ((REQUEST,), {"with_use": False}),
        ((REQUEST, "AKIA1"), {"active": False}),
        ((REQUEST, "AKIA1"), {}),
        ((REQUEST, KEY.created), {"role": "r"}),
    ]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("list_keys", (KEY,)),
        ("create_key", MADE),
        ("owner_of", "alice"),
        ("attached_policies", ("arn",)),
        ("mfa_devices", ()),
    ],
)
def test_right_answer_is_returned(method: str, answer: Any) -> None:
    assert CALLS[method](opened(Manager(answer))) == answer


@pytest.mark.parametrize(
    ("method", "answer", "what"),
    [
        ("list_keys", [KEY], "list"),
        ("list_keys", ("AKIA1",), "str"),
        ("list_keys", (dataclasses.replace(KEY, active="Active"),), "AccessKey whose active is str"),  # type: ignore[arg-type]  # what is refused
        ("list_keys", (dataclasses.replace(KEY, last_use=1),), "AccessKey whose last_use is int"),  # type: ignore[arg-type]  # what is refused
        ("list_keys", (dataclasses.replace(KEY, created=NAIVE),), "a key whose created is not in UTC"),
        ("create_key", None, "None"),
        (
            "create_key",
            dataclasses.replace(MADE, session_token=Secret("t")),
            "Credentials whose session_token is Secret",
        ),
        (
            "create_key",
            dataclasses.replace(MADE, access_key_id="A\nB"),
            "a key whose access_key_id is not one line of text",
        ),
        (
            "create_key",
            dataclasses.replace(MADE, secret_access_key=Secret("")),
            "a key whose secret_access_key is not one line of text",
        ),
        ("owner_of", None, "None"),
        ("attached_policies", "arn", "str"),
        ("mfa_devices", (1,), "int"),
        *((name, later, "a coroutine") for name in CALLS),
    ],
)
def test_wrong_answer_is_refused(method: str, answer: Any, what: str) -> None:
    refused(lambda: CALLS[method](opened(Manager(answer))), "session", method, what)
