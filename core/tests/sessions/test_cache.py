"""The session cache by itself: what is kept, and for how long it is good."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vault_core.api import Credentials, Secret
from vault_core.errors import ConfigError
from vault_core.sessions import cache as cache_module
from vault_core.sessions.cache import Cache, Session
from vault_core.settings import Settings
from vault_core.testing.clock import FakeClock


def cache(root: Path, **environ: str) -> Cache:
    (root / "run").mkdir(mode=0o700, exist_ok=True)
    return Cache(Settings({"HOME": str(root), "XDG_RUNTIME_DIR": str(root / "run"), **environ}))


def session(
    *,
    ago: float = 0,
    left: float = 3600,
    profiles: tuple[str, ...] = ("work",),
    token: str = "t",
    now: datetime | None = None,
) -> Session:
    now = now or datetime.now(UTC)
    credentials = Credentials(
        access_key_id="ASIA",
        secret_access_key=Secret("secret"),
        session_token=Secret(token),
        expires=now + timedelta(seconds=left),
    )
    return Session(credentials, now - timedelta(seconds=ago), "sts.GetSessionToken", profiles)


def test_what_is_put_is_got(tmp_path: Path) -> None:
    put = session(profiles=("a", "ü\n"))
    cache(tmp_path).put("key", put)
    got = cache(tmp_path).get("key")
    assert got is not None
    assert (got.credentials, got.kind, got.profiles) == (put.credentials, put.kind, put.profiles)
    assert cache(tmp_path).get("another") is None


def test_a_long_token_is_kept(tmp_path: Path) -> None:
    """Session tokens have no limit that AWS promises; 4,096 characters were seen."""
    cache(tmp_path).put("key", session(token="t" * 20_000))
    got = cache(tmp_path).get("key")
    assert got is not None
    assert got.credentials.session_token == Secret("t" * 20_000)


def test_a_stored_key_is_never_kept(tmp_path: Path) -> None:
    endless = Credentials(access_key_id="AKIA", secret_access_key=Secret("s"))
    cache(tmp_path).put("key", Session(endless, datetime.now(UTC), "stored key", ()))
    assert list(tmp_path.rglob("*.session")) == []


@pytest.fixture
def standing(fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The cache's clock, which stands still."""
    monkeypatch.setattr(cache_module, "time", fake_clock)
    return fake_clock


@pytest.mark.parametrize(
    ("ago", "left", "usable"),
    [
        (0, 3600, True),
        (3600 - 961, 961, True),
        (3600 - 960, 960, False),
        (449, 451, True),
        (450, 450, False),
        (0, 0, False),
        (3600, -5, False),
    ],
)
def test_the_rule(ago: float, left: float, usable: bool, standing: FakeClock) -> None:
    assert session(ago=ago, left=left, now=standing.now()).usable(None) is usable


@pytest.mark.parametrize(("minimum", "usable"), [(0, True), (99, True), (100, False), (-5, True)])
def test_a_minimum_of_ones_own(minimum: float, usable: bool, standing: FakeClock) -> None:
    assert session(ago=3500, left=100, now=standing.now()).usable(minimum) is usable


def test_what_was_made_just_now_is_good_however_short(tmp_path: Path) -> None:
    ours = cache(tmp_path, AWS_MIN_TTL="20h")
    ours.put("key", session(ago=60))
    assert ours.get("key") is None
    assert ours.get("key", made_since=datetime.now(UTC) - timedelta(seconds=90)) is not None
    assert ours.get("key", made_since=datetime.now(UTC) - timedelta(seconds=30)) is None
    ours.put("key", session(ago=60, left=-1))
    assert ours.get("key", made_since=datetime.now(UTC) - timedelta(seconds=90)) is None


@pytest.mark.parametrize("environ", [{"AWS_MIN_TTL": "soon"}, {"AWS_VAULT_SESSION_CACHE": "store"}])
def test_what_makes_no_sense(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(environ))):
        cache(tmp_path, **environ)


def test_drop(tmp_path: Path) -> None:
    ours = cache(tmp_path)
    ours.put("1", session(profiles=("user",)))
    ours.put("2", session(profiles=("user", "role")))
    ours.put("3", session(profiles=("other",)))
    assert ours.drop("role") == 1
    assert {one.profiles for one in ours.sessions()} == {("user",), ("other",)}
    assert ours.drop("user") == 1
    assert ours.drop() == 1
    assert list(ours.sessions()) == []


def test_a_session_that_has_ended_is_not_listed_and_goes(
    tmp_path: Path, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = cache(tmp_path)
    fake_clock.advance(datetime.now(UTC).timestamp() - fake_clock.time())
    monkeypatch.setattr(cache_module, "time", fake_clock)
    ours.put("old", session(left=60))
    assert len(list(ours.sessions())) == 1
    fake_clock.advance(61)
    assert list(ours.sessions()) == []
    assert len(list(tmp_path.rglob("*.session"))) == 1
    ours.put("new", session())
    assert len(list(tmp_path.rglob("*.session"))) == 1


def test_a_file_renamed_to_another_step_is_not_served(tmp_path: Path) -> None:
    ours = cache(tmp_path)
    ours.put("admin", session())
    [file] = tmp_path.rglob("*.session")
    file.rename(file.with_name(ours.name("harmless") + ".session"))
    assert ours.get("harmless") is None


def test_many_processes_agree_on_one_key(tmp_path: Path) -> None:
    names: set[str] = set()
    barrier = threading.Barrier(8)

    def work() -> None:
        ours = cache(tmp_path)
        barrier.wait()
        names.add(ours.name("step"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 1
    assert [path.name for path in (tmp_path / "run/awsv").iterdir()] == ["session.key"]


def test_the_key_is_not_followed_through_a_link(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    known = tmp_path / "known"
    known.write_bytes(b"k" * 32)
    known.chmod(0o600)
    (tmp_path / "run/awsv").mkdir(mode=0o700, parents=True)
    (tmp_path / "run").chmod(0o700)
    (tmp_path / "run/awsv/session.key").symlink_to(known)
    cache(tmp_path).put("key", session())
    assert list(tmp_path.rglob("*.session")) == []
    assert "sessions are not kept" in capfd.readouterr().err
