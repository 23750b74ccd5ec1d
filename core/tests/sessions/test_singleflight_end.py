"""The end of a leader wakes who waits for it: the system tells them, and nobody looks again and again."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from support.busy import seconds
from support.flying import flights, nothing
from vault_core.errors import AccessDenied, Cancelled, VaultError
from vault_core.sessions import singleflight
from vault_core.sessions.singleflight import Flight

MANY = 8


@pytest.fixture(autouse=True)
def _woken_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits does not look again by itself."""
    monkeypatch.setattr(singleflight, "_AGAIN", 3600.0)


class Followers:
    """Threads that need the session that a leader makes; without it, one of them leads next."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[str] = []
        self._waits = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._follow, args=(folder,), daemon=True) for _ in range(MANY)]
        wait = Flight.wait

        def told(flight: Flight) -> None:
            self._waits.release()
            wait(flight)

        monkeypatch.setattr(Flight, "wait", told)

    def _follow(self, folder: Path) -> None:
        self.found.append(flights(folder).run("step", lambda: next(iter(self.found), None), lambda _: "next"))

    def start(self) -> None:
        """Start them; returns when each of them waits."""
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            assert self._waits.acquire(timeout=seconds(20))

    @property
    def look_again(self) -> bool:
        """Whether one of them has waited, and waits again, while nothing happened."""
        return self._waits.acquire(timeout=10 * singleflight._PAUSE)

    def end(self) -> None:
        """Wait for their end."""
        for thread in self._threads:
            thread.join(seconds(20))
        assert self.found == ["next"] * MANY


@pytest.fixture
def followers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Followers:
    return Followers(tmp_path, monkeypatch)


LEFT: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "the pipe of a leader that was killed": lambda path: os.mkfifo(path, 0o600),
    "a file": lambda path: path.touch(),
    "a link": lambda path: path.symlink_to("target"),
}


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("error", [None, AccessDenied("no"), Cancelled("stop")], ids=repr)
def test_all_are_woken(tmp_path: Path, followers: Followers, error: VaultError | None, left: str) -> None:
    LEFT[left](tmp_path / "step.end")
    (tmp_path / "target").write_text("of somebody")

    def lead(_: Flight) -> str:
        followers.start()
        assert not followers.look_again
        if error is not None:
            raise error
        return "lost"  # it is not kept where they look

    with suppress(VaultError):
        flights(tmp_path).run("step", nothing, lead)
    followers.end()
    assert not os.path.lexists(tmp_path / "step.end")
    assert (tmp_path / "target").read_text() == "of somebody"


def test_all_are_woken_by_the_death_of_the_leader(tmp_path: Path, followers: Followers) -> None:
    program = (
        "import sys, time; from pathlib import Path; from vault_core.sessions.singleflight import SingleFlight;"
        f"SingleFlight(Path({str(tmp_path)!r}), 5, foreground=False, sign=str)"
        ".run('step', lambda: None, lambda led: (print(flush=True), time.sleep(600)))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        followers.start()
        assert not followers.look_again
        leader.kill()
    followers.end()


def test_a_program_that_the_leader_runs_does_not_stand_in_for_it(tmp_path: Path, followers: Followers) -> None:
    """It inherits no end of the pipe."""

    def lead(_: Flight) -> subprocess.Popen[bytes]:
        followers.start()
        return subprocess.Popen(["sleep", "600"], close_fds=False)

    child = flights(tmp_path).run("step", lambda: None, lead)
    try:
        followers.end()
    finally:
        child.kill()
        child.wait()


def test_without_pipes_they_look_again_after_pauses(
    tmp_path: Path, followers: Followers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkfifo(path: Path, mode: int) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "mkfifo", mkfifo)

    def lead(_: Flight) -> str:
        followers.start()
        assert followers.look_again
        return "lost"

    flights(tmp_path).run("step", nothing, lead)
    followers.end()
