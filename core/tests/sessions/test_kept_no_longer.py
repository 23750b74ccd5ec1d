"""How long the engine has a session kept, whatever its issuer says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import Credentials, Secret
from vault_core.asking import RunState
from vault_core.sessions.cache import LONGEST, SKEW, Cache
from vault_core.sessions.engine import Engine
from vault_core.sessions.plan import SessionStep
from vault_core.sessions.singleflight import SingleFlight
from vault_core.settings import Settings


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [({"duration_seconds": 3600}, 3600), ({"duration_seconds": "soon"}, LONGEST), ({}, LONGEST)],
)
def test_a_session_that_ends_in_2099_is_kept_for_as_long_as_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: Mapping[str, Any], seconds: int
) -> None:
    forged = Credentials(
        access_key_id="ASIA",
        secret_access_key=Secret("s"),
        session_token=Secret("t"),
        expires=datetime(2099, 1, 1, tzinfo=UTC),
    )
    # The provider alone is no real one: none that we have would say so.
    monkeypatch.setattr(Engine, "_issue", lambda *_: forged)
    (tmp_path / "run").mkdir(mode=0o700)
    cache = Cache(Settings({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}))
    flights = SingleFlight(tmp_path / "flights", 5, foreground=True, sign=cache.name)
    host: Any = SimpleNamespace(state=RunState())
    engine = Engine(host, SimpleNamespace(), cache, flights)  # type: ignore[arg-type]  # no profile is looked up
    engine.obtain(SessionStep("sts", "work", parameters, None, "key"))
    kept = cache.get("key")
    assert kept is not None
    assert kept.credentials.expires is not None
    late = datetime.now(UTC) + timedelta(seconds=seconds + SKEW)
    assert late - timedelta(seconds=30) < kept.credentials.expires <= late
