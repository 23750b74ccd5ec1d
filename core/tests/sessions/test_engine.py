"""The engine, in process: plans walked with a scripted provider."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.scripted import KEY, Codes, Machine, Make, Provider, session
from vault_core.api import Credentials, MfaRequest, Secret, SessionRequest
from vault_core.errors import (
    Cancelled,
    ConfigError,
    QuestionRefused,
    StorageError,
)
from vault_core.mfa import MfaRefused
from vault_core.sessions.cache import Session
from vault_core.sessions.plan import KeyStep, SessionStep
from vault_core.sessions.singleflight import NETWORK_LIMIT
from vault_core.storage.vault import StoredKey, Vault

# -- walking a plan ----------------------------------------------------------------------------------------------------


def test_a_session_is_made_once_and_then_served_from_the_cache(make: Make) -> None:
    machine = make()
    first = machine.engine().credentials(machine.plan("user"))
    second = machine.engine().credentials(machine.plan("user"))
    assert (first.cached, second.cached) == (False, True)
    assert first.credentials == second.credentials
    assert machine.read == ["user"]
    assert len(machine.provider.requests) == 1


def test_without_a_session_the_stored_key_itself_is_handed_out(make: Make) -> None:
    machine = make()
    issued = machine.engine().credentials(machine.plan("user", no_session=True))
    assert (issued.credentials, issued.cached) == (KEY, False)
    assert machine.provider.requests == []


def test_the_walk_begins_at_the_nearest_live_step(make: Make) -> None:
    machine = make(ask=Codes("111111"))
    machine.get("role")
    token, first = machine.provider.requests
    machine.get("other-role")
    [_, _, second] = machine.provider.requests
    assert machine.read == ["coded"]
    assert machine.provider.codes == ["111111"]
    assert token.source == KEY
    assert first.source == second.source
    assert first.source is not None
    assert first.source.access_key_id == "ASIA1"


def test_store_is_read_by_one_thread_at_a_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that ends after the plan of ``ready`` was looked at is made in a worker thread, key and all."""
    machine = make()
    reading = threading.Lock()

    def get(vault: Vault, name: str) -> StoredKey:
        assert reading.acquire(blocking=False), "another thread reads the store"
        time.sleep(0.02)
        reading.release()
        return StoredKey(KEY, "1")

    monkeypatch.setattr(Vault, "get", get)
    engine = machine.engine()
    steps = [machine.plan(name).steps()[0] for name in ("user", "coded")]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(engine.obtain, steps)) == [KEY, KEY]


def test_what_is_missing_lies_behind_the_last_live_step(make: Make) -> None:
    machine = make(ask=Codes("111111"))
    plan = machine.plan("role")
    assert machine.engine().missing(plan) == list(plan.steps())
    machine.get("coded")
    assert machine.engine().missing(plan) == [plan.last]
    machine.get("role")
    assert machine.engine().missing(plan) == []


def test_one_command_makes_no_step_twice_even_where_nothing_is_kept(make: Make) -> None:
    machine = make()
    machine.provider.outcomes = [session("ASIASHORT", minutes=1)]
    engine, plan = machine.engine(), machine.plan("user")
    assert engine.credentials(plan).credentials == engine.credentials(plan).credentials
    assert len(machine.provider.requests) == 1


def test_a_session_that_was_made_while_we_waited_is_taken_however_short(make: Make) -> None:
    machine = make(environ={"AWS_MIN_TTL": "2h"})
    plan, engine = machine.plan("user"), machine.engine()
    assert isinstance(plan.last, SessionStep)
    machine.cache.put(plan.last.cache_key, Session(session("ASIASHORT", 1), datetime.now(UTC), "k", ("user",)))
    assert engine.credentials(plan).credentials.access_key_id == "ASIASHORT"
    assert machine.provider.requests == []
    machine.cache.put(
        plan.last.cache_key,
        Session(session("ASIAOLD", 1), datetime.now(UTC) - timedelta(hours=1), "k", ("user",)),
    )
    assert machine.get("user") == "ASIA1"


def test_a_session_says_what_made_it_and_for_whom(make: Make) -> None:
    machine = make(ask=Codes("111111"))
    machine.get("role")
    kinds = {one.profiles: one.kind for one in machine.cache.sessions()}
    assert kinds == {("coded",): "sts", ("coded", "role"): "sts"}


def test_the_provider_has_the_time_of_the_network(make: Make) -> None:
    import time

    machine = make()
    before = time.monotonic()
    machine.get("user")
    left = machine.provider.requests[0].deadline - before
    assert NETWORK_LIMIT <= left < NETWORK_LIMIT + 5


def test_cancelled_plugins_give_up(make: Make) -> None:
    machine = make()
    engine = machine.engine()
    context = machine.host.context("session", "sts", ())
    context.check()
    engine.cancel()
    with pytest.raises(Cancelled):
        context.check()


# -- no key ------------------------------------------------------------------------------------------------------------


def test_a_profile_without_a_stored_key_is_told_how_to_get_one(make: Make) -> None:
    machine = make()
    machine.stored.clear()
    with pytest.raises(StorageError, match="no key is stored for profile 'coded', which profile 'role'") as caught:
        machine.get("role")
    assert caught.value.hint == "awsv add coded"
    assert caught.value.exit_code == 4


def test_a_name_that_nobody_knows_is_a_mistake_of_the_command_line(make: Make) -> None:
    machine = make()
    with pytest.raises(ConfigError, match=r"unknown profile 'usre': it is neither in c nor in store 'file'") as caught:
        machine.get("usre")
    assert caught.value.hint is not None
    assert "user" in caught.value.hint


# -- flights -----------------------------------------------------------------------------------------------------------


def leader(machine: Machine) -> dict[str, Any]:
    [path] = machine.flights.glob("*.leader")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_others_are_told_what_a_leader_waits_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    machine = make(ask=Codes("111111"))
    reading, asking, issuing = Vault.get, Codes.code, Provider.issue
    monkeypatch.setattr(Vault, "get", lambda *a: seen.append(leader(machine)["phase"]) or reading(*a))
    monkeypatch.setattr(Codes, "code", lambda *a: seen.append(leader(machine)["phase"]) or asking(*a))
    monkeypatch.setattr(Provider, "issue", lambda *a: seen.append(leader(machine)["phase"]) or issuing(*a))
    machine.get("coded")
    assert seen == ["question", "question", "network"]


@pytest.mark.parametrize("asked", [False, True])
def test_a_failure_is_kept_for_others_if_somebody_was_asked(make: Make, asked: bool) -> None:
    class Asking(Codes):
        def code(self, request: MfaRequest) -> Secret | None:
            machine.host.state.prompts_shown += asked
            return super().code(request)

    machine = make(ask=Asking(QuestionRefused("no"), "111111"))
    with pytest.raises(MfaRefused):
        machine.get("coded")
    assert len(list(machine.flights.glob("*.failed"))) == asked
    if asked:
        with pytest.raises(Exception, match="no MFA code was given"):
            machine.get("coded")
        assert machine.provider.requests == []
    else:
        assert machine.get("coded") == "ASIA1"


def test_ctrl_c_while_a_session_is_made_is_a_cancellation(make: Make) -> None:
    machine = make()
    machine.provider.outcomes = [KeyboardInterrupt()]  # type: ignore[list-item]  # raised all the same
    machine.provider.issue = _interrupted  # type: ignore[assignment, method-assign]  # as above
    with pytest.raises(Cancelled, match="interrupted"):
        machine.get("user")


def _interrupted(_: SessionRequest) -> Credentials:
    raise KeyboardInterrupt


def test_a_step_is_a_stored_key_or_a_session(make: Make) -> None:
    first, *others = make(ask=Codes()).plan("role").steps()
    assert isinstance(first, KeyStep)
    assert all(isinstance(step, SessionStep) for step in others)
