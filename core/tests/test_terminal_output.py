"""Lines for the terminal: all of them for one that is slow, and no waiting for one that takes none."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Iterator

import pytest

from support.busy import seconds
from vault_core import terminal
from vault_core.terminal import Terminal


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of a terminal that changes nothing of what it gets."""
    master, slave = os.openpty()
    tty.setraw(slave)
    monkeypatch.setattr(terminal, "_PATH", os.ttyname(slave))
    yield master
    os.close(slave)
    os.close(master)


def test_write_to_a_slow_terminal_loses_nothing(screen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_BEAT", 60.0)
    text = "".join(f"line {number}\n" for number in range(9_000))  # more than a terminal keeps
    shown, written = bytearray(), threading.Event()

    def read() -> None:
        while select.select([screen], [], [], 0.1)[0] or not written.is_set():
            if select.select([screen], [], [], 0)[0]:
                shown.extend(os.read(screen, 1_000))

    reader = threading.Thread(target=read)
    reader.start()
    Terminal().write(text)
    written.set()
    reader.join()
    assert shown.decode() == text


def test_write_to_a_terminal_that_takes_no_more_ends(screen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_BEAT", 0.01)
    writer = threading.Thread(target=Terminal().write, args=("x" * 1_000_000,), daemon=True)
    writer.start()
    writer.join(seconds(5))
    assert not writer.is_alive()
    assert set(os.read(screen, 1_000)) == set(b"x")
