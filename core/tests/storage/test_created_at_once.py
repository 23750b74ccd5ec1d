"""Several processes make one sealed store at once, on a backend that cannot tell who was first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.memory_backend import MemoryBackend
from vault_core.api import Capability, Secret, StorageUnavailable, WrongSecret
from vault_core.storage import sealed
from vault_core.storage.sealed import SLOTS_KEY, SealedBackend
from vault_testkit.context import FakeContext

PROCESSES, ROUNDS = 6, 2
WORK = """
import json, pathlib, sys, time
from vault_core.api import Capability, Item, Secret, StorageBackend
from vault_core.vlt.kdf import Argon2id
from vault_core.storage.sealed import SealedBackend
from vault_testkit.context import FakeContext

class Folder(StorageBackend):
    "One file a key, replaced as a whole. Slow: everybody sees an empty store, and the tables arrive one by one."
    def __init__(self, root):
        self.root = root
    def path(self, key):
        return self.root / key.replace("/", "@")
    def get(self, key):
        found = self.path(key).read_bytes() if self.path(key).exists() else None
        time.sleep(0.02)
        return None if found is None else Item(value=Secret(found), version="")
    def put(self, key, value, *, expect=None):
        time.sleep(0.05 * int(sys.argv[2]) if key == "meta/slots" else 0)
        temp = self.root / f".{sys.argv[2]}"
        temp.write_bytes(value.reveal())
        temp.rename(self.path(key))
        return ""
    def delete(self, key, *, expect=None):
        raise NotImplementedError
    def keys(self):
        return (path.name.replace("@", "/") for path in self.root.iterdir() if not path.name.startswith("."))

root, number = pathlib.Path(sys.argv[1]), sys.argv[2]
context = FakeContext(root.parent, passphrases=["right"])
store = SealedBackend(Folder(root), context, Capability.NONE, cost=Argon2id(19_456, 2, 1))
if number == "all":
    print(json.dumps({key: store.get(key).value.reveal_text() for key in store.keys()}))
else:
    while not (root.parent / "go").exists():
        time.sleep(0.001)
    store.put(f"credentials/{number}", Secret(f"value {number}"))
    print("acknowledged")
"""


def start(root: Any, number: Any) -> Any:
    return subprocess.Popen(
        [sys.executable, "-c", WORK, str(root), str(number)],
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_no_acknowledged_value_is_lost(tmp_path: Path, figure: Any) -> None:
    for number in range(ROUNDS):
        root = tmp_path / str(number) / "store"
        root.mkdir(parents=True)
        processes = [start(root, number) for number in range(PROCESSES)]
        time.sleep(0.5)  # to import what they need; who is late is only less of a trial
        (root.parent / "go").touch()
        for process in processes:
            out, err = process.communicate(timeout=60)
            assert (process.returncode, out) == (0, "acknowledged\n"), err
        out, err = start(root, "all").communicate(timeout=30)
        expected = {f"credentials/{number}": f"value {number}" for number in range(PROCESSES)}
        assert json.loads(out or "{}") == expected, err
    figure(f"{ROUNDS} stores, each made by {PROCESSES} processes at once: {ROUNDS * PROCESSES} values, 0 lost")


class Overtaken(MemoryBackend):
    """Another machine's table arrives right after our first values."""

    def __init__(self, other: Any, times: int = 1) -> None:
        super().__init__()
        self.other = other
        self.times = times

    def put(self, key: Any, value: Any, **expect: Any) -> Any:
        version = super().put(key, value, **expect)
        if key != SLOTS_KEY and self.times:
            self.times -= 1
            self.kept[SLOTS_KEY] = self.other
        return version


@pytest.fixture
def other(tmp_path: Path) -> Any:
    """The table of another machine's store, with the passphrase ``right``."""
    made = MemoryBackend()
    SealedBackend(made, FakeContext(tmp_path, passphrases=["right"]), Capability.NONE).put("a/b", Secret("x"))
    return made.kept[SLOTS_KEY]


def test_a_table_that_arrives_after_ours(tmp_path: Path, other: Any) -> None:
    inner = Overtaken(other)
    store = SealedBackend(inner, FakeContext(tmp_path, passphrases=["right"]), Capability.NONE)
    store.put("credentials/a", Secret("one"))
    again = SealedBackend(inner, FakeContext(tmp_path, passphrases=["right"]), Capability.NONE)
    assert inner.kept[SLOTS_KEY] == other
    assert again.get("credentials/a").value == Secret("one")
    assert store.get("credentials/a").value == Secret("one")


def test_with_another_passphrase_it_is_not_acknowledged(tmp_path: Path, other: Any) -> None:
    store = SealedBackend(Overtaken(other), FakeContext(tmp_path, passphrases=["mine"]), Capability.NONE)
    with pytest.raises(WrongSecret):
        store.put("credentials/a", Secret("one"))


def test_who_has_to_wait_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(sealed, "_PATIENCE", 0.2)
    context = FakeContext(tmp_path, passphrases=["right"])
    context.state_dir.mkdir()
    inner = MemoryBackend()
    with FileLock(context.state_dir / "slots.lock"), pytest.raises(StorageUnavailable, match="making a store"):
        SealedBackend(inner, context, Capability.NONE).put("a/b", Secret("x"))
    assert inner.kept == {}


def test_a_folder_that_cannot_be_locked_is_told_and_no_reason_to_refuse(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, passphrases=["right"])
    context.state_dir.write_text("a file in the place of the folder")
    store = SealedBackend(MemoryBackend(), context, Capability.NONE)
    store.put("a/b", Secret("x"))
    assert store.get("a/b").value == Secret("x")
    assert ["cannot be locked" in note for note in context.notes] == [True]


def test_a_backend_that_compares_needs_no_lock(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, passphrases=["right"])
    SealedBackend(MemoryBackend(), context, Capability.CAS).put("a/b", Secret("x"))
    assert not context.state_dir.exists()


@pytest.mark.parametrize("able", [Capability.CREATE_ONLY, Capability.CAS], ids=["create-only", "check-and-set"])
def test_a_backend_that_knows_absent_lets_one_machine_win(tmp_path: Path, able: Any) -> None:
    """Our table arrives when another machine's, and its first value, are there."""
    inner = MemoryBackend()
    theirs = SealedBackend(inner, FakeContext(tmp_path / "theirs", passphrases=["right"]), able)

    class Late(MemoryBackend):
        def put(self, key: Any, value: Any, **expect: Any) -> Any:
            if key == SLOTS_KEY:
                theirs.put("credentials/a", Secret("one"))
            return super().put(key, value, **expect)

    late = Late()
    late.kept = inner.kept
    ours = SealedBackend(late, FakeContext(tmp_path / "ours", passphrases=["right"]), able)
    ours.put("credentials/b", Secret("two"))
    for store in (theirs, ours):
        assert [store.get(f"credentials/{name}").value for name in "ab"] == [Secret("one"), Secret("two")]
