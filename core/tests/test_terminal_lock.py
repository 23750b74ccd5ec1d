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

from vault_core import files, terminal_lock
from vault_core.errors import QuestionRefused, SourceUnavailable
from vault_core.terminal_lock import turn


def lock_of(folder: Path) -> Path:
    return folder / f"terminal-{os.getsid(0)}.lock"


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Another process's question."""
    with lock_of(folder).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def test_the_lock_is_private_and_let_go(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    with turn(folder, None):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(lock_of(folder).stat().st_mode) == 0o600
        with lock_of(folder).open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    with taken(folder):
        pass


def test_the_turn_is_given_back_where_the_question_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="asked"), turn(tmp_path, None):
        raise ValueError("asked")
    with turn(tmp_path, time.monotonic()):
        pass


def test_a_question_waits_for_the_one_before(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with turn(tmp_path, None):
            order.append("second")

    with taken(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.15)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_whoever_waits_gives_up_at_the_deadline(tmp_path: Path) -> None:
    late, told = time.monotonic() + 0.1, "was not answered in time"
    with taken(tmp_path), pytest.raises(SourceUnavailable, match=told), turn(tmp_path, late):
        raise AssertionError


def test_ctrl_c_at_the_other_question_is_meant_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal_lock.time, "sleep", interrupted)  # type: ignore[attr-defined]
    with taken(tmp_path), pytest.raises(QuestionRefused, match="no answer: interrupted"), turn(tmp_path, None):
        raise AssertionError


def test_terminals_do_not_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with taken(tmp_path):
        monkeypatch.setattr(os, "getsid", lambda _: 1)
        with turn(tmp_path, time.monotonic()):
            pass


@pytest.mark.parametrize("obstacle", ["file", "link"])
def test_without_a_place_for_the_lock_everybody_asks(tmp_path: Path, obstacle: str) -> None:
    folder = tmp_path / "state"
    if obstacle == "file":
        folder.touch()
    else:
        folder.mkdir()
        lock_of(folder).symlink_to(tmp_path / "target")
    with turn(folder, time.monotonic()):
        pass
    assert not (tmp_path / "target").exists()


def test_a_file_system_without_locks_keeps_nobody_from_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with turn(tmp_path, None):
        pass


@pytest.mark.parametrize("late", [0.0, 5.0])
def test_whoever_comes_after_the_deadline_does_not_wait(late: float, tmp_path: Path) -> None:
    with (
        taken(tmp_path),
        pytest.raises(SourceUnavailable, match="was not answered in time"),
        turn(tmp_path, time.monotonic() - late),
    ):
        pytest.fail("asked")


def test_the_turn_is_let_go_by_who_had_it_and_not_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python closes the lock of a generator that nobody refers to, but not of one in a traceback."""
    made = []
    real = files.lock
    monkeypatch.setattr(files, "lock", lambda path: made.append(real(path)) or made[-1])
    with turn(tmp_path, None):
        assert made[0].is_locked
    assert not made[0].is_locked
