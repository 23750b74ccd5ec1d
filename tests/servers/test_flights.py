"""One flight per step: however many processes need a session, one makes it and one question is asked.

Every test runs real processes against a real STS behind the recording front; those with questions sit together in
the foreground of one real pseudo-terminal.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from support.busy import seconds
from support.home import PROGRAM, Home
from support.moto import ACCOUNT, Key, MotoServer
from support.processes import Ended, Processes
from support.recording_proxy import RecordingProxy, deny, slow
from support.stored import CODE, MFA, UNLOCKED, add, leaders, until

ROLES = [f"role{number}" for number in range(12)]
QUESTION = "MFA code for"
WAITS = "waiting for process"
"""What who has waited for two seconds says."""
Start = Callable[..., Processes]


@pytest.fixture
def team(home: Home, moto: MotoServer) -> Home:
    """A user ``work`` with a stored key and an MFA device, and twelve roles behind it."""
    sections = [f"[profile work]\nregion = eu-west-1\nmfa_serial = {MFA}\n", "[profile plain]\nregion = eu-west-1\n"]
    sections += [
        f"[profile {name}]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{name}\nsource_profile = work\nmfa_serial = {MFA}\n"
        for name in ROLES
    ]
    home.configure("\n".join(sections))
    add(home, moto.alice, "work", "plain")
    return home


def json_of(*profiles: str) -> list[list[str]]:
    return [[str(PROGRAM), "exec", "-j", profile] for profile in profiles]


def all_wait(home: Home, steps: int) -> None:
    """Wait until so many steps have a leader, of which one asks."""
    until(
        lambda: len(leaders(home)) == steps and any(one["phase"] == "question" for one in leaders(home)),
        f"{steps} leaders, one of them at its question",
    )


def keys_of(processes: list[Ended]) -> set[str]:
    assert [one.code for one in processes] == [0] * len(processes), processes
    return {json.loads(one.stdout)["AccessKeyId"] for one in processes}


def test_sixteen_cold_processes_make_one_call(team: Home, front: RecordingProxy, start_processes: Start) -> None:
    processes = start_processes(team, json_of(*["plain"] * 16), terminal=False, env=UNLOCKED)
    assert len(keys_of(processes.ended())) == 1
    assert front.actions == ["GetSessionToken"]


def test_twelve_roles_behind_one_user_ask_once(team: Home, front: RecordingProxy, start_processes: Start) -> None:
    processes = start_processes(team, json_of(*ROLES), terminal=True, env=UNLOCKED)
    processes.terminal.expect(QUESTION)
    all_wait(team, 13)
    processes.terminal.sendline(CODE)
    assert len(keys_of(processes.ended())) == 12
    assert QUESTION not in processes.terminal.before
    assert Counter(front.actions) == {"GetSessionToken": 1, "AssumeRole": 12}
    [token] = front.named("GetSessionToken")
    assert (token.parameters["SerialNumber"], token.parameters["TokenCode"]) == (MFA, CODE)
    assert all("TokenCode" not in call.parameters for call in front.named("AssumeRole"))


def test_ctrl_c_at_the_question_ends_all_twelve(team: Home, front: RecordingProxy, start_processes: Start) -> None:
    processes = start_processes(team, json_of(*ROLES), terminal=True, env=UNLOCKED)
    processes.terminal.expect(QUESTION)
    processes.wait_for(11, WAITS)
    pressed = time.monotonic()
    processes.terminal.sendintr()
    ended = processes.ended()
    assert [one.code for one in ended] == [6] * 12
    assert max(one.at for one in ended) - pressed < seconds(3)
    assert {one.stdout for one in ended} == {""}
    assert all("no MFA code was given" in one.stderr for one in ended)
    assert front.calls == []
    late = team.spawn("exec", "-j", "role0", env=UNLOCKED)
    late.expect(pexpect.EOF)
    late.close()
    assert late.exitstatus == 6
    assert QUESTION not in late.before
    person = team.spawn("exec", "role0", "--", "true", env=UNLOCKED)
    person.expect(QUESTION)
    person.sendline(CODE)
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 0
    assert Counter(front.actions) == {"GetSessionToken": 1, "AssumeRole": 1}


def test_a_denied_step_is_tried_once(team: Home, front: RecordingProxy, start_processes: Start) -> None:
    front.on("GetSessionToken", deny())
    ended = start_processes(team, json_of(*["plain"] * 8), terminal=False, env=UNLOCKED).ended()
    assert [one.code for one in ended] == [6] * 8
    assert all("AWS refused" in one.stderr for one in ended)
    assert front.actions == ["GetSessionToken"]


def test_a_denied_role_is_tried_once_each(team: Home, front: RecordingProxy, start_processes: Start) -> None:
    front.on("AssumeRole", deny())
    processes = start_processes(team, json_of(*ROLES[:3], *ROLES[:3]), terminal=True, env=UNLOCKED)
    processes.terminal.expect(QUESTION)
    processes.terminal.sendline(CODE)
    assert [one.code for one in processes.ended()] == [6] * 6
    assert Counter(front.actions) == {"GetSessionToken": 1, "AssumeRole": 3}


def test_a_leader_killed_at_its_question_hands_over_to_one(
    team: Home, front: RecordingProxy, start_processes: Start
) -> None:
    processes = start_processes(team, json_of(*["work"] * 4), terminal=True, env=UNLOCKED)
    processes.terminal.expect(QUESTION)
    all_wait(team, 1)
    [leader] = leaders(team)
    assert leader["pid"] in processes.pids
    os.kill(leader["pid"], signal.SIGKILL)
    processes.terminal.expect(QUESTION)
    processes.terminal.sendline(CODE)
    ended = processes.ended()
    assert Counter(one.code for one in ended) == {0: 3, -signal.SIGKILL: 1}
    assert QUESTION not in processes.terminal.before
    assert front.actions == ["GetSessionToken"]


def test_a_leader_killed_at_the_network_hands_over_to_one(
    team: Home, front: RecordingProxy, start_processes: Start
) -> None:
    front.on("GetSessionToken", slow(60), times=1)
    processes = start_processes(team, json_of(*["plain"] * 4), terminal=False, env=UNLOCKED)
    until(lambda: len(front.calls) == 1, "a first call")
    [leader] = leaders(team)
    assert leader["phase"] == "network"
    os.kill(leader["pid"], signal.SIGKILL)
    assert Counter(one.code for one in processes.ended()) == {0: 3, -signal.SIGKILL: 1}
    assert front.actions == ["GetSessionToken"] * 2


def test_a_stopped_leader_is_named_to_those_who_wait(team: Home, front: RecordingProxy) -> None:
    first = team.spawn("exec", "-j", "work", env=UNLOCKED)
    first.expect(QUESTION)
    [leader] = leaders(team)
    os.kill(leader["pid"], signal.SIGSTOP)
    try:
        began = time.monotonic()
        done = team.awsv("exec", "work", "--", "true", env={**UNLOCKED, "AWS_VAULT_WAIT": "1"})
        assert time.monotonic() - began < seconds(15)
        assert done.returncode == 125
        assert f"process {leader['pid']} holds this session and made no progress" in done.stderr
        assert f"hint: inspect process {leader['pid']}" in done.stderr
    finally:
        os.kill(leader["pid"], signal.SIGCONT)
    first.expect(QUESTION)
    first.sendline(CODE)
    first.expect(pexpect.EOF)
    assert front.actions == ["GetSessionToken"]


def test_another_terminal_waits_for_the_answer_in_the_first(team: Home, front: RecordingProxy) -> None:
    first = team.spawn("exec", "-j", "role0", env=UNLOCKED)
    first.expect(QUESTION)
    second = team.spawn("exec", "role1", "--", "printenv", "AWS_VAULT", env=UNLOCKED)
    second.expect(r"waiting for process \d+, which waits for an answer to its question")
    first.sendline(CODE)
    second.expect("role1")
    second.expect(pexpect.EOF)
    assert QUESTION not in second.before
    first.expect(pexpect.EOF)
    assert Counter(front.actions) == {"GetSessionToken": 1, "AssumeRole": 2}


def test_the_passphrase_is_asked_once_for_sixteen(team: Home, front: RecordingProxy, start_processes: Start) -> None:
    processes = start_processes(team, json_of(*["plain"] * 16), terminal=True)
    processes.terminal.expect("Passphrase to unlock")
    processes.wait_for(15, WAITS)  # and nobody else asks
    processes.terminal.sendline(UNLOCKED["AWS_VAULT_FILE_PASSPHRASE"])
    assert len(keys_of(processes.ended())) == 1
    assert "Passphrase" not in processes.terminal.before
    assert front.actions == ["GetSessionToken"]


def test_questions_at_one_terminal_come_one_after_another(
    team: Home, front: RecordingProxy, start_processes: Start
) -> None:
    """Two users, so two questions: shown at once, a code would go to the wrong one."""
    other = MFA.replace("alice", "bob")
    team.configure(team.config.read_text() + f"[profile bob]\nregion = eu-west-1\nmfa_serial = {other}\n")
    add(team, Key("AKIABOBBOBBOBBOBBOB2", "x" * 40), "bob")
    processes = start_processes(team, json_of("work", "bob"), terminal=True, env=UNLOCKED)
    processes.terminal.expect(f"{QUESTION} (\\S+): ")
    first = processes.terminal.match[1]
    all_wait(team, 2)
    processes.wait_until_idle()
    assert processes.terminal.expect([QUESTION, pexpect.TIMEOUT], timeout=0) == 1
    processes.terminal.sendline("111111")
    processes.terminal.expect(f"{QUESTION} (\\S+): ")
    second = processes.terminal.match[1]
    processes.terminal.sendline("222222")
    assert [one.code for one in processes.ended()] == [0, 0]
    codes = {call.parameters["SerialNumber"]: call.parameters["TokenCode"] for call in front.calls}
    assert codes == {first: "111111", second: "222222"}
    assert {first, second} == {MFA, other}


def test_ctrl_c_ends_the_questions_that_have_not_come_yet(
    team: Home, front: RecordingProxy, start_processes: Start
) -> None:
    team.configure(team.config.read_text() + f"[profile bob]\nregion = eu-west-1\nmfa_serial = {MFA}\n")
    add(team, Key("AKIABOBBOBBOBBOBBOB2", "x" * 40), "bob")
    processes = start_processes(team, json_of("work", "bob"), terminal=True, env=UNLOCKED)
    processes.terminal.expect(QUESTION)
    all_wait(team, 2)
    processes.wait_until_idle()
    processes.terminal.sendintr()
    assert [one.code for one in processes.ended()] == [6, 6]
    assert QUESTION not in processes.terminal.before
    assert front.calls == []


def test_who_cannot_ask_decides_for_nobody_else(team: Home, front: RecordingProxy) -> None:
    """An editor without a terminal and without the passphrase fails; a moment later somebody who has both does not."""
    assert team.awsv("exec", "-j", "work", env=UNLOCKED).returncode == 6
    assert team.awsv("exec", "-j", "work").returncode == 5
    done = team.awsv("exec", "-j", "work", "-t", CODE, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert front.actions == ["GetSessionToken"]


def test_a_refusal_is_remembered_for_programs_only(team: Home, front: RecordingProxy) -> None:
    front.on("GetSessionToken", deny(), times=1)
    first = team.awsv("exec", "-j", "plain", env=UNLOCKED)
    second = team.awsv("exec", "-j", "plain", env=UNLOCKED)
    assert (first.returncode, second.returncode) == (6, 6)
    assert re.sub(r" \(process \d+ tried\)", "", second.stderr) == first.stderr
    assert second.stderr != first.stderr
    assert front.actions == ["GetSessionToken"]
    person = team.spawn("exec", "plain", "--", "true", env=UNLOCKED)
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 0
    assert front.actions == ["GetSessionToken"] * 2


def test_without_a_place_for_locks_everybody_works_alone(team: Home, front: RecordingProxy) -> None:
    folder = Path(team.env["XDG_STATE_HOME"]) / "awsv"
    folder.mkdir(mode=0o700)
    (folder / "flights").write_text("in the way")
    (folder / "sessions").write_text("in the way")
    done = team.awsv("exec", "-j", "plain", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert "this session may be requested twice" in done.stderr
    assert "the session is not kept" in done.stderr
    assert front.actions == ["GetSessionToken"]


def test_ctrl_c_at_the_passphrase_ends_all(team: Home, front: RecordingProxy, start_processes: Start) -> None:
    processes = start_processes(team, json_of(*["plain"] * 4), terminal=True)
    processes.terminal.expect("Passphrase to unlock")
    processes.wait_for(3, WAITS)
    pressed = time.monotonic()
    processes.terminal.sendintr()
    ended = processes.ended()
    assert [one.code for one in ended] == [5] * 4
    assert max(one.at for one in ended) - pressed < seconds(3)
    assert front.calls == []
