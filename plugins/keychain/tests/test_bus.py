"""The connection to the session bus: how long it is waited for, and that it is closed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jeepney.io.blocking import DBusConnection

from vault_core.api import StorageUnavailable
from vault_plugin_keychain import bus
from vault_testkit import FakeContext


def context(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path, environ={"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"})


def test_connect_waits_for_two_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command that opens the store waits for it."""
    waited: list[float] = []

    def silent(_address: str, *, timeout: float) -> None:
        waited.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(bus, "prep_socket", silent)
    with pytest.raises(StorageUnavailable, match=r"^KWallet is reached through D-Bus.*does not answer: timed out$"):
        bus.connect(context(tmp_path), "KWallet")
    assert waited == [2]


def test_socket_of_a_connection_that_fails_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    def fail(*_: Any) -> None:
        raise OSError

    sock = SimpleNamespace(close=lambda: closed.append(True))
    monkeypatch.setattr(bus, "prep_socket", lambda *_, **__: sock)
    monkeypatch.setattr(bus, "Bus", fail)
    with pytest.raises(StorageUnavailable):
        bus.connect(context(tmp_path), "KWallet")
    assert closed == [True]


class Silent(bus.Bus):
    """A connection on which nothing arrives; its clock is that of the waits."""

    def __init__(self, ctx: Any) -> None:
        self._ctx, self._patience = ctx, bus.PATIENCE


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 5.0), (1.7, 1.7)])
def test_reply_is_waited_for_in_steps_that_can_be_cancelled(
    timeout: float | None, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, checks, waits = 1_000.0, [0], []

    def receive(_self: object, *, timeout: float) -> None:
        nonlocal now
        waits.append(timeout)
        assert len(waits) < 100, "it waits for ever"
        now += timeout
        raise TimeoutError

    ctx = context(tmp_path)
    monkeypatch.setattr(ctx, "check", lambda: checks.append(1))
    monkeypatch.setattr(DBusConnection, "receive", receive)
    monkeypatch.setattr(bus, "time", SimpleNamespace(monotonic=lambda: now))
    connection = Silent(ctx)
    with pytest.raises(TimeoutError):
        connection.receive(timeout=timeout)
    assert sum(waits) == pytest.approx(seconds)
    assert max(waits) <= 0.5
    assert sum(checks) == len(waits)


def test_dialog_has_more_time_and_the_next_reply_has_not(tmp_path: Path) -> None:
    connection = Silent(context(tmp_path))
    with connection.dialog():
        assert connection._patience == 45
    assert connection._patience == 5
