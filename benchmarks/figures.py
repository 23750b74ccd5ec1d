"""What the benchmarks print: rows of one width, medians with their quartiles, and a line of progress."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence


def quartiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    """In milliseconds."""
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return low * 1000, middle * 1000, high * 1000


def line(name: str, middle: str, spread: str, ratio: str, *further: str) -> str:
    """A row of a table."""
    return f"{name:<50}{middle:>10}{spread:>16}{ratio:>10}" + "".join(f"{text:>14}" for text in further)


def ratio(mine: Sequence[float], others: Sequence[float]) -> float:
    """The median of the rounds' own ratios: what slows the machine down in one round slows both."""
    return statistics.median(one / other for one, other in zip(mine, others, strict=True))


def progress(text: str) -> None:
    """On a terminal: one line, over the last one."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
