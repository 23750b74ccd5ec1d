"""S9 with real system calls: strace makes each one fail, or kills us at it. A sample; old state or new, never less.

The sample takes the last call of each kind in one ``put``, and the calls that decide with more than one fault.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from vault_core.api import Secret
from vault_core.testing.context import FakeContext
from vault_plugin_file.backend import FileBackend

KEY = "a/b"
WRITER = """
import os, sys, pathlib
import fcntl, vault_core.sealing.primitives
from vault_core.api import Secret, VaultError
from vault_core.testing.context import FakeContext
from vault_plugin_file.backend import FileBackend
folder = pathlib.Path(sys.argv[1])
store = FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder)
store.get("a/b")
os.path.exists("/marker-of-the-test")
try:
    store.put("a/b", Secret("new"))
    print("acknowledged")
except VaultError as error:
    print("refused:", error.message)
"""
CALLS = {"openat", "newfstatat", "fstat", "read", "write", "fsync", "rename", "renameat", "renameat2", "flock"}
CALLS |= {"ftruncate", "pwrite64", "fchmod", "unlinkat", "getdents64", "close"}
FAULTS = ("error=EIO", "signal=KILL", "error=ENOSPC", "error=EACCES", "error=EINTR", "signal=TERM")
DECISIVE = ("write", "fsync", "rename", "renameat", "renameat2")


def strace(options, folder, script=WRITER):
    return subprocess.run(
        ["strace", *options, sys.executable, "-c", script, str(folder)],
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


def points_of(log):
    """(system call, its number since the start, its line) of the calls after the marker, up to the acknowledgement."""
    seen, points, after = Counter(), [], False
    for line in log.splitlines():
        if not (call := re.match(r"(\w+)\(", line)):
            continue
        seen[call[1]] += 1
        if '"acknowledged' in line:
            return points
        if after and call[1] in CALLS:
            points.append((call[1], seen[call[1]], line))
        after = after or "/marker-of-the-test" in line
    return pytest.fail("the write was not acknowledged:\n" + log[-2000:])


def test_s9_every_kind_of_call_and_fault(opened, folder, tmp_path):
    opened().put(KEY, Secret("old"))
    good = tmp_path / "good"
    shutil.copytree(folder, good)
    state = folder.parent / "state"
    shutil.copytree(state, tmp_path / "good-state")
    log = tmp_path / "log"
    if shutil.which("strace") is None or strace(["-o", str(log)], folder).returncode:
        pytest.skip("needs strace, and the right to trace")
    points, tried = points_of(log.read_text()), []
    renamed = next(n for n, (call, _, _) in enumerate(points) if call.startswith("rename"))
    durable = next(n for n, (call, _, _) in enumerate(points) if n > renamed and call == "fsync") + 1
    for part in (points[:durable], points[durable:]):  # of each kind the last one: the nearest to the rename
        last = {call: number for call, number, _ in part}
        tried += [(*point, fault) for point, fault in zip(last.items(), itertools.cycle(FAULTS), strict=False)]
        tried += [(call, last[call], fault) for call in DECISIVE if call in last for fault in FAULTS[:2]]
    outcomes = Counter()
    after = {(call, number) for call, number, _ in points[durable:]}
    for call, number, fault in tried:
        shutil.rmtree(folder)
        shutil.copytree(good, folder)
        shutil.rmtree(state)
        shutil.copytree(tmp_path / "good-state", state)
        done = strace(["-o", "/dev/null", "-e", f"inject={call}:{fault}:when={number}"], folder)
        outcome = check(opened, folder, done, (call, number, fault))
        outcomes[outcome] += 1
        if (call, number) in after:  # what happens to the anchor alone is no failure of the write
            assert outcome[1] == "new", (call, number, fault)
            assert fault.startswith("signal") or outcome[0] == "acknowledged\n", (call, number, fault, done.stdout)
    assert len(outcomes) > 3, outcomes


def check(opened, folder, done, what):
    """The store opens as old or new, what was said is true, and the next write leaves nothing behind."""
    assert "Traceback" not in done.stderr, (what, done.stderr)
    found = opened().get(KEY).value.reveal_text()
    assert found in ("old", "new"), what
    if done.stdout.startswith("acknowledged"):
        assert found == "new", what
    if "is as it was" in done.stdout or "the old state" in done.stdout:
        assert found == "old", what
    if "the new state" in done.stdout:
        assert found == "new", what
    opened().put("x/y", Secret("z"))
    assert sorted(path.name for path in folder.iterdir()) == ["store.vlt", "store.vlt.lock"], what
    return done.stdout.split(":")[0], found


RESTORER = """
import os, sys, pathlib
import fcntl, vault_core.sealing.primitives
from vault_core.api import VaultError
from vault_core.testing.context import FakeContext
from vault_plugin_file import upkeep
from vault_plugin_file.backend import FileBackend
folder = pathlib.Path(sys.argv[1])
store = FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder).store
os.path.exists("/marker-of-the-test")
try:
    upkeep.restore(store, folder.parent / "backup.vlt", lambda: True)
    print("acknowledged")
except VaultError as error:
    print("refused:", error.message)
"""


def test_s9_restore_of_another_store(opened, folder, tmp_path, ctx):
    """Written are the old file beside, the store and the anchor, which is removed first. No crash raises an alarm."""
    FileBackend(FakeContext(tmp_path / "other", passphrases=["right"]), tmp_path / "there").put(KEY, Secret("new"))
    shutil.copyfile(tmp_path / "there/store.vlt", tmp_path / "backup.vlt")
    opened().put(KEY, Secret("old"))
    good, state, log = tmp_path / "good", folder.parent / "state", tmp_path / "log"
    shutil.copytree(folder, good)
    shutil.copytree(state, tmp_path / "good-state")
    if shutil.which("strace") is None or strace(["-o", str(log)], folder, RESTORER).returncode:
        pytest.skip("needs strace, and the right to trace")
    points = [(call, number) for call, number, _ in points_of(log.read_text()) if call in (*DECISIVE, "unlinkat")]
    assert len(points) > 10
    outcomes = Counter()
    for (call, number), fault in zip(points, itertools.cycle(FAULTS[:2]), strict=False):
        for kept, place in ((good, folder), (tmp_path / "good-state", state)):
            shutil.rmtree(place)
            shutil.copytree(kept, place)
        done = strace(["-o", "/dev/null", "-e", f"inject={call}:{fault}:when={number}"], folder, RESTORER)
        assert "Traceback" not in done.stderr, (call, number, fault, done.stderr)
        ctx.notes.clear()
        found = opened().get(KEY).value.reveal_text()  # a replaced store would be refused here
        assert found == "new" if done.stdout.startswith("acknowledged") else found in ("old", "new")
        opened().put("x/y", Secret("z"))
        assert ctx.notes == []
        assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]
        kept_files = [path for path in folder.iterdir() if path.name.endswith(".old")]
        assert found == "old" or [path.read_bytes() for path in kept_files] == [(good / "store.vlt").read_bytes()]
        outcomes[done.stdout.split(":")[0], found] += 1
    assert len(outcomes) > 2, outcomes
