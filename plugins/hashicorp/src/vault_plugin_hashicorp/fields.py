"""What is in the JSON of an answer, whoever made it: of another type than it should be, it is not there."""

from __future__ import annotations

from typing import Any

_LONGEST_LIFE = 1e10
"""Seconds: no token lives for three hundred years."""


def text(found: dict[str, Any], name: str) -> str:
    """A text in an object of an answer; empty where there is none."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


def seconds(found: dict[str, Any], name: str) -> float:
    """A time in an object of an answer; 0 where there is none that makes sense."""
    value = found.get(name)
    return value if isinstance(value, int | float) and 0 < value < _LONGEST_LIFE else 0


def inner(found: dict[str, Any], name: str) -> dict[str, Any]:
    """An object in an object of an answer; empty where there is none."""
    value = found.get(name)
    return value if isinstance(value, dict) else {}
