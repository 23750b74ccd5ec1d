"""Parts of the outside world that a test needs and that a machine may lack.

An absent part skips the tests that need it, with its reason, and the run ends with a table of what was absent.
Under ``AWSV_REQUIRE_ALL=1`` an absent part is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import pytest

T = TypeVar("T")


@dataclass
class Absent:
    """A part that was looked for and not found."""

    how: str
    tests: int = 0


_absent: dict[str, Absent] = {}


def need(name: str, found: T | None, *, how: str) -> T:
    """``found``, or the end of this test.

    :param name: what the part is called in the table.
    :param found: the part; None where it is absent.
    :param how: how to get it, or why it could not be had.
    """
    if found is not None:
        return found
    _absent.setdefault(name, Absent(how)).tests += 1
    if os.environ.get("AWSV_REQUIRE_ALL") == "1":
        pytest.fail(f"absent part: {name} ({how})", pytrace=False)
    pytest.skip(f"absent part: {name} ({how})")


def summary() -> Sequence[str]:
    """The table of absent parts, one line each; empty if nothing was absent."""
    width = max(map(len, _absent), default=0)
    return [f"{name:<{width}}  {part.tests:>3} tests  {part.how}" for name, part in sorted(_absent.items())]
