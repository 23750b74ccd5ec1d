"""Typed fields of a JSON response. A field of the wrong type counts as missing."""

from typing import Any

_LONGEST_LIFE = 1e10
"""In seconds, about three hundred years: a longer life of a token is not plausible."""


def text(fields: dict[str, Any], name: str) -> str:
    """A string; empty if it is missing."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def seconds(fields: dict[str, Any], name: str) -> float:
    """A duration in seconds; 0 if it is missing or not plausible."""
    value = fields.get(name)
    return value if isinstance(value, int | float) and 0 < value < _LONGEST_LIFE else 0


def inner(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """An object; empty if it is missing."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
