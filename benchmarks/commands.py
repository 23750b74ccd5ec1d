"""``make bench``: how long whole commands take, each beside a run of ``python -c pass``.

A round runs every command once, right after a ``python -c pass`` of the same interpreter, so what slows the machine
down meanwhile slows both. A ratio is the median of the rounds' own ratios. With ``--base COMMIT`` that commit is built,
too, and takes turns with the checkout. AWS is pretended on this machine (``pretended_aws.py``). Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from figures import progress, ratio
from homes import PASSPHRASE, Aws, Home, Run
from installs import Failed, Install, of_checkout, of_commit
from jobs import AT_200_MS, GROWTH, LIVE, STARTS, Job
from peers import AwsVault

HERDS = (1, 16, 64)


@dataclass
class Measured:
    """A job of one contestant, and what it and its baseline took in each round."""

    job: Job
    home: Home
    runs: list[Run] = field(default_factory=list)
    baselines: list[Run] = field(default_factory=list)

    def round(self) -> None:
        self.job.prepare(self.home)
        self.baselines.append(self.home.run([self.home.install.python, "-c", "pass"]))
        env = PASSPHRASE if self.job.unlocked else None
        self.runs.append(self.home.run([self.home.install.awsv, *self.job.words], env))

    @property
    def ratio(self) -> float:
        """Of the elapsed time."""
        return ratio([run.seconds for run in self.runs], [run.seconds for run in self.baselines])

    @property
    def processor(self) -> float:
        """The ratio of the processor's time."""
        return ratio([run.processor for run in self.runs], [run.processor for run in self.baselines])

    def cells(self) -> list[str]:
        median = statistics.median(run.seconds for run in self.runs)
        memory = max(run.memory for run in self.runs) / 1024
        return [f"{self.ratio:.2f}", f"{self.processor:.2f}", f"{median * 1000:.0f}", f"{memory:.0f}"]


class Homes:
    """The home folders of the installs, made when a job needs one."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root = root
        self._stack = stack
        self._aws: dict[float, Aws] = {}
        self._made: dict[tuple[str, int, int, float, bool], Home] = {}

    def aws(self, delay: float) -> Aws:
        if delay not in self._aws:
            self._aws[delay] = Aws(self._root, delay)
            self._stack.callback(self._aws[delay].close)
        return self._aws[delay]

    def of(self, install: Install, job: Job) -> Home:
        """The home for a job. What forgets sessions has one apart from what needs a live one."""
        key = (install.name, job.profiles, job.sessions, job.delay, job.prepare is Home.forget)
        if key not in self._made:
            progress(f"a home of {job.profiles:,} profiles and {job.sessions:,} sessions for {install.name}")
            home = Home(
                self._root / f"home-{len(self._made)}", install, job.profiles, job.sessions, self.aws(job.delay)
            )
            home.keep()
            self._made[key] = home
        home = self._made[key]
        if job.once:
            home.run([install.awsv, *job.once], PASSPHRASE)
        return home


def measured(homes: Homes, installs: Sequence[Install], jobs: Sequence[Job], rounds: int) -> list[list[Measured]]:
    """For each job what each install took, in turns."""
    rows = [[Measured(job, homes.of(install, job)) for install in installs] for job in jobs]
    for number in range(rounds):
        for row in rows:
            if number % row[0].job.share == 0:
                progress(f"round {number + 1} of {rounds}: {row[0].job.name}")
                for one in row if number % 2 else reversed(row):
                    one.round()
    progress("")
    return rows


# -- what is printed ---------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """In Markdown: the first column is text, the others are numbers."""
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def by_job(rows: Sequence[Sequence[Measured]]) -> Iterator[str]:
    """With a second install: its ratios, too, and the paired ratio of the two."""
    head = ["", "ratio", "of processor time", "ms", "MiB"]
    if len(rows[0]) == 1:
        yield from table(head, [[one.job.name, *one.cells()] for [one] in rows])
        return
    base = rows[0][1].home.install.name
    lines = []
    for new, old in rows:
        by = [
            f"{ratio([getattr(run, what) for run in new.runs], [getattr(run, what) for run in old.runs]):.2f}"
            for what in ("seconds", "processor")
        ]
        lines.append([new.job.name, *new.cells(), *old.cells(), *by])
    yield from table([*head, *(f"{text} ({base})" for text in head[1:]), "new by old", "of processor time"], lines)


def herds(homes: Homes, installs: Sequence[Install]) -> Iterator[str]:
    """Many processes at once, with a live session and with none."""
    live, cold = Job("", LIVE, once=LIVE), Job("", LIVE, prepare=Home.forget)
    rows = []
    for install in installs:
        for number in HERDS:
            progress(f"{number} at once")
            home, empty = homes.of(install, live), homes.of(install, cold)
            base, _ = home.herd([install.python, "-c", "pass"], number)
            warm, failed = home.herd([install.awsv, *LIVE], number)
            empty.forget()
            calls = empty.aws.calls
            made, failed_cold = empty.herd([install.awsv, *LIVE], number, PASSPHRASE)
            figures = [f"{warm:.2f}", f"{warm / base:.1f}", f"{made:.2f}", f"{empty.aws.calls - calls}"]
            rows.append([f"{install.name}: {number}", *figures, f"{failed + failed_cold}"])
    progress("")
    head = ["`exec -j`, so many at once", "live: s", "by as many `python -c pass`", "cold: s", "calls of AWS", "failed"]
    yield from table(head, rows)


DERIVATION = """
import time
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from vault_core.keyslots.new_slot import DEFAULT_COST as COST

kdf = Argon2id(salt=bytes(16), length=32, iterations=COST.passes, lanes=COST.lanes, memory_cost=COST.memory)
start = time.perf_counter()
kdf.derive(b"only for this benchmark")
print(time.perf_counter() - start)
"""
"""In a process of its own: this one stays small, see :attr:`homes.Run.memory`."""


def derivation(python: Path, rounds: int) -> float:
    """The median seconds that deriving a key from the passphrase takes with a new store's cost."""
    command = [str(python), "-c", DERIVATION]
    done = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(rounds)]
    return statistics.median(float(one.stdout) for one in done)


def cold(rows: Sequence[Sequence[Measured]], rounds: int) -> str:
    """The cold session without the derivation of the key."""
    [row] = [row for row in rows if row[0].job.prepare is Home.forget]
    base = statistics.median(run.seconds for run in row[0].baselines)
    whole, derived = (
        statistics.median(run.seconds for run in row[0].runs),
        derivation(row[0].home.install.python, rounds),
    )
    return (
        f"Unlocking derives a key: {derived * 1000:.0f} ms of a cold `exec -j`, which without it takes"
        f" {(whole - derived) / base:.1f} times `python -c pass`.\n"
    )


def many_roles(rows: Sequence[Sequence[Measured]]) -> str:
    one, *others = [statistics.median(run.seconds for run in row[0].runs) for row in rows]
    times = " and ".join(f"{other / one:.2f}" for other in others)
    return f"`ready` of 60 roles takes {times} times one cold session.\n"


def report(homes: Homes, installs: Sequence[Install], rounds: int, peer: Path | None) -> Iterator[str]:
    """The page, by lines."""
    yield "# What awsv costs\n"
    yield (
        "Written by `make bench`. Each command is a whole process of a non-editable install. A *ratio* is to a"
        " `python -c pass` of the same interpreter right before it, and the median of the rounds.\n"
    )
    yield (
        f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, Python {platform.python_version()},"
        f" {rounds} rounds.\n"
    )
    yield "## Starts\n"
    rows = measured(homes, installs, STARTS, rounds)
    yield from by_job(rows)
    yield cold(rows, rounds)
    if peer is not None:
        yield "## aws-vault, in turns with `python -c pass`\n"
        yield from table(["", "ratio"], list(AwsVault(peer, homes.of(installs[0], STARTS[0]), rounds).rows(STARTS)))
    yield "## Growth\n"
    yield from by_job(measured(homes, installs, GROWTH, rounds))
    yield "## Many sessions, AWS at 200 ms\n"
    rows = measured(homes, installs, AT_200_MS, rounds)
    yield from by_job(rows)
    yield many_roles(rows)
    yield "## Many processes\n"
    yield from herds(homes, installs)


def main() -> int:
    parser = argparse.ArgumentParser(description="How long whole commands take, beside python -c pass.")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s; at least 2")
    parser.add_argument("--base", metavar="COMMIT", help="build this commit as well, and let the two take turns")
    parser.add_argument("--aws-vault", metavar="PATH", type=Path, help="the program aws-vault, to be measured as well")
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the page into this file, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="awsv-bench-") as folder, ExitStack() as stack:
        try:
            progress("building and installing the checkout")
            installs = [of_checkout(Path(folder, "checkout"))]
            if options.base:
                progress(f"building and installing {options.base}")
                installs.append(of_commit(Path(folder, "base"), options.base))
            lines = []
            for line in report(Homes(Path(folder), stack), installs, max(options.rounds, 2), options.aws_vault):
                print(line, flush=True)
                lines.append(line)
        except Failed as error:
            print(f"bench failed: {error}", file=sys.stderr)
            return 1
    if options.write:
        options.write.write_text("\n".join(lines).rstrip() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
