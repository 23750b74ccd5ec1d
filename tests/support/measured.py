"""Keeps what coverage has measured in a test process, where ``scripts/coverage`` has it measured."""

from __future__ import annotations

import sys


def pytest_sessionfinish() -> None:
    """Save before xdist ends a worker, which has ten seconds from then on."""
    coverage = sys.modules.get("coverage")
    running = coverage.Coverage.current() if coverage is not None else None
    if running is not None:
        running.stop()
        running.save()
