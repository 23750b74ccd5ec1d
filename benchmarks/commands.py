"""``make bench``: how long whole commands take, each beside a run of ``python -c pass``.

A round runs every command once, right after a ``python -c pass`` of the same interpreter, so what slows the machine
down meanwhile slows both. The ratio is the median of the rounds' own ratios. AWS is a moto server on this machine, so
an uncached session costs what awsv, the SDK and the key derivation cost, and no network. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from figures import line, progress, quartiles, ratio
from machine import ADMIN, REGION, Failed, Machine

PASSPHRASE = {"AWS_VAULT_FILE_PASSPHRASE": "only for this benchmark"}
BASELINE = f"exec {shlex.quote(sys.executable)} -c pass"


@dataclass
class Measured:
    """A command line, and the seconds that it and its baseline took in each round."""

    name: str
    command: str
    prepare: Callable[[], object] = lambda: None
    """What has to be so before each round; not measured."""
    locked: bool = False
    """Without a passphrase."""
    seconds: list[float] = field(default_factory=list)
    baselines: list[float] = field(default_factory=list)

    def round(self, machine: Machine) -> None:
        """Run the baseline and the command once."""
        self.prepare()
        self.baselines.append(machine.run(BASELINE).seconds)
        self.seconds.append(machine.run(f"exec {self.command}", env=None if self.locked else PASSPHRASE).seconds)

    def row(self) -> str:
        """Median, its quartiles, and the ratio."""
        low, middle, high = quartiles(self.seconds)
        slower = ratio(self.seconds, self.baselines)
        return line(self.name, f"{middle:.0f}", f"{low:.0f}-{high:.0f}", f"{slower:.2f}")


def prepared(machine: Machine) -> list[Measured]:
    """Store a key, and say what is measured."""
    machine.config.write_text(f"[profile work]\nregion = {REGION}\n\n[profile cold]\nregion = {REGION}\n")
    machine.run("aws iam create-user --user-name work", env=ADMIN)
    for name in ("work", "cold"):
        key = "aws iam create-access-key --user-name work"
        machine.run(f"{key} | awsv add {name}", env={**ADMIN, **PASSPHRASE})
    machine.run("awsv exec -j work", env=PASSPHRASE)
    return [
        Measured("awsv --version", "awsv --version"),
        Measured("awsv list, locked", "awsv list", locked=True),
        Measured("awsv list, unlocked by the environment", "awsv list"),
        Measured("awsv exec -j, cached", "awsv exec -j work", locked=True),
        Measured("awsv exec -j, uncached", "awsv exec -j cold", prepare=lambda: machine.run("awsv clear cold")),
    ]


def derivation(rounds: int) -> list[float]:
    """Seconds that deriving a key from the passphrase takes with a new store's cost."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    from vault_core.keyslots.new_slot import DEFAULT_COST as COST

    taken = []
    for _ in range(rounds):
        kdf = Argon2id(salt=bytes(16), length=32, iterations=COST.passes, lanes=COST.lanes, memory_cost=COST.memory)
        start = time.perf_counter()
        kdf.derive(b"only for this benchmark")
        taken.append(time.perf_counter() - start)
    return taken


def report(measured: list[Measured], derived: list[float]) -> None:
    """Print the table."""
    rounds = len(derived)
    print(f"\nPython {sys.version.split()[0]}, {rounds} rounds, editable installs; each ratio is to its own baseline\n")
    print(line("", "median ms", "quartiles", "ratio"))
    low, middle, high = quartiles([second for entry in measured for second in entry.baselines])
    print(line("python -c pass", f"{middle:.0f}", f"{low:.0f}-{high:.0f}", "1.00"))
    for entry in measured:
        print(entry.row())
    unlock = statistics.median(derived) * 1000
    uncached = statistics.median(measured[-1].seconds) * 1000
    print(f"\nUnlocking derives a key (Argon2id): {unlock:.0f} ms, {unlock / uncached:.0%} of an uncached exec -j.")
    print("A cached one derives none and calls nobody.")


def main() -> int:
    parser = argparse.ArgumentParser(description="How long whole commands take, beside python -c pass.")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s; at least 2")
    rounds = max(parser.parse_args().rounds, 2)
    machine = Machine()
    try:
        measured = prepared(machine)
        derived = []
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for entry in measured:
                entry.round(machine)
            derived += derivation(1)
        progress("")
        report(measured, derived)
    except Failed as error:
        print(f"bench failed: {error}", file=sys.stderr)
        return 1
    finally:
        machine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
