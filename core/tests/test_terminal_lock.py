"""One question at a time at one terminal."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vault_core.asking import hold_terminal
from vault_core.errors import QuestionRefused, SourceUnavailable


def lock_of(folder: Path) -> Path:
    return folder / f"terminal-{os.getsid(0)}.lock"


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """The lock, held as by another process."""
    with lock_of(folder).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def test_lock_is_private_and_released(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    with hold_terminal(folder, None):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(lock_of(folder).stat().st_mode) == 0o600
        with lock_of(folder).open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    with taken(folder):
        pass


def test_lock_is_released_when_question_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="asked"), hold_terminal(tmp_path, None):
        raise ValueError("asked")
    with hold_terminal(tmp_path, time.monotonic()):
        pass


def test_second_question_waits_for_first(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with hold_terminal(tmp_path, None):
            order.append("second")

    with taken(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.15)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_waiting_ends_at_deadline(tmp_path: Path) -> None:
    late, message = time.monotonic() + 0.1, "was not answered in time"
    with taken(tmp_path), pytest.raises(SourceUnavailable, match=message), hold_terminal(tmp_path, late):
        raise AssertionError


def test_ctrl_c_while_waiting_refuses_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    with taken(tmp_path), pytest.raises(QuestionRefused, match="no answer: interrupted"), hold_terminal(tmp_path, None):
        raise AssertionError


def test_other_terminal_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with taken(tmp_path):
        monkeypatch.setattr(os, "getsid", lambda _: 1)
        with hold_terminal(tmp_path, time.monotonic()):
            pass


@pytest.mark.parametrize("obstacle", ["file", "link"])
def test_lock_that_cannot_be_made_does_not_prevent_question(tmp_path: Path, obstacle: str) -> None:
    folder = tmp_path / "state"
    if obstacle == "file":
        folder.touch()
    else:
        folder.mkdir()
        lock_of(folder).symlink_to(tmp_path / "target")
    with hold_terminal(folder, time.monotonic()):
        pass
    assert not (tmp_path / "target").exists()


def test_file_system_without_locks_does_not_prevent_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with hold_terminal(tmp_path, None):
        pass


@pytest.mark.parametrize("late", [0.0, 5.0])
def test_deadline_in_the_past_does_not_wait(late: float, tmp_path: Path) -> None:
    with (
        taken(tmp_path),
        pytest.raises(SourceUnavailable, match="was not answered in time"),
        hold_terminal(tmp_path, time.monotonic() - late),
    ):
        pytest.fail("asked")
