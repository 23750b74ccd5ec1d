"""The contract's side of :mod:`vault_testkit.worker`."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault_testkit.store_under_test import StoreUnderTest

PATIENCE = 60.0
"""Time limit for a job, in seconds."""


class Stuck(Exception):
    """The other process did not answer in time, or died."""


@dataclass(frozen=True)
class Report:
    """The result of one job."""

    said: list[dict[str, Any]]
    """Every line of the tasks, in order; ``task`` is the number of the task."""
    codes: list[int]
    """Exit status of each task's process; -9 where it was killed."""

    def of(self, word: str) -> list[Any]:
        """The values of a word in every line that has it."""
        return [line[word] for line in self.said if word in line]

    def errors(self) -> list[str]:
        """The type and the place of every unexpected exception."""
        return [f"{line['error']}: {line.get('message', '').strip()}" for line in self.said if "error" in line]


class Worker:
    """A process that does jobs with a store, in processes of its own.

    :param count: called with the number of times that each operation was done.
    """

    def __init__(self, target: StoreUnderTest, count: Callable[[Mapping[str, int]], None]) -> None:
        self._count = count
        self.stderr = target.root / "worker.stderr"
        environ = {**target.setup.environ}
        for name, folder in (("TMPDIR", target.root / "tmp"), ("HOME", target.root / "home")):
            if name not in environ:
                folder.mkdir(exist_ok=True)
                environ[name] = str(folder)
        with self.stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*target.setup.before_child, sys.executable, "-P", "-m", "vault_testkit.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environ,
                cwd=target.root,
            )
        self._rest = b""
        self._at_work = False
        self._write(target.to_json())

    def do(self, *tasks: Mapping[str, Any]) -> Report:
        """Do the tasks at the same time, each in a process of its own.

        :raises Stuck: the process did not answer in time, or died.
        """
        self._write(list(tasks))
        self._at_work = True
        said: list[dict[str, Any]] = []
        until = time.monotonic() + PATIENCE
        while True:
            line = self._line(until)
            if "over" in line:
                self._at_work = False
                self._count(line["counts"])
                return Report(said, line["over"])
            said.append(line)

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        if self._at_work:
            self._process.terminate()
        for end in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                end()
        self._process.wait()

    def _write(self, value: Any) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        try:
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._stuck("died") from None

    def _line(self, until: float) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        fd = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
                raise self._stuck(f"did not answer within {PATIENCE:g} s")
            data = os.read(fd, 65536)
            if not data:
                raise self._stuck("died")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _stuck(self, how: str) -> Stuck:
        return Stuck(f"a process with the store {how}; it wrote: {_end(self.stderr)}")


def _end(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()[-2000:] or "nothing"
