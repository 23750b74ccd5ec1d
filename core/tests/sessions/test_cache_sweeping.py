"""What the session cache gives out and counts in the moment a session ends, and what it leaves and removes."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vault_core.api import Credentials, Secret
from vault_core.sessions.cache import LONGEST, SKEW, Cache, Dropped, Session
from vault_core.settings import Settings


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return other(tmp_path)


def other(root: Path) -> Cache:
    """The same files, as another process has them."""
    (root / "run").mkdir(mode=0o700, exist_ok=True)
    return Cache(Settings({"HOME": str(root), "XDG_RUNTIME_DIR": str(root / "run")}))


def session(left: float = 3600) -> Session:
    now = datetime.now(UTC)
    credentials = Credentials(
        access_key_id="ASIA",
        secret_access_key=Secret("s"),
        session_token=Secret("t"),
        expires=now + timedelta(seconds=left),
    )
    return Session(credentials, now, "sts.GetSessionToken", ("work",))


def later(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time() + seconds
    monkeypatch.setattr(time, "time", lambda: now)


def folder(root: Path) -> Path:
    return Settings({"HOME": str(root)}).state_dir / "sessions"


@pytest.mark.parametrize(("seconds", "got"), [(3599, True), (3601, False)])
def test_a_session_made_meanwhile_is_given_out_as_long_as_it_lives(
    seconds: float, got: bool, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session()
    cache.put("key", made)
    later(seconds, monkeypatch)
    assert (cache.get("key", made_since=made.issued) is not None) is got
    assert cache.get("key", made_since=made.issued + timedelta(seconds=1)) is None


def test_a_session_that_has_ended_is_dropped_and_not_counted(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put("long", session(7200))
    cache.put("short", session(3600))
    later(3601, monkeypatch)
    assert cache.drop("work") == Dropped(1, 0)
    assert cache.drop() == Dropped(0, 0)


AGES = [(SKEW + 60, True), (LONGEST + SKEW - 60, True), (LONGEST + SKEW + 60, False)]


@pytest.mark.parametrize(("age", "stays"), AGES)
def test_a_session_of_another_login_stays_until_every_one_of_its_age_has_ended(
    age: float, stays: bool, cache: Cache, tmp_path: Path
) -> None:
    cache.put("key", session())
    theirs = folder(tmp_path) / f"{'0' * 64}.session"
    theirs.write_bytes(b"sealed by another key")
    os.utime(theirs, (time.time() - age,) * 2)
    other(tmp_path).put("key", session())
    assert theirs.exists() is stays


def test_what_a_killed_writer_left_goes(cache: Cache, tmp_path: Path) -> None:
    cache.put("key", session())
    left = folder(tmp_path) / ".x.session.1.aa.tmp"
    left.touch()
    os.utime(left, (time.time() - 3600,) * 2)
    other(tmp_path).put("key", session())
    assert not left.exists()


# -- the time of a session's file --------------------------------------------------------------------------------------


def at(root: Path, seconds: float) -> Path:
    """Give the only session's file a time so many seconds from now, as whoever writes into the folder can."""
    [path] = folder(root).glob("*.session")
    os.utime(path, (time.time() + seconds,) * 2)
    return path


def test_the_file_has_the_end_of_its_session_as_its_time(cache: Cache, tmp_path: Path) -> None:
    kept = session(7200)
    cache.put("key", kept)
    [path] = folder(tmp_path).glob("*.session")
    assert kept.credentials.expires is not None
    assert path.stat().st_mtime == pytest.approx(kept.credentials.expires.timestamp(), abs=0.01)


@pytest.mark.parametrize("seconds", [-LONGEST - SKEW - 3600, -1, 7200, LONGEST + SKEW + 3600])
def test_a_live_session_stays_and_is_served_whatever_the_time_of_its_file(
    seconds: float, cache: Cache, tmp_path: Path
) -> None:
    cache.put("key", session())
    path = at(tmp_path, seconds)
    other(tmp_path).put("another", session())
    assert path.exists()
    assert other(tmp_path).get("key") is not None


@pytest.mark.parametrize(("seconds", "stays"), [(-1, False), (3600, True), (LONGEST + SKEW + 3600, False)])
def test_a_session_that_has_ended_is_not_served_whatever_the_time_of_its_file(
    seconds: float, stays: bool, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gives it a later time can keep the file there, as with a copy of it, and nobody serves it."""
    made = session()
    cache.put("key", made)
    later(3601, monkeypatch)
    path = at(tmp_path, seconds)
    assert other(tmp_path).get("key", made_since=made.issued) is None
    assert list(other(tmp_path).sessions()) == []
    other(tmp_path).put("another", session())
    assert path.exists() is stays


@pytest.mark.parametrize("size", [0, 16, 31])
def test_a_key_that_is_cut_off_is_made_anew(size: int, cache: Cache, tmp_path: Path) -> None:
    """16 bytes would be a key as well, of another kind of AES."""
    cache.put("key", session())
    [key] = tmp_path.rglob("session.key")
    whole = key.read_bytes()
    key.write_bytes(whole[:size])
    again = other(tmp_path)
    assert again.get("key") is None
    again.put("key", session())
    assert len(key.read_bytes()) == 32
    assert key.read_bytes() != whole
    assert other(tmp_path).get("key") is not None
