"""Real processes that are killed, refused, or left without a reply at every call: what a rotation promises.

Every interleaving is in ``core/tests/rotation/test_interleavings.py``, in memory. Here are the real store, the real
journal and the real SDK.
"""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.home import PROGRAM, Home
from support.iam_front import IamFront, Trouble
from support.moto import ACCOUNT
from support.security import sample
from support.stored import add
from support.vaults import stored

MFA = f"arn:aws:iam::{ACCOUNT}:mfa/bob"
HOWS = ("kill-before", "kill-after", "kill-soon", "refuse", "deny", "lose-before", "lose-after")
MODES = {
    "normal": ["rotate", "work"],
    "finish": ["rotate", "work", "--finish"],
    "leaked": ["rotate", "work", "--leaked"],
    "leaked-mfa": ["rotate", "work", "--leaked", "-t", "123456"],
    "leaked-admin": ["rotate", "work", "--leaked", "--as", "admin", "--revoke-sessions"],
}
CALLS = {"normal": 7, "finish": 4, "leaked": 8, "leaked-mfa": 9, "leaked-admin": 10}
"""How many calls a whole rotation makes; ``test_number_of_calls`` sees to it that it is not fewer."""
SOON = 0.004
"""Seconds from one moment at which a process is killed to the next: writes to the disk take as long."""


def cases() -> Iterator[Any]:
    """A mode, the number of a call, what happens to it, and how often it was so already."""
    for mode in MODES:
        every = [
            (call, how, again)
            for call, how in itertools.product(range(CALLS[mode]), HOWS)
            for again in range(4 if how == "kill-soon" else 1)
        ]
        # 7 steps from one to the next visit all calls and all kinds in turn.
        for call, how, again in every[:: sample(len(every) // 4, 1)]:
            yield pytest.param(mode, call, how, again, id=f"{mode}-{call}-{how}-{again}")


@pytest.fixture
def machine(rotating: Home, iam: IamFront, request: pytest.FixtureRequest) -> Home:
    """A home with an administrator, and with MFA if the mode asks for it."""
    add(rotating, iam.user("admin"), "admin")
    iam.delay = 0.2
    mode = request.node.callspec.params["mode"]
    if mode == "leaked-mfa":
        rotating.configure(f"[profile work]\nmfa_serial = {MFA}\n")
    if mode == "finish":
        assert rotating.awsv("rotate", "work").returncode == 0
    return rotating


def held(home: Home) -> tuple[str, str]:
    """The key in the vault."""
    return stored(home)["work"]


def run_into(home: Home, iam: IamFront, words: list[str], call: int, how: str, again: int) -> int:
    """Run awsv into one trouble; its exit code."""
    process = subprocess.Popen(
        [PROGRAM, *words],
        env=home.environment(),
        cwd=home.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    timers: list[threading.Timer] = []

    def kill_soon() -> None:
        timers.append(threading.Timer(SOON * (again + 1), process.kill))
        timers[-1].start()

    kinds = {"kill-before": "before", "kill-after": "after", "kill-soon": "after"}
    # A call that may be repeated loses every reply: the SDK's repetitions are not what this is about.
    times = 10 if how.startswith("lose") else 1
    action = kill_soon if how == "kill-soon" else process.kill
    iam.arm(Trouble(call, kinds.get(how, how), action, times=times))
    try:
        code = process.wait(120)
    finally:
        process.kill()
        process.wait()
        for timer in timers:
            timer.join()
        iam.arm()
    return code


def finish(home: Home, iam: IamFront, words: list[str]) -> None:
    """Repeat the command later; where it names another one, that one."""
    for _ in range(3):
        # Without a terminal a failed session is not tried again for ten seconds: this is after them.
        shutil.rmtree(Path(home.env["XDG_STATE_HOME"]) / "awsv/flights", ignore_errors=True)
        done = home.awsv(*words)
        if done.returncode == 7 and "--replace" in done.stderr:
            done = home.awsv(*done.stderr.splitlines()[-1].partition(": awsv ")[2].split())
        if done.returncode == 0:
            return
    raise AssertionError(done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "call", "how", "again"), list(cases()))
def test_trouble_at_a_call_costs_no_key_and_the_next_run_ends_clean(
    mode: str, call: int, how: str, again: int, machine: Home, iam: IamFront
) -> None:
    old = held(machine)[0]
    code = run_into(machine, iam, MODES[mode], call, how, again)
    assert code in (0, 6, 7, -signal.SIGKILL)
    now = held(machine)
    leaked = mode.startswith("leaked")
    if not leaked:
        assert iam.works(*now)
    assert len(iam.at_iam("bob")) <= 2
    over = leaked and now[0] != old and iam.works(*now)
    # Who repeats --leaked after its end asks for another rotation: that of the new key.
    # The sessions of the old key are dropped, so that it takes a code again.
    once_more = ["rotate", "work", *(["-t", "123456"] if mode == "leaked-mfa" else [])]
    again_words = once_more if over and old not in iam.at_iam("bob") else MODES[mode]
    if not (code == 0 and leaked):
        finish(machine, iam, again_words)
    assert iam.works(*held(machine))
    assert len(iam.at_iam("bob")) <= 2
    if leaked:
        assert old not in iam.at_iam("bob")
        # Once inactive, it signs nothing that is accepted, and is never made active.
        # A call whose request was lost before IAM carried it out made nothing inactive.
        dead = iam.ended.get(old, len(iam.calls))
        assert [one.action for one in iam.calls[dead:] if one.key == old and one.accepted] == []
    journals = machine.path / ".local/state/awsv/rotations"
    assert old not in {key for key, active in iam.at_iam("bob").items() if active} or mode == "finish"
    for journal in journals.glob("*.json"):
        assert json.loads(journal.read_text())["deactivated"] is not None
        assert all(iam.keys[key].secret not in journal.read_text() for key in iam.keys)


@pytest.mark.parametrize("mode", MODES)
def test_number_of_calls(mode: str, machine: Home, iam: IamFront) -> None:
    iam.delay = 0.0
    iam.arm()
    assert machine.awsv(*MODES[mode]).returncode == 0
    assert iam.count - 1 <= CALLS[mode] <= iam.count + 3
