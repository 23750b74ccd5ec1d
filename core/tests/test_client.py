"""The client of the library, over a scripted machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from support.scripted import Codes, Machine, Make, Provider, Shelf, session
from vault_core import parts
from vault_core.api import Credentials, SessionRequest, SourceUnavailable
from vault_core.asking import Asking
from vault_core.client import Client
from vault_core.errors import ConfigError, MfaError, SessionError, StorageError
from vault_core.sessions.profiles import SessionOptions
from vault_core.settings import Settings
from vault_core.storage.vault import Vault


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(**how: object) -> Machine:
        made = Machine(tmp_path, **how)  # type: ignore[arg-type]  # as of Machine
        monkeypatch.setattr(Vault, "get", lambda _, name: made.stored.get(name))
        return made

    return make


def test_credentials_are_a_session_and_the_next_call_serves_it(make: Make) -> None:
    machine = make()
    client = machine.client()
    assert client.credentials("user").access_key_id == "ASIA1"
    assert client.credentials("user").access_key_id == "ASIA1"
    assert len(machine.provider.requests) == 1


def test_options_reach_the_plan_and_the_mfa_code_the_provider(make: Make) -> None:
    from vault_core.secret import Secret

    machine = make()
    options = SessionOptions(duration=1800, region="eu-north-1", mfa_token=Secret("654321"))
    client = machine.client()
    client.credentials("coded", options)
    assert machine.provider.requests[0].parameters["duration_seconds"] == "1800"
    assert machine.provider.codes == ["654321"]
    assert client.region("coded", options) == "eu-north-1"
    assert client.region("coded") is None


@pytest.mark.parametrize("asking", [None, Asking()], ids=["default", "allowed-by-the-caller"])
def test_client_without_a_prompter_allows_no_question(asking: Asking | None, make: Make) -> None:
    codes = Codes(SourceUnavailable("no question"))
    client = make(ask=codes).client()
    client._may_ask = False
    with pytest.raises(MfaError):
        client.credentials("coded", asking=asking)
    assert [request.may_ask for request in codes.requests] == [False]


def test_questions_of_the_library_end_as_the_settings_say(make: Make) -> None:
    codes = Codes("111111")
    make(ask=codes).client(AWS_VAULT_WAIT="10m").credentials("coded")
    [request] = codes.requests
    assert request.may_ask
    assert request.deadline is not None


def test_plan_opens_no_store(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Vault, "get", lambda *_: pytest.fail("the store was opened"))
    plan = make().client().plan("role")
    assert [type(step).__name__ for step in plan.steps()] == ["KeyStep", "SessionStep", "SessionStep"]


def test_ready_reports_each_profile_in_the_order_of_the_names(make: Make) -> None:
    machine = make(ask=Codes("111111"))
    outcomes = machine.client().ready(["role", "other-role", "missing"])
    assert [outcome.profile for outcome in outcomes] == ["role", "other-role", "missing"]
    assert [outcome.error is None for outcome in outcomes] == [True, True, False]
    assert isinstance(outcomes[2].error, StorageError | ConfigError)
    assert machine.provider.codes == ["111111"]


def test_calls_of_two_threads_make_one_session(make: Make) -> None:
    class Slow(Provider):
        def issue(self, request: SessionRequest) -> Credentials:
            threading.Event().wait(0.1)
            return super().issue(request)

    machine, slow = make(), Slow()
    machine.host.plugins._loaded["session", "sts"] = Shelf(slow, {})._loaded["session", "sts"]
    client = machine.client()
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(client.credentials("user").access_key_id)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(slow.requests)) == (["ASIA1"] * 4, 1)


def test_a_cancelled_call_does_not_cancel_the_next(make: Make) -> None:
    client = make().client()
    client.state.cancel()
    client.credentials("user")
    assert not client.state.cancelled


class Opened:
    def __init__(self, close: Callable[[], None]) -> None:
        self.close = close


def test_a_call_closes_the_stores_that_it_opened_and_no_other(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make().client()
    closed: list[str] = []
    client.state.stores.append(Opened(lambda: closed.append("before")))  # type: ignore[arg-type]  # only closed
    key = Vault.get

    def get(vault: Vault, name: str) -> object:
        client.state.stores.append(Opened(lambda: closed.append("during")))  # type: ignore[arg-type]  # as above
        return key(vault, name)

    monkeypatch.setattr(Vault, "get", get)
    client.credentials("user")
    assert closed == ["during"]
    with client:
        pass
    assert closed == ["during", "before"]


def test_an_error_is_raised_as_it_is(make: Make) -> None:
    machine = make()
    machine.provider.outcomes = [SessionError("the network is down")]
    with pytest.raises(SessionError, match="the network is down"):
        machine.client().credentials("user")
    machine.provider.outcomes = [session("ASIALATER")]
    assert machine.client().credentials("user").access_key_id in ("ASIALATER", "ASIA2")


def test_notice_by_default_is_one_printable_warning(caplog: pytest.LogCaptureFixture) -> None:
    parts._log("a\x1b[2J\nb 100%")
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("vault_core", "WARNING", "a\\x1b[2J\\nb 100%")
    ]


def test_default_settings_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Client().settings.home == tmp_path
    assert Client(Settings({"HOME": "/elsewhere"})).settings.home == Path("/elsewhere")
