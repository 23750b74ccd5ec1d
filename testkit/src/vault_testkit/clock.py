"""A clock that only a test moves."""

from datetime import UTC, datetime


class FakeClock:
    """Stands in for the module :mod:`time` (``monkeypatch.setattr(plugin, "time", FakeClock())``).

    :param now: seconds since 1970; :meth:`monotonic` starts at 0.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._began = self._now = now

    def time(self) -> float:
        """Seconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._now - self._began

    def now(self) -> datetime:
        """The same moment, aware, in UTC."""
        return datetime.fromtimestamp(self._now, UTC)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Return at once; the time has passed."""
        self.advance(seconds)
