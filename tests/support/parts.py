"""Parts of the outside world that a test needs and that a machine may lack.

An absent part skips the tests that need it, with its reason, and the run ends with a table of what was absent.
Under ``AWSV_REQUIRE_ALL=1`` an absent part is a failure.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")

_TOLD = re.compile(r"absent part: (?P<name>.+?) \((?P<how>.+)\)")


def need(name: str, found: T | None, *, how: str) -> T:
    """``found``, or the end of this test.

    :param name: what the part is called in the table.
    :param found: the part; None where it is absent.
    :param how: how to get it, or why it could not be had.
    """
    if found is not None:
        return found
    if os.environ.get("AWSV_REQUIRE_ALL") == "1":
        pytest.fail(f"absent part: {name} ({how})", pytrace=False)
    pytest.skip(f"absent part: {name} ({how})")


def miss(name: str, *, how: str) -> NoReturn:
    """End a test whose rest needs a part that the installers of a CI machine do not have: listed, and not required.

    :param name: what the part is called in the table.
    :param how: where it comes from.
    """
    pytest.skip(f"absent part: {name} ({how})")


def summary(reasons: Iterable[str]) -> list[str]:
    """The table of absent parts, one line each; empty if nothing was absent.

    :param reasons: why tests were skipped or failed, as their reports say. (A count kept here would be the count of one
        process of many.)
    """
    absent = Counter(found.group("name", "how") for reason in reasons if (found := _TOLD.search(reason)))
    width = max((len(name) for name, _ in absent), default=0)
    return [f"{name:<{width}}  {tests:>3} tests  {how}" for (name, how), tests in sorted(absent.items())]
