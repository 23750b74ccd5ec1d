"""Another process at a store under test: ``python -m vault_core.testing.worker``, started by the contract.

It reads jobs from standard input, one JSON object a line. A job is a list of tasks; each runs in a process of its own,
forked from this one, which never opens the store itself. All open the store, wait for each other, and begin at once.
What they say goes to standard output, one JSON object a line, at last ``{"over": [exit status, ...], "counts": ...}``.
What a plugin prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import mmap
import os
import select
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from vault_core.api import ABSENT, ANY, Expect, Secret, StorageBackend, StorageConflict, StorageUnavailable, VaultError
from vault_core.testing.counting import OPERATIONS
from vault_core.testing.place import Place

Say = Callable[..., None]
_WIDTH = 8 * len(OPERATIONS)
_OUTWARD = frozenset(
    [
        "open",
        "write",
        "writelines",
        "write_text",
        "write_bytes",
        "flush",
        "close",
        "truncate",
        "ftruncate",
        "fsync",
        "fdatasync",
        "pwrite",
        "writev",
        "sendfile",
        "replace",
        "rename",
        "link",
        "symlink",
        "unlink",
        "remove",
        "mkdir",
        "rmdir",
        "fchmod",
        "chmod",
        "flock",
        "lockf",
        "send",
        "sendall",
        "sendmsg",
        "connect",
        "execute",
        "executemany",
        "executescript",
        "commit",
        "fork_exec",
        "waitpid",
        "__exit__",
        "dump",
    ]
)
"""Functions in C after and before which the state of the world may differ."""


def digest(value: str | bytes) -> str:
    """What a child says of a value, in place of the value."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()[:16]


# -- what one process does ---------------------------------------------------------------------------------------------


class Hand:
    """A process that does one task.

    :param stop: readable once every task that ends by itself has ended.
    """

    def __init__(self, store: StorageBackend, task: dict[str, Any], say: Say, stop: int) -> None:
        self.store = store
        self.task = task
        self.say = say
        self._stop = stop

    def put(self) -> None:
        """Put every item once; the first one that fails ends it."""
        for key, value in self.task["items"].items():
            try:
                version = self.store.put(key, Secret(value), expect=_expectation(self.task.get("expect")))
            except StorageConflict:
                self.say(lost=key)
            else:
                self.say(put=key, version=version)

    def put_and_die(self) -> None:
        """Put every item, say so, and never get to an end."""
        self.put()
        os.kill(0, signal.SIGKILL)

    def rewrite(self) -> None:
        """Put one value after the other under a key."""
        for value in self.task["values"]:
            self.store.put(self.task["key"], Secret(value))

    def put_on(self) -> None:
        """Put one numbered value after the other under a key, until somebody kills us."""
        for number in range(1_000_000):
            self.store.put(self.task["key"], Secret(f"{self.task['value']}#{number}"))
            self.say(put=number)

    def increment(self) -> None:
        """Count up an item, each time from what is there."""
        for _ in range(self.task["times"]):
            while True:
                item = self.store.get(self.task["key"])
                if item is None:
                    return self.say(error="get", message="the counter is not there")
                try:
                    number = int(item.value.reveal()) + 1
                    self.store.put(self.task["key"], Secret(str(number)), expect=item.version)
                except StorageConflict:
                    continue
                break
            self.say(counted=number)
        return None

    def delete(self) -> None:
        """Delete a key."""
        self.say(deleted=self.store.delete(self.task["key"]))

    def read(self) -> None:
        """Read a key over and over, until the others are done or it was often enough, and say what was seen."""
        seen: set[str] = set()
        reads = 0
        while reads < self.task["most"] and (not reads or not select.select([self._stop], [], [], 0)[0]):
            with contextlib.suppress(*([StorageUnavailable] if self.task.get("patient") else [])):
                item = self.store.get(self.task["key"])
                seen.add("absent" if item is None else digest(item.value.reveal()))
            reads += 1
        self.say(seen=sorted(seen), reads=reads)

    def get(self) -> None:
        """Read keys once."""
        for key in self.task["keys"]:
            item = self.store.get(key)
            self.say(got=key, value=None if item is None else digest(item.value.reveal()))

    def everything(self) -> None:
        """Every operation once, on one key, and what the objects look like in a log."""
        key, value = self.task["key"], Secret(self.task["value"])
        version = self.store.put(key, value)
        item = self.store.get(key)
        logging.getLogger("contract").debug("%r %s %r", self.store, version, item)
        self.say(looks=f"{item!r} {item} {self.store!r} {version}")
        self.say(listed=key in list(self.store.keys()))
        for expect in self.task["refused"]:
            try:
                self.store.put(key, value, expect=_expectation(expect))
            except VaultError:
                self.say(looks=traceback.format_exc())

    def killed_at(self) -> None:
        """Put or delete one item, and die at a step of it; step 0 counts the steps."""
        steps = Steps(self.task["step"])
        if self.task.get("operations"):
            self._on_operations(steps)
        else:
            sys.setprofile(steps.watch)
        if "delete" in self.task:
            self.store.delete(self.task["delete"])
        else:
            self.put()
        sys.setprofile(None)
        self.say(steps=steps.seen)

    def _on_operations(self, steps: Steps) -> None:
        self.task["observe"].append(lambda _: steps.count())


class Steps:
    """Counts what may change the world, and ends the process at one of them.

    :param last: the number of the step at which to die; 0: never.
    """

    def __init__(self, last: int) -> None:
        self.seen = 0
        self._last = last

    def count(self) -> None:
        self.seen += 1
        if self.seen == self._last:
            os.kill(0, signal.SIGKILL)  # our group: with the programs that we have started

    def watch(self, frame: Any, event: str, function: Any) -> None:
        """For :func:`sys.setprofile`."""
        if event in ("c_call", "c_return") and getattr(function, "__name__", "") in _OUTWARD:
            self.count()


def _expectation(name: str | None) -> Expect:
    return {None: ANY, "any": ANY, "absent": ABSENT}.get(name, name or ANY)


# -- many of them ------------------------------------------------------------------------------------------------------


class Crew:
    """The processes of one job."""

    def __init__(self, place: Place, say: Say) -> None:
        self._place = place
        self._say = say
        self._modules = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as this process lives
        self._learned = False
        self._at_work: list[int] = []

    def work(self, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """Do them all; what came of it."""
        counts = mmap.mmap(-1, _WIDTH * len(tasks))
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
        numbers = struct.unpack(f"={len(tasks) * len(OPERATIONS)}q", counts[:])
        sums = {name: sum(numbers[index :: len(OPERATIONS)]) for index, name in enumerate(OPERATIONS)}
        return {"over": over, "counts": sums}

    def _wait(self, pids: list[int], tasks: list[dict[str, Any]], stop: int) -> list[int]:
        for pid, task in zip(pids, tasks, strict=True):
            if "kill_after" in task:  # seconds
                time.sleep(task["kill_after"])
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        endless = {pid for pid, task in zip(pids, tasks, strict=True) if task["act"] == "read"}
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

    def _hand(self, number: int, task: dict[str, Any], counts: mmap.mmap, ready: Any, gate: Any, stop: Any) -> NoReturn:
        """In the forked process."""
        status = 1

        def say(**words: Any) -> None:
            self._say(hand=number, **words)

        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            task["observe"] = [_counter(counts, number * _WIDTH)]
            store = self._place.open(task["layer"], _all(task["observe"]))
            if "warm" in task:  # unlock now, not among what is observed
                store.get(task["warm"])
            os.close(ready[1])
            os.close(ready[0])
            os.read(gate[0], 1)
            getattr(Hand(store, task, say, stop[0]), task["act"])()
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


def _all(observers: list[Callable[[str], None]]) -> Callable[[str], None]:
    def observe(name: str) -> None:
        for observer in observers:
            observer(name)

    return observe


def _counter(counts: mmap.mmap, offset: int) -> Callable[[str], None]:
    def count(name: str) -> None:
        where = offset + 8 * OPERATIONS.index(name)
        struct.pack_into("=q", counts, where, struct.unpack_from("=q", counts, where)[0] + 1)

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
    place = Place.from_json(given)
    sys.path[:] = given["path"]  # where the test found the plugin
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    os.chdir(place.root)
    sys.addaudithook(_tell_commands(Path(place.root) / "commands"))
    _ = place.spec  # imported once, before the processes divide
    os.dup2(2, 1)  # loading has given it back
    crew = Crew(place, say)
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
