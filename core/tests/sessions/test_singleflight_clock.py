"""How long a failure of another process counts, by the clock, and names that do not run together."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from support.fake_time import FakeTime
from support.flying import flights, one
from vault_core import files
from vault_core.errors import AccessDenied, PluginError, VaultError
from vault_core.sessions import singleflight
from vault_core.sessions.generations import Generations
from vault_core.sessions.singleflight import QUIET, Flight, TakenOver


def fail(folder: Path, error: VaultError | None = None) -> float:
    """A leader fails; when, as it is kept."""

    def lead(flight: Flight) -> str:
        flight.asked()
        raise error or AccessDenied("no")

    with pytest.raises(VaultError):
        flights(folder).run("step", lambda: None, lead)
    kept = one(folder).failure()
    assert kept is not None
    return kept[1]


def joined(folder: Path, *, foreground: bool = False) -> bool:
    """Whether the step is made by who joins now."""
    try:
        flights(folder, foreground=foreground).run("step", lambda: None, lambda _: "made")
    except TakenOver:
        return False
    return True


@pytest.mark.parametrize(
    ("seconds", "foreground", "made"),
    [
        (QUIET - 1, False, False),
        (QUIET + 1, False, True),
        (QUIET - 1, True, True),
        (-0.5, True, False),  # it began before the failure
        (-5.0, False, True),  # the clock was set back
        (-5.0, True, True),
    ],
)
def test_how_long_a_failure_counts(
    seconds: float, foreground: bool, made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = fail(tmp_path)
    monkeypatch.setattr(time, "time", lambda: at + seconds)
    assert joined(tmp_path, foreground=foreground) is made


def test_names_of_a_store_and_a_key_do_not_run_together(tmp_path: Path) -> None:
    generations = Generations(tmp_path / "generations")
    generations.advance("ab", "c")
    assert generations.current("a", "bc") == ""
    assert generations.of_profile("abc") == ""
    assert generations.current("ab", "c") != ""


@pytest.mark.parametrize(("error", "made"), [(VaultError("a bug"), True), (PluginError("a bug"), True)])
def test_a_bug_ends_who_waits_and_not_who_comes_later(error: VaultError, made: bool, tmp_path: Path) -> None:
    fail(tmp_path, error)
    time.sleep(0.01)
    assert joined(tmp_path) is made


@pytest.mark.parametrize("pid", [0, -1, pytest.param(-os.getpid(), id="our group"), 1 << 31, "1", None])
def test_what_can_be_no_process_leads_nothing(pid: object, tmp_path: Path) -> None:
    (tmp_path / "step.leader").write_text(json.dumps({"pid": pid, "phase": "network"}))
    (tmp_path / "step.leader").chmod(0o600)
    flight = one(tmp_path)
    assert flight.leader() == (0, "")
    assert not flight.led_at_our_terminal()


def test_a_leader_of_our_own_session_is_at_our_terminal(tmp_path: Path) -> None:
    flight = one(tmp_path)
    assert not flight.led_at_our_terminal()
    flight.phase("question")
    assert flight.leader() == (os.getpid(), "question")
    assert flight.led_at_our_terminal()


def test_what_a_leader_left_just_before_the_lock_was_free_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed between our look at its failure and our having the lock."""
    looks: list[float] = []
    failure = Flight.failure
    at = fail(tmp_path)

    def late(flight: Flight) -> tuple[VaultError, float] | None:
        looks.append(at)
        return None if len(looks) == 1 else failure(flight)

    monkeypatch.setattr(Flight, "failure", late)
    assert not joined(tmp_path)
    monkeypatch.setattr(Flight, "failure", lambda _: None)
    assert joined(tmp_path)  # the lock was let go


def test_who_cannot_look_for_a_session_lets_the_lock_go(tmp_path: Path) -> None:
    some = flights(tmp_path)

    def lookup() -> str | None:
        raise AccessDenied("no")

    with pytest.raises(AccessDenied):
        some.run("step", lookup, lambda _: "made")
    with files.held(tmp_path / "step.lock", timeout=0):
        pass


def test_what_a_killed_process_left_beside_flights_goes(tmp_path: Path) -> None:
    left = tmp_path / ".step.leader.1.aa.tmp"
    left.touch()
    os.utime(left, (time.time() - 3600,) * 2)
    assert joined(tmp_path)
    assert not left.exists()


def test_who_waits_for_a_leader_without_a_pipe_looks_again_after_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not in a loop that takes a processor for as long as the leader asks."""
    clock, looks = FakeTime(), []
    monkeypatch.setattr(singleflight, "time", clock)

    def lookup() -> str | None:
        looks.append("look")
        return "made" if len(looks) > 5 else None

    with files.held(one(tmp_path).lock, timeout=0):
        assert flights(tmp_path).run("step", lookup, lambda _: "led") == "made"
    assert len(clock.slept) >= 4
    assert set(clock.slept) == {singleflight._PAUSE}


def test_ctrl_c_waits_two_seconds_for_the_outcome_of_a_leader_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeTime()
    monkeypatch.setattr(singleflight, "time", clock)
    one(tmp_path).phase("question")
    assert str(flights(tmp_path).interrupted("step")) == "interrupted"
    assert set(clock.slept) == {singleflight._PAUSE}
    assert sum(clock.slept) == pytest.approx(2, abs=0.2)
