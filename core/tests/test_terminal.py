"""Questions at real pseudo-terminals, under a real shell's job control where it matters."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from support.busy import seconds
from support.stored import until

PROGRAM = str(Path(__file__).with_name("ask_at_terminal.py"))
LEADER = str(Path(__file__).with_name("lose_the_foreground.py"))
CANARY = "canary-Zk3-läßt-grüßen"
BACKGROUND = "this process is in the background of its terminal"
QUESTION = "Passphrase? "
ENVIRON = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", "PS1": "READY> ", "HOME": "/nonexistent"}
SECRET: dict[str, Any] = {"do": "ask", "question": QUESTION, "secret": True}
EVERY_CALL: list[dict[str, Any]] = [
    SECRET,
    {"do": "confirm", "question": "Replace it?"},
    {"do": "why_not"},
    {"do": "write", "question": "hi"},
]
BASH = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
SH = ["sh", "-i"]
"""Unlike bash, dash leaves the terminal as a stopped program left it."""


class Session:
    """Programs at one pseudo-terminal, everything shown kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result = folder / "result"
        self.shown = io.BytesIO()
        self.children: list[Any] = []

    def argv(self, *calls: dict[str, Any], **plan: Any) -> list[str]:
        # In a file, as a shell's terminal would echo the question with the command line.
        path = self.folder / "plan"
        path.write_text(json.dumps({"calls": calls, "result": str(self.result), **plan}))
        return [sys.executable, PROGRAM, str(path)]

    def spawn(self, argv: list[str]) -> Any:
        child = pexpect.spawn(argv[0], argv[1:], env=ENVIRON, cwd=self.folder, timeout=seconds(9), dimensions=(50, 300))
        child.delaybeforesend = None
        child.ptyproc.delayafterclose = 0.0
        child.logfile_read = self.shown
        self.children.append(child)
        return child

    def ask(self, *calls: dict[str, Any], **plan: Any) -> Any:
        """Start the program; returns when its first question has been shown."""
        child = self.spawn(self.argv(*(calls or (SECRET,)), **plan))
        child.expect_exact(QUESTION)
        return child

    def shell(self, argv: list[str] = BASH) -> Any:
        child = self.spawn(argv)
        child.expect_exact("READY> ")
        return child

    def results(self) -> list[dict[str, Any]]:
        outcome: list[dict[str, Any]] = json.loads(self.result.read_text())
        return outcome


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    yield session
    for child in session.children:
        child.close(force=True)
    assert CANARY.encode() not in session.shown.getvalue()


def echoes(child: Any) -> bool:
    return bool(termios.tcgetattr(child.child_fd)[3] & termios.ECHO)


def ended(child: Any) -> tuple[int | None, int | None]:
    """Exit code and signal, when all output has been read."""
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus, child.signalstatus


# -- one question ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thread", [False, True])
def test_a_secret_is_not_echoed_and_the_terminal_is_as_before(session: Session, thread: bool) -> None:
    child = session.ask(modes=True, thread=thread)
    assert not echoes(child)
    child.sendline(CANARY)
    assert ended(child) == (0, None)
    assert echoes(child)
    assert session.results() == [{"answer": CANARY}]
    assert session.shown.getvalue().endswith(b"\r\n")


def test_a_code_is_echoed(session: Session) -> None:
    child = session.ask({**SECRET, "secret": False}, modes=True)
    assert echoes(child)
    child.sendline("123456")
    child.expect_exact("123456\r\n")
    assert ended(child) == (0, None)
    assert session.results() == [{"answer": "123456"}]


def test_who_asks_is_shown_and_others_text_cannot_steer_the_terminal(session: Session) -> None:
    call = {**SECRET, "asker": "awsv: profile a\nb, x\x1b[2J (pid 1) asks:", "question": "for \x9b1m\u202e\udcff\r: "}
    child = session.spawn(session.argv(call))
    child.expect_exact("awsv: profile a\\nb, x\\x1b[2J (pid 1) asks:\r\nfor \\x9b1m\\u202e\\udcff\\r: ")
    child.sendline(CANARY)
    assert ended(child) == (0, None)


@pytest.mark.parametrize(
    ("typed", "message", "thread"),
    [
        ("\x03", "no answer: interrupted", False),  # in another thread, Ctrl-C is the main thread's
        ("\x04", "no answer: end of input", False),
        ("\x04", "no answer: end of input", True),
        ("\n", "no answer: empty line", False),
        ("\n", "no answer: empty line", True),
    ],
)
def test_declining(session: Session, typed: str, message: str, thread: bool) -> None:
    child = session.ask(SECRET, {"do": "why_not"}, modes=True, thread=thread)
    child.send(typed)
    assert ended(child) == (0, None)
    assert session.results() == [{"error": "QuestionRefused", "message": message}, {"answer": None}]
    assert session.shown.getvalue().endswith(b"\r\n")


def test_a_half_typed_secret_is_not_an_answer(session: Session) -> None:
    child = session.ask()
    child.send(CANARY + "\x04\x04")
    assert ended(child) == (0, None)
    assert session.results() == [{"error": "QuestionRefused", "message": "no answer: end of input"}]


def test_the_deadline(session: Session) -> None:
    child = session.spawn(session.argv({**SECRET, "deadline": 0.3}, {**SECRET, "deadline": -1.0}, modes=True))
    assert ended(child) == (0, None)
    late = {"error": "SourceUnavailable", "message": "nobody answered at the terminal in time"}
    assert session.results() == [late, late]
    assert echoes(child)


def test_what_was_typed_before_and_the_rest_of_a_paste_are_dropped(session: Session) -> None:
    go = session.folder / "go"
    child = session.spawn(session.argv(SECRET, {"do": "what_is_left"}, go=str(go)))
    child.setecho(False)
    child.send("typed ahead\n")
    go.touch()
    child.expect_exact(QUESTION)
    child.send(f"{CANARY}\nsecond line\n")
    assert ended(child) == (0, None)
    assert session.results() == [{"answer": CANARY}, {"answer": ""}]


@pytest.mark.parametrize("length", [4094, 4095, 6000])
def test_a_line_that_the_terminal_cuts_off_is_refused(session: Session, length: int) -> None:
    child = session.ask()
    child.send("x" * length + "\n")
    assert ended(child) == (0, None)
    [outcome] = session.results()
    if length <= 4094:
        assert outcome == {"answer": "x" * length}
    else:
        assert outcome["error"] == "SourceUnavailable"
        assert "at most 4094 bytes" in outcome["message"]


def test_a_terminal_in_raw_mode(session: Session) -> None:
    child = session.ask({**SECRET, "secret": False}, raw=True, modes=True)
    child.send("129\x7f3456\r")
    child.expect_exact("3456\r\n")
    assert ended(child) == (0, None)
    assert session.results() == [{"answer": "123456"}]


def test_standard_input_and_output_may_be_pipes(session: Session) -> None:
    pipeline = f"echo piped | {shlex.join(session.argv(SECRET))} | cat"
    child = session.spawn(["bash", "-c", pipeline])
    child.expect_exact(QUESTION)
    child.sendline(CANARY)
    assert ended(child) == (0, None)
    assert session.results() == [{"answer": CANARY}]


# -- yes or no ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "default", "expected"),
    [("y", False, True), ("YES", False, True), ("n", True, False), ("", True, True), ("", False, False)],
)
def test_confirm(session: Session, typed: str, default: bool, expected: bool) -> None:
    child = session.spawn(session.argv({"do": "confirm", "question": "Replace it?", "default": default}))
    child.expect_exact("Replace it? [Y/n] " if default else "Replace it? [y/N] ")
    child.sendline(typed)
    assert ended(child) == (0, None)
    assert session.results() == [{"answer": expected}]


def test_confirm_asks_again_and_then_gives_up(session: Session) -> None:
    child = session.spawn(session.argv({"do": "confirm", "question": "Replace it?"}))
    child.expect_exact("[y/N] ")
    for shown in ("please answer y or n: ", "please answer y or n: ", "\r\n"):
        child.sendline("maybe")
        child.expect_exact(shown)
    assert ended(child) == (0, None)
    assert session.results() == [{"error": "QuestionRefused", "message": "no answer: neither y nor n"}]


@pytest.mark.parametrize("typed", ["\x03", "\x04"])
def test_confirm_declined(session: Session, typed: str) -> None:
    child = session.spawn(session.argv({"do": "confirm", "question": "Replace it?"}, modes=True))
    child.expect_exact("[y/N] ")
    child.send(typed)
    assert ended(child) == (0, None)
    assert session.results()[0]["error"] == "QuestionRefused"


# -- signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_kills_as_ever_but_the_terminal_echoes_again(session: Session, signum: int) -> None:
    child = session.ask()
    assert not echoes(child)
    if signum == signal.SIGQUIT:
        child.send("\x1c")
    else:
        child.kill(signum)
    assert ended(child) == (None, signum)
    assert echoes(child)


def test_the_hosts_own_handler_runs_after_the_terminal_is_restored(session: Session) -> None:
    child = session.ask(handle_term=True)
    child.kill(signal.SIGTERM)
    assert ended(child) == (3, None)
    assert echoes(child)


def test_an_ignored_signal_stays_ignored(session: Session) -> None:
    child = session.ask(ignored=signal.SIGHUP)
    child.kill(signal.SIGHUP)
    child.sendline(CANARY)
    assert ended(child) == (0, None)
    assert session.results() == [{"answer": CANARY}]


def test_ctrl_c_ends_a_question_even_where_it_is_ignored(session: Session) -> None:
    """A shell ignores it for a job in the background; a question that had no way out would hold the terminal."""
    child = session.ask(ignored=signal.SIGINT)
    child.send("\x03")
    assert ended(child) == (0, None)
    assert session.results() == [{"error": "QuestionRefused", "message": "no answer: interrupted"}]


def test_a_closed_terminal_ends_the_question(session: Session) -> None:
    child = session.ask(ignored=signal.SIGHUP)
    session.children.remove(child)
    child.ptyproc.fileobj.close()
    until(session.result.exists, "a result")
    assert session.results()[0]["error"] in ("QuestionRefused", "SourceUnavailable")
    os.waitpid(child.pid, 0)


# -- job control -------------------------------------------------------------------------------------------------------


def stty(shell: Any) -> str:
    """The modes that the shell gives to the programs it starts."""
    shell.sendline("stty -a")
    shell.expect_exact("READY> ")
    modes: str = shell.before.decode()
    return modes


@pytest.mark.parametrize("argv", [BASH, SH])
def test_stopped_by_the_key_and_back(session: Session, argv: list[str]) -> None:
    shell = session.shell(argv)
    shell.sendline(shlex.join(session.argv(SECRET)) + "; echo rc=$?")
    for _ in range(2):
        shell.expect_exact(QUESTION)
        until(lambda: not echoes(shell), "no echo")
        shell.send("\x1a")
        shell.expect_exact("READY> ")
        assert " -echo " not in stty(shell)
        shell.sendline("fg")
    shell.expect_exact(QUESTION)
    assert not echoes(shell)
    shell.sendline(CANARY)
    shell.expect_exact("READY> ")
    assert session.results() == [{"answer": CANARY}]
    assert session.shown.getvalue().count(QUESTION.encode()) == 3
    assert b"\r\n\r\n" + QUESTION.encode() not in session.shown.getvalue()
    assert " -echo " not in stty(shell)


def test_stopped_from_outside_and_back(session: Session) -> None:
    shell = session.shell()
    shell.sendline(shlex.join(session.argv(SECRET)))
    shell.expect_exact(QUESTION)
    os.kill(os.tcgetpgrp(shell.child_fd), signal.SIGSTOP)
    shell.expect_exact("READY> ")
    shell.sendline("fg")
    shell.expect_exact(QUESTION)
    until(lambda: not echoes(shell), "no echo")
    shell.sendline(CANARY)
    shell.expect_exact("READY> ")
    assert session.results() == [{"answer": CANARY}]


@pytest.mark.parametrize("how", ["key", "SIGSTOP"])
def test_continued_in_the_background_fails_and_is_not_stopped_again(session: Session, how: str) -> None:
    shell = session.shell()
    shell.sendline(shlex.join(session.argv(SECRET)))
    shell.expect_exact(QUESTION)
    if how == "key":
        shell.send("\x1a")
    else:
        os.kill(os.tcgetpgrp(shell.child_fd), signal.SIGSTOP)
    shell.expect_exact("READY> ")
    shell.sendline("bg; wait %1; echo rc=$?")
    shell.expect_exact("rc=0\r\n")
    assert session.results() == [{"error": "SourceUnavailable", "message": BACKGROUND}]
    assert " -echo " not in stty(shell)


@pytest.mark.parametrize("before", ["", "stty tostop; "])
def test_a_background_job_fails_at_once_and_is_not_stopped(session: Session, before: str) -> None:
    shell = session.shell()
    shell.sendline(before + shlex.join(session.argv(*EVERY_CALL)) + " & wait %1; echo rc=$?")
    shell.expect_exact("rc=0\r\n")
    failed = {"error": "SourceUnavailable", "message": BACKGROUND}
    assert session.results() == [failed, failed, {"answer": BACKGROUND}, {"answer": None}]


def test_a_background_job_leaves_the_shells_input_alone(session: Session) -> None:
    shell, go = session.shell(), session.folder / "go"
    shell.sendline(shlex.join(session.argv(SECRET, go=str(go))) + " & echo started; wait %1")
    shell.expect_exact("\r\nstarted\r\n")
    shell.sendline("echo 'not' lost")
    go.touch()
    shell.expect_exact("not lost\r\n")
    assert session.results()[0]["error"] == "SourceUnavailable"


@pytest.mark.parametrize("modes", ["as-it-is", "raw"])
def test_the_foreground_lost_without_a_signal(session: Session, modes: str) -> None:
    leader = session.spawn([sys.executable, LEADER, modes, *session.argv(SECRET)])
    leader.expect_exact(QUESTION)
    assert not echoes(leader)
    leader.kill(signal.SIGTTOU)
    leader.expect_exact("taken back")
    until(session.result.exists, "a result")
    assert session.results() == [{"error": "SourceUnavailable", "message": BACKGROUND}]
    # Restored, unless the new owner of the terminal has set modes of its own.
    assert echoes(leader) == (modes == "as-it-is")
    leader.kill(signal.SIGTTOU)
    assert ended(leader) == (0, None)


def test_without_a_terminal_it_fails_at_once(session: Session) -> None:
    done = subprocess.run(
        session.argv(*EVERY_CALL), env=ENVIRON, start_new_session=True, capture_output=True, timeout=seconds(10)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    reason = "there is no terminal"
    failed = {"error": "SourceUnavailable", "message": reason}
    assert session.results() == [failed, failed, {"answer": reason}, {"answer": None}]


def test_write_goes_to_the_terminal_only(session: Session) -> None:
    child = session.spawn(
        ["bash", "-c", shlex.join(session.argv({"do": "write", "question": "seen\n"})) + " >/dev/null"]
    )
    child.expect_exact("seen\r\n")
    assert ended(child) == (0, None)
