"""S8: how a state is judged against the remembered one; and S12, many processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from support.security import sample
from vault_core.api import Secret
from vault_plugin_file import vlt_file
from vault_plugin_file.rollback_guard import Memory, RollbackStatus, StoreState
from vault_testkit.context import FakeContext


@pytest.mark.parametrize(
    ("here", "newest", "found", "status"),
    [
        ("", None, (b"a", 1, b"m"), RollbackStatus.UNKNOWN),
        ("", None, None, RollbackStatus.UNKNOWN),
        ("a", (b"a", 5, b"m"), None, RollbackStatus.GONE),
        ("a", (b"a", 5, b"m"), (b"a", 5, b"m"), RollbackStatus.SAME),
        ("a", (b"a", 5, b"m"), (b"a", 6, b"n"), RollbackStatus.NEWER),
        ("a", (b"a", 5, b"m"), (b"a", 4, b"m"), RollbackStatus.OLDER),
        ("a", (b"a", 5, b"m"), (b"a", 5, b"n"), RollbackStatus.FORK),
        ("a", None, (b"b", 9, b"m"), RollbackStatus.REPLACED),
        ("a", (b"b", 9, b"m"), (b"b", 9, b"m"), RollbackStatus.REPLACED),
        ("ab", (b"b", 9, b"m"), (b"b", 9, b"m"), RollbackStatus.REPLACED),
        ("", (b"a", 5, b"m"), (b"a", 4, b"m"), RollbackStatus.OLDER),
        ("", (b"a", 5, b"m"), None, RollbackStatus.UNKNOWN),
    ],
)
def test_memory_compare_returns_status(here: Any, newest: Any, found: Any, status: Any) -> None:
    stores = frozenset(name.encode() for name in here)
    memory = Memory(stores, None, StoreState(*newest) if newest else None, complete=True)
    assert memory.compare(StoreState(*found) if found else None) is status


def test_store_state_round_trips_largest_epoch() -> None:
    mark = StoreState(bytes(16), vlt_file.MAX_EPOCH, bytes(32))
    assert StoreState.parse(mark.to_bytes()) == mark


WRITER = """
import sys, pathlib
from vault_core import vlt
from vault_core.api import Secret, StorageConflict
from vault_testkit.context import FakeContext
from vault_plugin_file import atomic_file
from vault_plugin_file.backend import FileBackend
atomic_file.LOCK_SECONDS = 100  # who of many gets the lock is chance, and a disk may be slow
folder, cheap = pathlib.Path(sys.argv[1]), vlt.Argon2id(memory=19_456, passes=2, lanes=1)
context = FakeContext(folder.parent, passphrases=["right"])
for number in range(int(sys.argv[2])):
    store = FileBackend(context, folder, cost=cheap) if number % 5 == 0 else store
    while True:
        item = store.get("counters/one")
        try:
            store.put("counters/one", Secret(str(int(item.value.reveal()) + 1)), expect=item.version)
            break
        except StorageConflict:
            continue
print(*context.notes)
"""


@pytest.mark.slow
def test_s12_sixteen_writers_raise_no_alarm(opened: Any, folder: Any, ctx: FakeContext, figure: Any) -> None:
    opened().put("counters/one", Secret("0"))
    count = sample(5, 25)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(count)],
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(16)
    ]
    reader, readings = opened(), 0
    while any(process.poll() is None for process in processes):
        reader.get("counters/one")
        readings += 1
    assert [process.communicate()[0].strip() for process in processes] == [""] * 16
    assert [process.returncode for process in processes] == [0] * 16
    assert opened().get("counters/one").value == Secret(str(16 * count))
    assert ctx.notes == []
    assert readings > 10
    figure(f"16 processes x {count} = {16 * count}; {readings} reads beside, 0 damaged, 0 alarms")
    assert sorted(path.name for path in folder.iterdir()) == ["store.vlt", "store.vlt.lock"]
    assert not list((folder.parent / "state/anchors").glob("*.tmp"))
