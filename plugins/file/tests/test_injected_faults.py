"""S9 with real system calls: strace makes each one fail, or kills us at it; old state or new, never less.

The sample takes the last call of each kind in one ``put``, and the calls that decide with more than one fault. Under
``AWSV_DEEP`` every call of a ``put`` gets every fault, and a changed passphrase and a new data key are sampled, too.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support import parts
from support.file_store import content
from support.home import PROGRAM
from support.security import DEEP
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, SECRET, UNLOCKED, fill, offline, store_path, stored
from vault_core.api import Secret
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.slow

KEY = "a/b"
WRITER = """
import os, sys, pathlib
import fcntl, vault_core.vlt.primitives, vault_core.keyslots.new_slot
from vault_core import vlt
from vault_core.api import Secret, VaultError
from vault_core.keyslots import new_slot
from vault_testkit.context import FakeContext
from vault_plugin_file import maintenance
from vault_plugin_file.backend import FileBackend
folder = pathlib.Path(sys.argv[1])
context = FakeContext(folder.parent, passphrases=["right"])
store = FileBackend(context, folder)
table = store.slots()
cheap = vlt.Argon2id(memory=19_456, passes=2, lanes=1)
new = new_slot.passphrase(table.store, lambda key_id, derive, _: context.unlock(key_id, derive), cost=cheap)
store.get("a/b")
os.path.exists("/marker-of-the-test")
try:
    WORK
    print("acknowledged")
except VaultError as error:
    print("refused:", error.message)
"""
WORKS = {
    "put": 'store.put("a/b", Secret("new"))',
    "passwd": "store.change_slots(lambda slots, dek: slots.replace(dek, slots.slots[0].id, new))",
    "rekey": "maintenance.rekey(store.store, lambda slots: False)",
}
CALLS = {"openat", "newfstatat", "fstat", "read", "write", "fsync", "rename", "renameat", "renameat2", "flock"}
CALLS |= {"ftruncate", "pwrite64", "fchmod", "unlinkat", "getdents64", "close"}
FAULTS = ("error=EIO", "signal=KILL", "error=ENOSPC", "error=EACCES", "error=EINTR", "signal=TERM", "error=EDQUOT")
OF_RENAME = ("error=EXDEV", "error=EROFS")
DECISIVE = ("write", "fsync", "rename", "renameat", "renameat2")


def strace(options: Any, folder: Any, script: Any) -> Any:
    return subprocess.run(
        ["strace", *options, sys.executable, "-c", script, str(folder)],
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


def points_of(log: Any) -> Any:
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


def faults_for(call: Any) -> Any:
    return (*FAULTS, *OF_RENAME) if call.startswith("rename") else FAULTS


def sampled(points: Any, durable: Any) -> Any:
    """The last call of each kind, before and after the write is durable; more calls of the decisive kinds."""
    tried = []
    for part in (points[:durable], points[durable:]):
        last = {call: number for call, number, _ in part}
        tried += [(*point, fault) for point, fault in zip(last.items(), itertools.cycle(FAULTS), strict=False)]
        tried += [(call, last[call], fault) for call in DECISIVE if call in last for fault in FAULTS[:2]]
        tried += [(call, last[call], fault) for call in last if call.startswith("rename") for fault in OF_RENAME]
    return tried


@pytest.fixture
def kept(opened: Any, folder: Any, tmp_path: Path) -> Any:
    """A store and its anchor, and a function that restores both to their present state."""
    opened().put(KEY, Secret("old"))
    places = (folder, folder.parent / "state")
    for place in places:
        shutil.copytree(place, tmp_path / "good" / place.name)

    def again() -> None:
        for place in places:
            shutil.rmtree(place)
            shutil.copytree(tmp_path / "good" / place.name, place)

    return again


def traced(folder: Any, log: Any, script: Any) -> Any:
    """The system calls of a script at which a fault can be injected."""
    parts.need("strace", shutil.which("strace"), how="apt-get install strace")
    if strace(["-o", str(log)], folder, script).returncode:
        pytest.skip("this process may not be traced")
    return points_of(log.read_text())


@pytest.mark.parametrize("work", WORKS if DEEP else ["put"])
def test_s9_fault_at_each_system_call_keeps_old_or_new_state(
    opened: Any, folder: Any, tmp_path: Path, kept: Any, work: Any, figure: Any
) -> None:
    script = WRITER.replace("WORK", WORKS[work])
    points = traced(folder, tmp_path / "log", script)
    renamed = next(n for n, (call, _, _) in enumerate(points) if call.startswith("rename"))
    durable = next(n for n, (call, _, _) in enumerate(points) if n > renamed and call == "fsync") + 1
    if DEEP and work == "put":
        tried = [(call, number, fault) for call, number, _ in points for fault in faults_for(call)]
    else:
        tried = sampled(points, durable)
    outcomes = Counter()
    after = {(call, number) for call, number, _ in points[durable:]}
    for call, number, fault in tried:
        kept()
        done = strace(["-o", "/dev/null", "-e", f"inject={call}:{fault}:when={number}"], folder, script)
        outcome = check(opened, folder, done, (call, number, fault), value="new" if work == "put" else "old")
        outcomes[outcome] += 1
        if (call, number) in after:  # what happens to the anchor alone is no failure of the write
            assert outcome[1] == "new", (call, number, fault)
            assert fault.startswith("signal") or outcome[0] == "acknowledged", (call, number, fault, done.stdout)
    assert len(outcomes) > 3, outcomes
    counted = ", ".join(f"{count} {said}/{found}" for (said, found), count in sorted(outcomes.items()))
    figure(f"{len(tried)} faults at {len(points)} system calls: {counted} on disk; 0 bad")


def check(opened: Any, folder: Any, done: Any, what: Any, *, value: Any) -> Any:
    """The store opens in the old or new state, the message is true, and the next write leaves no temporary file.

    :param value: what the new state has at ``KEY``.
    """
    assert "Traceback" not in done.stderr, (what, done.stderr)
    found = {1: "old", 2: "new"}[vlt_file.parse((folder / "store.vlt").read_bytes()).epoch]
    assert content(opened()) == {KEY: value if found == "new" else "old"}, what
    if done.stdout.startswith("acknowledged"):
        assert found == "new", what
    if "was not changed" in done.stdout or "the old state" in done.stdout:
        assert found == "old", what
    if "the new state" in done.stdout:
        assert found == "new", what
    opened().put("x/y", Secret("z"))
    assert sorted(path.name for path in folder.iterdir()) == ["store.vlt", "store.vlt.lock"], what
    return done.stdout.split(":")[0].strip() or "killed", found


@pytest.mark.parametrize(
    ("call", "fault", "first"),
    [
        ("fsync", "error=EIO", 3),  # the ones before are the anchor's, at the first read
        ("fsync", "signal=KILL", 3),
        ("rename", "error=EROFS", 1),
        ("rename", "signal=KILL", 1),
    ],
)
def test_s9_exit_code_matches_state_on_disk(tmp_path: Path, call: Any, fault: Any, first: Any, figure: Any) -> None:
    """Exit code 0 only if the new key is stored, else 4 with the state on disk; the next command works."""
    parts.need("strace", shutil.which("strace"), how="apt-get install strace")
    codes = Counter()
    for number in range(first, first + 6):
        home = offline(tmp_path / f"{number}")
        fill(home, {"work": (KEY_ID, SECRET)})
        env = {**UNLOCKED, "AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
        inject = ("-e", f"inject={call}:{fault}:when={number}")
        done = home.run(
            "strace", "-f", "-o", "/dev/null", *inject, PROGRAM, "add", "--env", "--overwrite", "work", env=env
        )
        if "ptrace" in done.stderr.lower():
            pytest.skip("this process may not be traced")
        there = stored(home)["work"] == (OTHER_ID, OTHER_SECRET)
        assert done.returncode in ((0, 4) if fault.startswith("error") else (0, -9, 137)), done.stderr
        assert there or done.returncode, done.stderr
        assert not (there and "was not changed" in done.stderr)
        codes[done.returncode] += 1
        again = home.awsv("add", "--env", "--overwrite", "work", env=env)
        assert again.returncode == 0, again.stderr
        assert stored(home)["work"] == (OTHER_ID, OTHER_SECRET)
        assert not list(store_path(home).parent.glob(".*"))
    assert codes.keys() - {0}
    figure(f"exit codes {dict(codes)}")


RESTORER = """
import contextlib, os, sys, pathlib
import fcntl, vault_core.vlt.primitives
from vault_core.api import VaultError
from vault_testkit.context import FakeContext
from vault_plugin_file import maintenance
from vault_plugin_file.backend import FileBackend
folder = pathlib.Path(sys.argv[1])
store = FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder).store
os.path.exists("/marker-of-the-test")
try:
    maintenance.restore(store, folder.parent / "backup.vlt", lambda: True, contextlib.nullcontext())
    print("acknowledged")
except VaultError as error:
    print("refused:", error.message)
"""


def test_s9_fault_during_restore_of_different_store_raises_no_alarm(
    opened: Any, folder: Any, tmp_path: Path, ctx: FakeContext, figure: Any
) -> None:
    """The anchor is removed, then the old file, the store and the anchor are written. No crash raises an alarm."""
    FileBackend(FakeContext(tmp_path / "other", passphrases=["right"]), tmp_path / "there").put(KEY, Secret("new"))
    shutil.copyfile(tmp_path / "there/store.vlt", tmp_path / "backup.vlt")
    opened().put(KEY, Secret("old"))
    good, state, log = tmp_path / "good", folder.parent / "state", tmp_path / "log"
    shutil.copytree(folder, good)
    shutil.copytree(state, tmp_path / "good-state")
    points = [(call, number) for call, number, _ in traced(folder, log, RESTORER) if call in (*DECISIVE, "unlinkat")]
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
    figure(f"{len(points)} faults, {dict(outcomes)}")
