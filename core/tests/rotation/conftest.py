"""A clock for the simulation."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.rotation import aws, rotate


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Have a world's clock count: what sleeps moves it on."""

    def use(world: Any) -> Any:
        def sleep(seconds: float) -> None:
            world.now += seconds

        fake = SimpleNamespace(time=lambda: world.now, monotonic=lambda: world.now, sleep=sleep)
        monkeypatch.setattr(aws, "time", fake)
        monkeypatch.setattr(rotate, "time", fake)
        return world

    assert time.time() > 0
    return use
