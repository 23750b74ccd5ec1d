"""Many programs at once: all on one pseudo-terminal, in its foreground process group, or without any terminal.

``python processes.py SPEC`` is the process that starts them; a test uses :class:`Processes`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect

if TYPE_CHECKING:
    from support.home import Home


@contextmanager
def started() -> Iterator[Callable[..., Processes]]:
    """:class:`Processes`, none of which outlives the ``with``."""
    made: list[Processes] = []

    def start(*args: Any, **options: Any) -> Processes:
        made.append(Processes(*args, **options))
        return made[-1]

    try:
        yield start
    finally:
        for processes in made:
            processes.close()


@dataclass(frozen=True)
class Ended:
    """What became of one program."""

    code: int
    """As :mod:`subprocess` gives it: the negative number of the signal that ended it."""
    stdout: str
    stderr: str
    at: float
    """When, on :func:`time.monotonic`'s clock, which all processes of a machine share."""


class Processes:
    """Programs that run together.

    :param commands: their words.
    :param terminal: give them one; :attr:`terminal` is then its ``pexpect`` side. Their output goes to files either
        way, so what appears at the terminal are questions.
    """

    def __init__(
        self,
        home: Home,
        commands: Sequence[Sequence[str | Path]],
        *,
        terminal: bool,
        env: Mapping[str, str | None] | None = None,
    ) -> None:
        number = len(list(home.root.glob("processes-*")))
        self._folder = home.root / f"processes-{number}"
        self._folder.mkdir()
        self._size = len(commands)
        (self._folder / "commands").write_text(json.dumps([[str(word) for word in words] for words in commands]))
        self._process: subprocess.Popen[bytes] | None = None
        self.terminal: Any = None
        if terminal:
            self.terminal = home.spawn(__file__, self._folder, program=sys.executable, env=env)
        else:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(self._folder)],
                env=home.environment(env),
                cwd=home.cwd,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def pids(self) -> list[int]:
        """Their process ids, in the order of the commands."""
        pids: list[int] = json.loads(_appearing(self._folder / "pids", 10))
        return pids

    def wait_for(self, count: int, text: str) -> None:
        """Wait until so many of them have said this to standard error."""
        from support.stored import until

        def said() -> bool:
            return sum(text in self._output(number, "stderr") for number in range(self._size)) >= count

        self.pids  # noqa: B018 - all have been started then
        until(said, f"{count} say {text!r}", 60)

    def wait_until_idle(self) -> None:
        """Wait until each of them waits for something else than the processor."""
        for pid in self.pids:
            until_idle(pid)

    def ended(self, timeout: float = 60) -> list[Ended]:
        """Wait for all of them; ``terminal.before`` is then what was shown since the last ``expect``.

        :param timeout: seconds on an idle machine.
        """
        found = json.loads(_appearing(self._folder / "ended", timeout))
        if self._process is not None:
            self._process.wait(10)
        if self.terminal is not None:
            self.terminal.expect(pexpect.EOF)
            self.terminal.close()
        return [
            Ended(code, self._output(number, "stdout"), self._output(number, "stderr"), at)
            for number, (code, at) in enumerate(found)
        ]

    def close(self) -> None:
        """Kill what is left of them."""
        if self.terminal is not None:
            self.terminal.close(force=True)
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _output(self, number: int, name: str) -> str:
        return (self._folder / f"{number}.{name}").read_text(errors="surrogateescape")


def until_idle(pid: int) -> None:
    """Wait until a process, of Linux, sleeps and has used next to no time of a processor for half a second."""
    from support.stored import until

    def look() -> tuple[str, int]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], int(fields[11]) + int(fields[12])  # utime and stime of proc(5), in hundredths of a second

    def idle() -> bool:
        before = look()[1]
        time.sleep(0.5)
        state, used = look()
        return state == "S" and used - before <= 1

    until(idle, f"process {pid} waits")


def _appearing(path: Path, timeout: float) -> str:
    from support.stored import until

    until(path.exists, f"{path.name} is there", timeout)
    return path.read_text()


def _write(path: Path, value: Any) -> None:
    path.with_suffix(".new").write_text(json.dumps(value))
    path.with_suffix(".new").rename(path)


def _main(folder: Path) -> None:
    # A handler, so that Ctrl-C is theirs alone: what is ignored would stay ignored in them.
    signal.signal(signal.SIGINT, lambda *_: None)
    commands = json.loads((folder / "commands").read_text())
    programs = []
    for number, words in enumerate(commands):
        with (folder / f"{number}.stdout").open("wb") as out, (folder / f"{number}.stderr").open("wb") as err:
            programs.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err))
    _write(folder / "pids", [program.pid for program in programs])
    number_of = {program.pid: number for number, program in enumerate(programs)}
    ended: dict[int, tuple[int, float]] = {}
    while len(ended) < len(programs):
        pid, status = os.wait()
        ended[number_of[pid]] = (os.waitstatus_to_exitcode(status), time.monotonic())
    _write(folder / "ended", [ended[number] for number in range(len(programs))])


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
