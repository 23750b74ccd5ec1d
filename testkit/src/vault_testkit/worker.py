"""Another process at a store under test: ``python -m vault_testkit.worker``, started by the contract.

It reads jobs from standard input, one JSON object a line. A job is a list of tasks; each runs in a process of its own,
forked from this one, which never opens the store itself. All open the store, wait for each other, and begin at once.
What they say goes to standard output, one JSON object a line, at last ``{"over": [exit status, ...], "counts": ...}``.
What a plugin prints goes to standard error.
"""

import contextlib
import importlib
import json
import logging
import mmap
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from vault_core.api import VaultError
from vault_testkit.counting import OPERATIONS
from vault_testkit.store_under_test import RAW, StoreUnderTest
from vault_testkit.tasks import Say, Task


class Crew:
    """The processes of one job."""

    def __init__(self, target: StoreUnderTest, say: Say) -> None:
        self._target = target
        self._say = say
        self._modules = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as this process lives
        self._learned = False
        self._at_work: list[int] = []

    def work(self, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """Do them all; what came of it."""
        counts = memoryview(mmap.mmap(-1, 8 * len(OPERATIONS) * len(tasks))).cast("q")
        ready, gate, stop = os.pipe(), os.pipe(), os.pipe()
        pids = []
        for number, task in enumerate(tasks):
            pid = os.fork()
            if pid == 0:
                os.close(gate[1])
                os.close(stop[1])
                self._hand(number, task, counts, ready, gate, stop)
            pids.append(pid)
            self._at_work = pids
        for fd in (ready[1], gate[0], stop[0]):
            os.close(fd)
        while os.read(ready[0], 64):  # its end: everybody is ready, or dead
            pass
        os.close(gate[1])
        over = self._wait(pids, tasks, stop[1])
        self._at_work = []
        self._learn()
        os.close(ready[0])
        sums = {name: sum(counts[index :: len(OPERATIONS)]) for index, name in enumerate(OPERATIONS)}
        return {"over": over, "counts": sums}

    def _wait(self, pids: list[int], tasks: list[dict[str, Any]], stop: int) -> list[int]:
        for pid, task in zip(pids, tasks, strict=True):
            if "kill_after" in task:  # seconds
                time.sleep(task["kill_after"])
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        endless = {pid for pid, task in zip(pids, tasks, strict=True) if task["act"] in ("read", "look_for")}
        over = {pid: os.waitpid(pid, 0)[1] for pid in pids if pid not in endless}
        os.close(stop)
        over |= {pid: os.waitpid(pid, 0)[1] for pid in pids if pid in endless}
        return [os.waitstatus_to_exitcode(over[pid]) for pid in pids]

    def end(self, *_: object) -> NoReturn:
        """Kill what is still at work, and end; for SIGTERM."""
        for pid in self._at_work:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        os._exit(1)

    def _learn(self) -> None:
        """Import what the first process needed, so that the next ones have it: an SDK may take a second."""
        self._modules.seek(0)
        names = self._modules.read().decode().split()
        if self._learned or not names:
            return
        self._learned = True
        for name in names:
            with contextlib.suppress(BaseException):  # it is theirs, and they will see
                importlib.import_module(name)

    def _hand(
        self, number: int, task: dict[str, Any], counts: memoryview, ready: Any, gate: Any, stop: Any
    ) -> NoReturn:
        """In the forked process."""
        status = 1

        def say(**words: Any) -> None:
            self._say(task=number, **words)

        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            store = self._target.open(task.get("layer", RAW), _counter(counts, number * len(OPERATIONS)), set())
            if "warm" in task:  # unlock now, not among what is observed
                store.get(task["warm"])
            os.close(ready[1])
            os.close(ready[0])
            os.read(gate[0], 1)
            getattr(Task(store, task, say, stop[0]), task["act"])()
            store.close()
            if number == 0 and not self._learned:
                self._modules.write("\n".join(name for name in [*sys.modules] if name != "__main__").encode())
                self._modules.flush()
            status = 0
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the contract, which judges it
            say(error=type(error).__name__, vault=isinstance(error, VaultError), message=traceback.format_exc()[-2000:])
        finally:
            with contextlib.suppress(BaseException):
                sys.stderr.flush()
            os._exit(status)


def _counter(counts: memoryview, first: int) -> Callable[[str], None]:
    def count(name: str) -> None:
        counts[first + OPERATIONS.index(name)] += 1

    return count


def main() -> None:
    """Serve jobs until standard input ends."""
    out = os.dup(1)
    os.dup2(2, 1)

    def say(**words: Any) -> None:
        data = (json.dumps(words) + "\n").encode()
        while data:  # up to 4096 bytes at a time nobody else's words get between
            data = data[os.write(out, data[:4096]) :]

    given = json.loads(sys.stdin.readline())
    target = StoreUnderTest.from_json(given)
    sys.path[:] = given["path"]  # where the test found the plugin
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    os.chdir(target.root)
    sys.addaudithook(_tell_commands(Path(target.root) / "commands"))
    _ = target.spec  # imported once, before the processes divide
    os.dup2(2, 1)  # loading has given it back
    crew = Crew(target, say)
    signal.signal(signal.SIGTERM, crew.end)
    for line in sys.stdin:
        say(**crew.work(json.loads(line)))


def _tell_commands(log: Path) -> Callable[[str, tuple[Any, ...]], None]:
    """Write down what other programs are given in their arguments and their environment."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"):
            fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(fd, f"{event} {arguments!r}\n".encode("utf-8", "backslashreplace"))
            os.close(fd)

    return hook


if __name__ == "__main__":
    main()
