"""S10, S12: several processes at once, and processes that are killed. No acknowledged write is ever lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from support.security import sample
from vault_core.api import Secret, StorageUnavailable
from vault_plugin_file import atomic_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the children here start no threads

KEY = "counters/one"
WORKER = """
import sys, pathlib
from vault_core.api import Secret, StorageConflict
from vault_testkit.context import FakeContext
from vault_plugin_file.backend import FileBackend
from vault_plugin_file import atomic_file
atomic_file.LOCK_SECONDS = 100  # who of many gets the lock is chance, and a disk may be slow
folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
for number in range(count):
    store = FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder) if number % 5 == 0 else store
    while True:
        item = store.get("counters/one")
        try:
            store.put("counters/one", Secret(str(int(item.value.reveal()) + 1)), expect=item.version)
            break
        except StorageConflict:
            continue
    store.put(f"own/{sys.argv[3]}.{number}", Secret("x"))
"""


def start(script: Any, *arguments: Any) -> Any:
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], env={"PATH": os.environ["PATH"]})


@pytest.mark.slow
def test_s12_concurrent_writers_lose_no_write(opened: Any, folder: Any, figure: Any) -> None:
    opened().put(KEY, Secret("0"))
    processes = [start(WORKER, folder, 10, number) for number in range(8)]
    reader, seen, reads = opened(), 0, 0
    while any(process.poll() is None for process in processes):
        value = int(reader.get(KEY).value.reveal())
        assert value >= seen  # never back, never damaged
        seen, reads = value, reads + 1
    assert [process.returncode for process in processes] == [0] * 8
    assert opened().get(KEY).value == Secret("80")
    own = {key for key in opened().keys() if key.startswith("own/")}  # noqa: SIM118 - a backend is no dictionary
    assert own == {f"own/{worker}.{number}" for worker in range(8) for number in range(10)}
    assert reads > 10
    figure(f"8 processes, 80 read-modify-writes and 80 new entries, none lost; {reads} reads beside, 0 damaged")
    assert sorted(path.name for path in folder.iterdir()) == ["store.vlt", "store.vlt.lock"]


CREATOR = """
import sys, pathlib
from vault_core import vlt
from vault_core.api import ABSENT, Secret, StorageConflict
from vault_testkit.context import FakeContext
from vault_plugin_file.backend import FileBackend
folder = pathlib.Path(sys.argv[1])
store = FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder, cost=vlt.Argon2id(19_456, 2, 1))
store.put("own/" + sys.argv[2], Secret("x"))
try:
    store.put("one/winner", Secret(sys.argv[2]), expect=ABSENT)
    print("won")
except StorageConflict:
    print("lost")
"""


def test_concurrent_creation_makes_one_store(opened: Any, folder: Any) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATOR, str(folder), str(number)],
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 6
    assert sorted(said) == ["lost"] * 5 + ["won"]
    store = opened()
    assert {key for key in store.keys() if key.startswith("own/")} == {f"own/{n}" for n in range(6)}  # noqa: SIM118
    assert store.get("one/winner").value == Secret(str(said.index("won")))


def write_until_killed(folder: Any, report: Any) -> None:
    """In a child: count up, and print each number after its write was acknowledged."""
    store = FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder)
    number = int(store.get(KEY).value.reveal())
    while True:
        number += 1
        store.put(KEY, Secret(str(number)))
        os.write(report, f"{number}\n".encode())


def test_s10_killed_writer_loses_no_acknowledged_write(opened: Any, folder: Any, figure: Any) -> None:
    opened().put(KEY, Secret("0"))
    chance, acknowledged, commits = random.Random(7), 0, 0
    rounds = sample(40, 300)
    for _ in range(rounds):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                write_until_killed(folder, write)
            finally:
                os._exit(1)
        os.close(write)
        with os.fdopen(read) as report:
            heard = [report.readline() for _ in range(chance.randrange(4))]
            time.sleep(chance.uniform(0, 0.008))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            numbers = [int(line) for line in (*heard, *report.read().splitlines())]
        acknowledged = max([acknowledged, *numbers])
        commits += len(numbers)
        assert int(opened().get(KEY).value.reveal()) in (acknowledged, acknowledged + 1)
        acknowledged = int(opened().get(KEY).value.reveal())
    started = time.monotonic()
    opened().put("a/last", Secret("x"))
    assert time.monotonic() - started < atomic_file.LOCK_SECONDS  # no stale lock
    assert sorted(path.name for path in folder.iterdir()) == ["store.vlt", "store.vlt.lock"]  # no temporary file
    assert commits >= rounds / 2
    figure(f"put: {rounds} times kill -9, {commits} commits acknowledged, 0 lost, no lock and no temporary file left")


def test_lock_excludes_second_object_in_same_process(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flock belongs to the open file, not to the process."""
    monkeypatch.setattr(atomic_file, "LOCK_SECONDS", 0.1)
    one, two = opened(), opened()
    one.put(KEY, Secret("0"))
    with (
        one.store.file.locked(lambda: None),
        pytest.raises(StorageUnavailable, match=f"locked by process {os.getpid()}"),
    ):
        two.put(KEY, Secret("1"))
    two.put(KEY, Secret("2"))
