"""How keys are described to people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from vault_core.api import AccessKey, KeyUse


def described(key: AccessKey, notes: Iterable[str] = ()) -> str:
    """``AKIA… (active, created 2026-01-02, last used 2026-03-04 for s3)``."""
    state = "active" if key.active else "inactive"
    parts = [state, f"created {key.created:%Y-%m-%d %H:%M} UTC", last_use(key.last_use), *notes]
    return f"{key.id} ({', '.join(parts)})"


def last_use(use: KeyUse | None) -> str:
    """When a key was last used."""
    if use is None:
        return "last use not known"
    if use.at is None:
        return "never used"
    return f"last used {use.at:%Y-%m-%d %H:%M} UTC for {use.service or 'an unknown service'}"


def age(created: datetime, now: datetime | None = None) -> str:
    """``3 days``, ``5 hours``: the largest unit that fits."""
    spent = max((now or datetime.now(UTC)) - created, timedelta())
    if spent.days:
        return f"{spent.days} day{'s' if spent.days > 1 else ''}"
    hours = spent.seconds // 3600
    return f"{hours} hour{'s' if hours > 1 else ''}" if hours else f"{spent.seconds // 60} min"
