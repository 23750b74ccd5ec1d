"""The session cache by itself: what is kept, and for how long it is good."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vault_core import files
from vault_core.api import Credentials, Secret
from vault_core.errors import ConfigError
from vault_core.sessions import cache as cache_module
from vault_core.sessions.cache import LONGEST, SKEW, Cache, Dropped, Session
from vault_core.settings import Settings
from vault_testkit.clock import FakeClock


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
    until = session(ago=ago, left=left, now=standing.now()).served_until(None)
    assert (until > standing.now().timestamp()) is usable


@pytest.mark.parametrize(("minimum", "usable"), [(0, True), (99, True), (100, False), (-5, True)])
def test_a_minimum_of_ones_own(minimum: float, usable: bool, standing: FakeClock) -> None:
    until = session(ago=3500, left=100, now=standing.now()).served_until(minimum)
    assert (until > standing.now().timestamp()) is usable


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


def test_of_two_processes_that_make_the_key_at_once_both_have_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or what the slower one replaces would be a key that sessions are sealed with already."""
    first = b"1" * 32
    path = tmp_path / "run/awsv/session.key"

    def made(count: int) -> bytes:
        monkeypatch.undo()
        files.replace(path, first)  # the other process, at the worst moment
        return b"2" * count

    monkeypatch.setattr("os.urandom", made)
    assert cache(tmp_path)._key == first
    assert path.read_bytes() == first


def test_drop(tmp_path: Path) -> None:
    ours = cache(tmp_path)
    ours.put("1", session(profiles=("user",)))
    ours.put("2", session(profiles=("user", "role")))
    ours.put("3", session(profiles=("other",)))
    assert ours.drop("role") == Dropped(1, 0)
    assert {one.profiles for one in ours.sessions()} == {("user",), ("other",)}
    assert ours.drop("user") == Dropped(1, 0)
    assert ours.drop() == Dropped(1, 0)
    assert list(ours.sessions()) == []


def test_drop_of_a_step_whoever_it_was_made_for(tmp_path: Path) -> None:
    ours = cache(tmp_path)
    ours.put("1", session(profiles=("user", "one")))
    ours.put("2", session(profiles=("user", "two")))
    assert ours.drop("same", ["1", "nothing"]) == Dropped(1, 0)
    assert {one.profiles for one in ours.sessions()} == {("user", "two")}


def test_drop_counts_what_it_cannot_read(tmp_path: Path) -> None:
    cache(tmp_path).put("1", session())
    (tmp_path / "other").mkdir(mode=0o700)
    others = cache(tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "other"))
    others.put("2", session())
    off = cache(tmp_path, AWS_VAULT_SESSION_CACHE="off")
    assert (others.drop("work"), off.drop("work")) == (Dropped(1, 1), Dropped(0, 1))
    (tmp_path / f".local/state/awsv/sessions/{'0' * 64}.session").mkdir()
    assert off.drop() == Dropped(0, 2)
    assert len(list(tmp_path.rglob("*.session"))) == 1, "a folder is none of ours"


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


# -- how long it is kept -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "left", "kept"),
    [(3600, 3600, 3600), (3600, 3900, 3900), (3600, 10**9, 3600 + SKEW), (LONGEST, 10**9, LONGEST + SKEW)],
)
def test_a_session_is_kept_no_longer_than_it_was_asked_for(
    tmp_path: Path, seconds: float, left: float, kept: float
) -> None:
    """An STS that is none may say that it ends in 2099."""
    ours = cache(tmp_path)
    ours.put("key", session(left=left), seconds=seconds)
    got = ours.get("key")
    assert got is not None
    assert got.left() == pytest.approx(kept, abs=5)


# -- where the key lies ------------------------------------------------------------------------------------------------


def key_in_state(root: Path) -> Path:
    return root / ".local/state/awsv/key/session.key"


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a pipe": lambda path: os.mkfifo(path, 0o600),
    "a link": lambda path: path.symlink_to("known"),
    "a folder": lambda path: path.mkdir(),
    "readable": lambda path: (path.write_bytes(b"k" * 32), path.chmod(0o640)),
    "writable": lambda path: (path.write_bytes(b"k" * 32), path.chmod(0o602)),
    "too long": lambda path: (path.write_bytes(b"k" * 33), path.chmod(0o600)),
    "huge": lambda path: (path.touch(0o600), os.truncate(path, 10 << 30)),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_key_is_not_used_and_not_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], hostile: Callable[[Path], object]
) -> None:
    folder = tmp_path / "run/awsv"
    folder.mkdir(mode=0o700, parents=True)
    (tmp_path / "run").chmod(0o700)
    (folder / "known").write_bytes(b"k" * 32)
    (folder / "known").chmod(0o600)
    hostile(folder / "session.key")
    cache(tmp_path).put("key", session())
    assert cache(tmp_path).get("key") is not None
    assert len(key_in_state(tmp_path).read_bytes()) == 32
    assert key_in_state(tmp_path).read_bytes() != b"k" * 32
    assert capfd.readouterr().err.count("\n") == 1


def squatted(root: Path) -> dict[str, str]:
    """What a login without ``XDG_RUNTIME_DIR`` finds where somebody was faster in the temporary folder."""
    (root / "run").mkdir(mode=0o700)
    (root / "run").chmod(0o777)
    return {"XDG_RUNTIME_DIR": str(root / "run")}


def test_without_a_runtime_folder_sessions_are_kept_and_that_is_said_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environ = squatted(tmp_path)
    cache(tmp_path, **environ).put("key", session())
    assert cache(tmp_path, **environ).get("key") is not None
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "stays there after you log out" in said
    assert "run is owned or writable by another user" in said
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (key_in_state(tmp_path), key_in_state(tmp_path).parent)]
    assert modes == [0o600, 0o700]


def test_with_a_runtime_folder_the_key_that_stays_is_not_used(tmp_path: Path) -> None:
    environ = squatted(tmp_path)
    cache(tmp_path, **environ).put("key", session())
    (tmp_path / "run").chmod(0o700)
    assert cache(tmp_path, **environ).get("key") is None


def test_without_any_private_place_nothing_is_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    environ = squatted(tmp_path)
    ours = cache(tmp_path, **environ)
    key_in_state(tmp_path).parent.mkdir(parents=True)
    key_in_state(tmp_path).parent.chmod(0o755)
    ours.put("key", session())
    assert ours.get("key") is None
    assert list(tmp_path.rglob("*.session")) == []
    said = capfd.readouterr().err
    assert "sessions are not kept: " in said
    assert "run is owned or writable by another user; " in said
    assert "key is open to other users (mode 0755)" in said


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        cache(tmp_path).put("key", session())
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path != tmp_path / "run"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}


def test_a_folder_that_another_made_meanwhile_gets_no_session(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ours = cache(tmp_path)
    (tmp_path / ".local/state/awsv").mkdir(parents=True)
    (tmp_path / ".local/state/awsv").chmod(0o777)
    ours.put("key", session())
    assert list(tmp_path.rglob("*.session")) == []
    assert "the session is not kept: " in capfd.readouterr().err
