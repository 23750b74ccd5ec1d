"""Single flight inside one process: a folder of flights, leaders, and the authentication code of their records."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

from vault_core.sessions.singleflight import Flight, SingleFlight


def sign(text: str) -> str:
    return hmac.new(b"the cache's", text.encode(), hashlib.sha256).hexdigest()


def flights(folder: Path, *, foreground: bool = False) -> SingleFlight:
    return SingleFlight(folder, 5, foreground=foreground, sign=sign)


def one(folder: Path) -> Flight:
    return Flight(folder / "step", sign)


def nothing() -> str | None:
    return None


def network_failure(error: BaseException) -> Callable[[Flight], str]:
    """A leader that fails with this after it has asked AWS."""

    def lead(led: Flight) -> str:
        led.phase("network")
        raise error

    return lead


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)
