"""``make bench``: what the file store costs: unlocking by each kind of slot, then get, put and list by its size.

A round runs a process that opens a store of each size (``one_store.py``) and, right before each, ``python -c pass``.
The same work is timed inside of one process, too, where the interpreter's start hides nothing; the store is opened
anew each time. Stores are opened through a key slot, so nothing is derived from a passphrase. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import one_store
from figures import line, progress, quartiles, ratio

from vault_core import vlt
from vault_core.api import Secret
from vault_core.keyslots import new_slot
from vault_core.keyslots.unlock import open_table
from vault_core.vlt.derive import slot_key
from vault_testkit.context import FakeContext

SIZES = (10, 100, 1000, 10_000)
ACTIONS = ("get", "put", "list")
BOUND = 1.5
"""How many times what it costs among 10 entries a get may cost among 1,000."""
PASSPHRASE = "only for this benchmark"
KDFS: Mapping[str, Mapping[str, Any]] = {
    "argon2id, as new slots get it": {},
    "argon2id, the least that is accepted": {"alg": "argon2id", "m": 19_456, "t": 2, "p": 1},
    "scrypt N=2^17, r=8, p=1": {"alg": "scrypt", "n": 2**17, "r": 8, "p": 1},
    "pbkdf2-sha256, 600,000 rounds": {"alg": "pbkdf2-sha256", "rounds": 600_000},
}


# -- unlocking ---------------------------------------------------------------------------------------------------------


def ways(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each kind of slot, and a function that opens it."""
    ctx = FakeContext(folder, passphrases=[PASSPHRASE])
    identity, dek = os.urandom(16), Secret(os.urandom(32))
    for text, kdf in KDFS.items():
        full = {**kdf, "salt": vlt.to_base64(os.urandom(16))} if kdf else vlt.Argon2id().to_json()
        head = {"id": os.urandom(8).hex(), "kdf": full, "label": "", "type": "passphrase"}
        slot = vlt.Slot.wrapped(head, slot_key(identity, head, Secret(PASSPHRASE)), dek)
        yield f"passphrase: {text}", partial(open_table, ctx, vlt.SlotTable(identity, (slot,)), "it")
    kept = new_slot.key(identity, ctx, "keychain").wrap(dek)
    yield "key slot", partial(open_table, ctx, vlt.SlotTable(identity, (kept,)), "it")
    new, key = new_slot.recovery(identity)
    yield "recovery key", partial(vlt.SlotTable(identity, (new.wrap(dek),)).open_by_recovery, key, "it")


def unlocking(folder: Path, rounds: int) -> None:
    """Measure and print the first table."""
    opened = dict(ways(folder))
    taken: dict[str, list[float]] = {text: [] for text in opened}
    for number in range(rounds):
        progress(f"unlocking: round {number + 1} of {rounds}")
        for text, act in opened.items():
            start = time.perf_counter()
            act()
            taken[text].append(time.perf_counter() - start)
    progress("")
    print(line("Unlocking, in process", "median ms", "quartiles", ""))
    for text, seconds in taken.items():
        low, middle, high = quartiles(seconds)
        print(line(text, f"{middle:.2f}", f"{low:.2f}-{high:.2f}", ""))


# -- get, put, list ----------------------------------------------------------------------------------------------------


def child(*arguments: str) -> tuple[float, str]:
    """Run the interpreter in a clean environment; its seconds, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"bench failed: {done.stderr or done.stdout}")
    return taken, done.stdout


class Measured:
    """One action on a store of one size.

    :param size: its entries.
    """

    def __init__(self, root: Path, size: int, action: str) -> None:
        self.size = size
        self.action = action
        self._command = (one_store.__file__, str(root / str(size)), action)
        self.whole: list[float] = []
        self.baselines: list[float] = []
        self.inside: list[float] = []
        self.memory = 0

    def round(self) -> None:
        """A process that does nothing, one that does it once, one that does it often."""
        self.baselines.append(child("-c", "pass")[0])
        taken, printed = child(*self._command, "1")
        self.whole.append(taken)
        self.memory = max(self.memory, json.loads(printed)["memory"])
        repeat = 5 if self.size == SIZES[-1] else 20
        self.inside.append(statistics.median(json.loads(child(*self._command, str(repeat))[1])["seconds"]))

    def row(self, size: int) -> str:
        low, middle, high = quartiles(self.whole)
        inside = f"{statistics.median(self.inside) * 1000:.2f}"
        slower = f"{ratio(self.whole, self.baselines):.2f}"
        text = f"{self.action} among {self.size:,}"
        memory = f"{self.memory / 1024:.0f} MiB"
        return line(text, f"{middle:.0f}", f"{low:.0f}-{high:.0f}", slower, inside, memory, f"{size:,}")


def in_turns(root: Path) -> float:
    """How many times what a get among 10 entries takes one among 1,000 takes, both in one process, in turns."""
    printed = json.loads(child(one_store.__file__, str(root / "10"), "get", "50", str(root / "1000"))[1])
    return ratio(printed["others"][0], printed["seconds"])


def by_size(root: Path, rounds: int) -> None:
    """Measure and print the second table, and the ratio that has a bound."""
    bytes_of = {}
    for size in SIZES:
        (root / str(size)).mkdir()
        bytes_of[size] = one_store.make(root / str(size), size)
    measured = [Measured(root, size, action) for action in ACTIONS for size in SIZES]
    turns: list[float] = []
    for number in range(rounds):
        progress(f"sizes: round {number + 1} of {rounds}")
        for entry in measured:
            entry.round()
        turns.append(in_turns(root))
    progress("")
    low, middle, high = quartiles([second for entry in measured for second in entry.baselines])
    print("\n" + line("Key slot, no derivation", "median ms", "quartiles", "ratio", "in process ms", "memory", "file"))
    print(line("python -c pass", f"{middle:.0f}", f"{low:.0f}-{high:.0f}", "1.00"))
    for entry in measured:
        print(entry.row(bytes_of[entry.size]))
    few, many = (next(e for e in measured if (e.action, e.size) == ("get", size)) for size in (10, 1000))
    print(f"\nA get among 1,000 entries, beside one among 10 (at most {BOUND}):")
    for text, found in (
        ("whole process", ratio(many.whole, few.whole)),
        ("in process", ratio(many.inside, few.inside)),
    ):
        print(f"  {text:<14} {found:.2f}  {'within' if found <= BOUND else 'ABOVE the bound'}")


def main() -> int:
    parser = argparse.ArgumentParser(description="What the file store costs.")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s; at least 2")
    rounds = max(parser.parse_args().rounds, 2)
    print(f"\nThe file store, Python {sys.version.split()[0]}, {rounds} rounds\n")
    with tempfile.TemporaryDirectory(prefix="awsv-bench-") as folder:
        unlocking(Path(folder), rounds)
        by_size(Path(folder), rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
