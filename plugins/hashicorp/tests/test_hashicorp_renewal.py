"""Tokens that expire: renewed while they are used, and replaced by a new login if that is possible."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.openbao import Server, approle, works
from vault_core.api import Secret, StorageLocked
from vault_plugin_hashicorp import login

Open = Callable[..., Any]
HOUR = 3600.0


class Clock:
    """The clock of the login, which a test moves forward, so that it does not wait for a token to expire."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(login, "time", made)
    return made


def test_token_is_renewed_while_used(openbao: Server, name: str, open_store: Open, clock: Clock) -> None:
    token = openbao.person(name, token_ttl="1h", token_max_ttl="24h")
    store, _ = open_store(openbao.environ(token))
    for renewals in range(3):
        assert store.service.login.renewals == renewals
        clock.now += 0.95 * HOUR
        assert works(store)  # more than one request, and one renewal
    assert openbao.call("GET", "auth/token/lookup-self", token=token)["data"]["last_renewal_time"]


def test_fresh_token_is_not_renewed(openbao: Server, name: str, open_store: Open, clock: Clock) -> None:
    store, _ = open_store(openbao.environ(openbao.person(name, token_ttl="1h", token_max_ttl="24h")))
    clock.now += 0.3 * HOUR
    assert works(store)
    assert store.service.login.renewals == 0


def test_refused_renewal_is_not_repeated_each_time(openbao: Server, name: str, open_store: Open, clock: Clock) -> None:
    rules = 'path "secret/*" { capabilities = ["read"] }\npath "auth/token/lookup-self" { capabilities = ["read"] }'
    openbao.call("PUT", "sys/policies/acl/no-renewal", {"policy": rules})
    more = {"token_ttl": "1h", "token_no_default_policy": True}
    store, _ = open_store(openbao.environ(openbao.person(name, policies=["no-renewal"], **more)))
    clock.now += 0.95 * HOUR
    asked = []
    store.service.client._session.hooks["response"].append(lambda answer, **_: asked.append(answer.request.path_url))
    for _ in range(5):
        store.get("test/key")
    assert [path.endswith("/renew-self") for path in asked].count(True) == 1
    assert store.service.login.renewals == 0


def test_expired_token_is_replaced_by_login(openbao: Server, name: str, open_store: Open, clock: Clock) -> None:
    options = approle(openbao, name, token_ttl="1h", token_max_ttl="1h")
    store, _ = open_store({"VAULT_ADDR": openbao.url}, **options)
    first = store.service.client.hvac.token
    clock.now += 1.5 * HOUR
    assert works(store)
    assert store.service.login.logins == 2
    assert store.service.client.hvac.token != first


def test_token_at_maximum_age_is_replaced_by_login(openbao: Server, name: str, open_store: Open, clock: Clock) -> None:
    """At the token's maximum age, a renewal does not extend its life."""
    options = approle(openbao, name, token_ttl="1h", token_explicit_max_ttl="1h")
    store, _ = open_store({"VAULT_ADDR": openbao.url}, **options)
    keeper = store.service.login
    keeper._next_renewal = 0.0
    assert works(store)
    assert (keeper.renewals, keeper.logins) == (1, 2)


def test_revoked_token_is_replaced_by_login(openbao: Server, name: str, open_store: Open) -> None:
    store, _ = open_store({"VAULT_ADDR": openbao.url}, **approle(openbao, name))
    store.put("test/key", Secret("value"))
    openbao.call("POST", "auth/token/revoke", {"token": store.service.client.hvac.token})
    item = store.get("test/key")
    assert item is not None
    assert item.value == Secret("value")
    assert store.service.login.logins == 2


def test_expired_token_without_login_is_exit_4(openbao: Server, name: str, open_store: Open, clock: Clock) -> None:
    """The server has the same message for a revoked and for an expired token."""
    token = openbao.person(name, token_ttl="1h", token_max_ttl="1h")
    store, _ = open_store(openbao.environ(token))
    openbao.call("POST", "auth/token/revoke", {"token": token})
    clock.now += 1.5 * HOUR
    with pytest.raises(StorageLocked, match="it has expired") as locked:
        store.get("test/key")
    assert locked.value.exit_code == 4
    assert token not in f"{locked.value.message} {locked.value.hint}"


def test_new_token_in_file_is_used(openbao: Server, name: str, tmp_path: Path, open_store: Open) -> None:
    """As an agent does that keeps a token file up to date."""
    sink = tmp_path / ".vault-token"
    sink.write_text(openbao.person(name))
    store, _ = open_store({"VAULT_ADDR": openbao.url})
    openbao.call("POST", "auth/token/revoke", {"token": sink.read_text()})
    sink.write_text(openbao.person(name))
    assert works(store)


def test_token_of_another_identity_in_file_is_refused(openbao: Server, tmp_path: Path, open_store: Open) -> None:
    sink = tmp_path / ".vault-token"
    sink.write_text(openbao.person("ana"))
    store, _ = open_store({"VAULT_ADDR": openbao.url})
    openbao.call("POST", "auth/token/revoke", {"token": sink.read_text()})
    sink.write_text(openbao.person("ben"))
    with pytest.raises(StorageLocked, match="belongs to another identity"):
        store.put("test/key", Secret("value"))
