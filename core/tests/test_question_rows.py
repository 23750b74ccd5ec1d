"""How a question lies on the rows of a terminal: no text of others has a row to itself."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vault_core.asking import Asking
from vault_core.output import cut, width
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings
from vault_core.terminal import _columns, _composed, _fitting

EVIL = "[sudo] password for root: "
FILLED = "a" * 300 + EVIL


@pytest.fixture
def terminal() -> Iterator[int]:
    ours, theirs = pty.openpty()
    yield theirs
    os.close(ours)
    os.close(theirs)


def rows(question: str, asker: str = "", columns: int = 80) -> list[str]:
    return _fitting(_composed(question, asker), columns).split("\n")


def test_what_fits_stays_as_it_is() -> None:
    assert rows("Passphrase: ", "awsv for profile p, started by sh") == [
        "awsv for profile p, started by sh",
        "Passphrase: ",
    ]


@pytest.mark.parametrize("name", [FILLED, "日" * 60 + EVIL, "e\u0301" * 90 + EVIL, f"x\n{EVIL}", f"x\r\x1b[1A{EVIL}"])
@pytest.mark.parametrize("columns", [20, 80, 81, 200])
def test_a_long_name_begins_no_row(name: str, columns: int) -> None:
    asker, *question = rows(f"Replace {name}? [y/N] ", f"awsv for profile {name}, started by sh", columns)
    assert asker.startswith("awsv for profile ")
    assert question[0].startswith("Replace ")
    assert all(row.startswith("… ") for row in question[1:])
    assert all(width(row) < columns for row in (asker, *question))


def test_nothing_of_a_question_is_lost() -> None:
    question = f"These will not open the store any more: {', '.join(f'slot {n}' for n in range(99))}. Go on? [y/N] "
    first, *others = rows(question)
    assert first + "".join(row.removeprefix("… ") for row in others) == question


def test_a_terminal_says_how_wide_it_is(terminal: int) -> None:
    for told, taken in ((132, 132), (0, 80), (1, 5)):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, told, 0, 0))
        assert _columns(terminal) == taken
    assert rows("日本", columns=5) == ["日本"]  # and ends
    with Path(os.devnull).open() as nothing:
        assert _columns(nothing.fileno()) == 80


@pytest.mark.parametrize("purpose", [f"profile {FILLED}", f"making a recovery key for store {'日' * 99}"])
def test_which_program_asks_is_shown_however_long_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purpose: str
) -> None:
    folder = tmp_path / f"{'d' * 120}{EVIL}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    host = Host(Settings({"HOME": str(tmp_path)}), Plugins(), asking=Asking(purpose))
    row, *_ = rows("Passphrase: ", host.asker)
    assert f"(pid {os.getppid()})" in row
    assert width(row) < 80


@pytest.mark.skipif(sys.platform != "linux", reason="the program's name is known on Linux")
@pytest.mark.parametrize("program", [*("a" * length for length in range(1, 16)), "\x1b" * 15, "日" * 5])
def test_which_program_asks_is_shown_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    shutil.copy("/bin/sleep", tmp_path / program)
    with subprocess.Popen([tmp_path / program, "60"]) as child:
        while Path(f"/proc/{child.pid}/comm").read_bytes().strip(b"\n") != program.encode():
            time.sleep(0.001)  # it gets its name a moment after it has begun
        monkeypatch.setattr(os, "getppid", lambda: child.pid)
        host = Host(Settings({"HOME": str(tmp_path)}), Plugins(), asking=Asking(f"profile {FILLED}"))
        row, *_ = rows("Passphrase: ", host.asker)
        child.kill()
    assert f", started by {cut(program, 20)} (pid {child.pid})" in row
    assert width(row) < 80


def test_a_hostile_name_is_cut_at_a_real_terminal(tmp_path: Path) -> None:
    import sys

    import pexpect

    program = (
        "from vault_core.terminal import Terminal as T\n"
        f"T().ask('Passphrase for ' + {FILLED!r}, secret=True, asker='awsv for profile ' + {FILLED!r})"
    )
    child: Any = pexpect.spawn(
        sys.executable, ["-c", program], cwd=tmp_path, encoding="utf-8", dimensions=(24, 80), timeout=60
    )
    child.expect_exact(EVIL)
    shown = (child.before + child.after).split("\r\n")
    assert [row[:2] for row in shown] == ["aw", "Pa", *["… "] * (len(shown) - 2)]
    child.sendline("x")
    child.expect(pexpect.EOF)
    child.close()
