"""The one serialisation of results to JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vault_core.cli.render import to_json
from vault_core.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    at: datetime | None
    error: ConfigError | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    origin: str = field(metadata={"json": "from"})
    facts: Mapping[str, Any] = field(metadata={"inline": True})
    inner: Sequence[Inner] = ()


def test_to_json_keeps_the_order_of_fields_and_their_json_names() -> None:
    moment = datetime(2026, 12, 1, 4, 5, 6, tzinfo=UTC)
    value = Outer("a", "b", {"x": (1, None), "y": True}, (Inner(moment), Inner(None, ConfigError("no", hint="h"))))
    serialised = to_json(value)
    assert list(serialised) == ["name", "from", "x", "y", "inner"]
    assert serialised == {
        "name": "a",
        "from": "b",
        "x": [1, None],
        "y": True,
        "inner": [{"at": "2026-12-01T04:05:06Z", "error": None}, {"at": None, "error": "no"}],
    }


def test_to_json_of_a_list_serialises_its_members() -> None:
    assert to_json([Inner(None)]) == [{"at": None, "error": None}]
