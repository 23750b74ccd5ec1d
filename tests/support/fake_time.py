"""A clock in place of a module's ``time``: it goes on where the module sleeps, and a little with each look."""

from __future__ import annotations

import time


class FakeTime:
    """What a module uses of ``time``, and how long it slept each time."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        self.now += 0.001  # so that a loop without a pause ends, too
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def time(self) -> float:
        return time.time()
