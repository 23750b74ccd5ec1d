"""Limits in seconds for a machine that has other things to do: a limit says how long an idle one may take.

For how long something may take at most, never for how long a test waits or lets something live: a busy machine would
make itself busier. What has to grow old has its clock put on, and what never comes gets a limit of its own.
"""

from __future__ import annotations

import os


def seconds(limit: float) -> float:
    """The limit, times the processes that wait for each processor (at least 1), and doubled where others do."""
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return limit * (2 * waiting if waiting > 1 else 1)
