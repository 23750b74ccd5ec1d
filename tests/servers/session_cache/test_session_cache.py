"""The session cache: what a live session costs, how long it is served, and what hostile or damaged files do."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.home import PROGRAM, Home
from support.moto import ACCOUNT, MotoServer
from support.processes import Processes
from support.recording_proxy import RecordingProxy, held
from support.stored import CODE, MFA, UNLOCKED, add, key_of, leaders, state, until
from support.vaults import store_path
from vault_core.api import Credentials, Secret
from vault_core.sessions.cache import Cache, Session

Start = Callable[..., Processes]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/RoleA"


# -- what a live session costs -----------------------------------------------------------------------------------------

NEVER = ("boto3", "botocore", "hvac", "keyring", "requests", "filelock", "platformdirs", "rich")
DERIVING = "cryptography.hazmat.primitives.kdf"


@pytest.mark.parametrize("words", [["exec", "-j", "role"], ["export", "role"], ["list"], ["--version"]], ids=" ".join)
def test_nothing_heavy_is_imported(live: Home, words: list[str]) -> None:
    done = live.watched(*words, flags=["-X", "importtime"])
    assert done.returncode == 0
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "vault_core.main" in modules
    assert not {name for name in modules if name.partition(".")[0] in NEVER}
    assert not {name for name in modules if name.startswith(DERIVING)}


def test_opening_the_store_would_be_seen(live: Home) -> None:
    done = live.watched("list", "--unlock", flags=["-X", "importtime"], env=UNLOCKED)
    assert f"{DERIVING}.argon2\n" in done.stderr


def test_the_store_is_not_needed(live: Home, front: RecordingProxy) -> None:
    before = key_of(live)
    store_path(live).unlink()
    assert key_of(live) == before
    assert live.awsv("exec", "role", "--", "true").returncode == 0
    assert front.calls == []


def test_a_session_without_a_home_folder_for_it(logged_in: Home, front: RecordingProxy) -> None:
    """``session_cache=off``: nothing is written, everything works."""
    off = {**UNLOCKED, "AWS_VAULT_SESSION_CACHE": "off"}
    assert key_of(logged_in, env=off) != key_of(logged_in, env=off)
    assert front.actions == ["AssumeRole"] * 2
    assert state(logged_in, "sessions") == []
    assert list(logged_in.runtime.iterdir()) == []


def test_files_are_private_and_tell_nothing(live: Home) -> None:
    [session] = state(live, "sessions")
    key = live.runtime / "awsv/session.key"
    for path in (session, key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(key.read_bytes()) == 32
    assert set(session.stem) <= set("0123456789abcdef")
    assert b"ASIA" not in session.read_bytes()


# -- how long a session is served --------------------------------------------------------------------------------------


@pytest.fixture
def aged(live: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Replaces the live session by one that was made so many seconds ago and ends in so many."""
    [path] = state(live, "sessions")
    environ = {name: value for name, value in live.env.items() if name.startswith("XDG_")}
    settings = SimpleNamespace(
        value=lambda _: SimpleNamespace(text="runtime", origin="default"),
        runtime_dir=Path(environ["XDG_RUNTIME_DIR"]) / "awsv",
        state_dir=Path(environ["XDG_STATE_HOME"]) / "awsv",
        environ={},
    )
    cache = Cache(settings)  # type: ignore[arg-type]  # the part of the settings that it reads
    monkeypatch.setattr(cache, "name", lambda _: path.stem)

    def make(ago: float, left: float) -> None:
        now = datetime.now(UTC)
        credentials = Credentials(
            access_key_id="ASIAOLD",
            secret_access_key=Secret("s"),
            session_token=Secret("t"),
            expires=now + timedelta(seconds=left),
        )
        cache.put("any", Session(credentials, now - timedelta(seconds=ago), "sts.AssumeRole", ("work", "role")))

    return make


@pytest.mark.parametrize(
    ("ago", "left", "minimum", "served"),
    [
        pytest.param(1800, 17 * 60, None, True, id="17 minutes left"),
        pytest.param(1800, 15 * 60, None, False, id="15 minutes left: the SDKs come back now"),
        pytest.param(300, 600, None, True, id="a short session, before its half"),
        pytest.param(600, 300, None, False, id="a short session, behind its half"),
        pytest.param(3500, 100, "1m", True, id="100 s left and a minute is enough"),
        pytest.param(1800, 1800, "45m", False, id="half an hour left and it must be more"),
        pytest.param(3599, 30, "0", True, id="to the end"),
        pytest.param(3600, -1, "0", False, id="ended"),
    ],
)
def test_how_long_it_is_served(
    live: Home,
    front: RecordingProxy,
    aged: Callable[[float, float], None],
    ago: float,
    left: float,
    minimum: str | None,
    served: bool,
) -> None:
    aged(ago, left)
    found = key_of(live, env={**UNLOCKED, "AWS_MIN_TTL": minimum})
    assert (found == "ASIAOLD") is served
    assert front.actions == ([] if served else ["AssumeRole"])


def test_a_session_shorter_than_wanted_serves_all_who_wait_for_it(
    logged_in: Home, front: RecordingProxy, start_processes: Start
) -> None:
    """No session is ever long enough for this person; those who wait still share one."""
    env = {**UNLOCKED, "AWS_MIN_TTL": "20h"}
    everybody_waits = threading.Event()
    front.on("AssumeRole", held(everybody_waits), times=1)
    processes = start_processes(logged_in, [[PROGRAM, "exec", "-j", "role"]] * 4, terminal=False, env=env)
    processes.wait_for(3, "waiting for process")
    everybody_waits.set()
    assert len({json.loads(one.stdout)["AccessKeyId"] for one in processes.ended()}) == 1
    assert front.actions == ["AssumeRole"]
    key_of(logged_in, env=env)
    assert front.actions == ["AssumeRole"] * 2


# -- what a session depends on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        ("RoleA", "RoleB"),
        ("source_profile = work\n", "source_profile = work\nduration_seconds = 1800\n"),
        (f"region = eu-west-1\nrole_arn = {ROLE}", f"region = eu-west-2\nrole_arn = {ROLE}"),
        ("source_profile = work\n", "source_profile = second\n"),
        ("source_profile = work\n", f"source_profile = work\nmfa_serial = {MFA}\n"),
    ],
    ids=lambda change: change[1].strip().rpartition("\n")[2],
)
def test_another_config_is_another_session(
    live: Home, moto: MotoServer, front: RecordingProxy, change: tuple[str, str]
) -> None:
    before = key_of(live)
    add(live, moto.alice, "second")
    config = live.config.read_text()
    assert change[0] in config
    live.configure(config.replace(*change))
    done = live.awsv("exec", "-j", "role", "-t", CODE, env=UNLOCKED)
    assert json.loads(done.stdout)["AccessKeyId"] != before
    assert front.actions[-1] == "AssumeRole"
    live.configure(config)
    assert key_of(live) == before


def test_a_new_stored_key_makes_new_sessions(live: Home, moto: MotoServer, front: RecordingProxy) -> None:
    before = key_of(live)
    fresh = moto.create_user(f"alice{time.time_ns()}")
    document = json.dumps({"AccessKeyId": fresh.access_key_id, "SecretAccessKey": fresh.secret_access_key})
    assert live.awsv("add", "work", "--overwrite", input=document, env=UNLOCKED).returncode == 0
    assert state(live, "sessions") == []
    assert key_of(live, env=UNLOCKED) != before
    assert [call.access_key_id for call in front.calls] == [fresh.access_key_id]


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_key_that_changes_during_a_flight(
    logged_in: Home, moto: MotoServer, front: RecordingProxy, change: str, start_processes: Start
) -> None:
    """The session that is being made from the old key is nobody's any more when it is there."""
    changed = threading.Event()
    front.on("AssumeRole", held(changed), times=1)
    flight = start_processes(logged_in, [[PROGRAM, "exec", "-j", "role"]], terminal=False, env=UNLOCKED)
    until(lambda: bool(front.calls), "a call")
    if change == "replaced":
        fresh = moto.create_user(f"alice{time.time_ns()}")
        document = json.dumps({"AccessKeyId": fresh.access_key_id, "SecretAccessKey": fresh.secret_access_key})
        done = logged_in.awsv("add", "work", "--overwrite", input=document, env=UNLOCKED)
    else:
        done = logged_in.awsv("remove", "-f", "work", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert leaders(logged_in), "the flight was over too soon"
    changed.set()
    [old] = flight.ended()
    assert old.code == 0
    if change == "removed":
        done = logged_in.awsv("exec", "-j", "role", env=UNLOCKED)
        assert (done.returncode, done.stdout) == (4, "")
        return
    assert key_of(logged_in, env=UNLOCKED) != json.loads(old.stdout)["AccessKeyId"]
    assert [call.access_key_id for call in front.calls] == [moto.alice.access_key_id, fresh.access_key_id]


# -- clear and list ----------------------------------------------------------------------------------------------------


def test_clear(live: Home, front: RecordingProxy) -> None:
    key_of(live, "work", env=UNLOCKED)
    add(live, SimpleNamespace(access_key_id="AKIAOTHER", secret_access_key="x"), "other")  # type: ignore[arg-type]  # a key
    key_of(live, "other", env=UNLOCKED)
    assert live.awsv("clear", "role").stdout == "Cleared 1 sessions.\n"
    assert live.awsv("clear", "role").stdout == "Cleared 0 sessions.\n"
    assert live.awsv("clear").stdout == "Cleared 2 sessions.\n"
    assert state(live, "sessions") == []


def test_clear_of_a_user_takes_the_roles_behind_it(live: Home) -> None:
    assert live.awsv("clear", "work").stdout == "Cleared 1 sessions.\n"
    assert state(live, "sessions") == []


def test_clear_of_a_profile_that_is_served_from_anothers_session(live: Home, front: RecordingProxy) -> None:
    """The same role, source and region: one session, whoever made it."""
    config = live.config.read_text()
    live.configure(config + "[profile same]" + config.partition("[profile role]")[2])
    before = key_of(live, "same")
    assert key_of(live) == before
    assert front.calls == []
    assert live.awsv("clear", "same").stdout == "Cleared 1 sessions.\n"
    assert key_of(live, "same", env=UNLOCKED) != before


@pytest.mark.parametrize("login", ["another", "none that keeps sessions"])
@pytest.mark.parametrize("words", [["clear", "role"], ["clear", "work"], ["clear"]], ids=" ".join)
def test_clear_reaches_what_it_cannot_read(live: Home, front: RecordingProxy, login: str, words: list[str]) -> None:
    before = key_of(live)
    (live.root / "other").mkdir(mode=0o700)
    other = {"XDG_RUNTIME_DIR": str(live.root / "other")} if login == "another" else {"AWS_VAULT_SESSION_CACHE": "off"}
    done = live.awsv(*words, env=other)
    assert (done.returncode, done.stdout) == (0, "Cleared 0 sessions.\n")
    assert "1 session file that this login has no key for" in done.stderr
    assert key_of(live, env=UNLOCKED) != before
    assert front.actions == ["AssumeRole"]


@pytest.mark.parametrize("words", [["clear", "role"], ["clear"]], ids=" ".join)
def test_clear_makes_a_session_stale_whose_file_is_written_afterwards(
    live: Home, front: RecordingProxy, words: list[str]
) -> None:
    """As by a process that was making it meanwhile."""
    before = key_of(live)
    (path,) = Path(live.env["XDG_STATE_HOME"], "awsv/sessions").iterdir()
    written = path.read_bytes()
    assert live.awsv(*words).stdout == "Cleared 1 sessions.\n"
    path.write_bytes(written)
    path.chmod(0o600)
    assert key_of(live, env=UNLOCKED) != before
    assert front.actions == ["AssumeRole"]


@pytest.mark.parametrize("config", ["[profile role\n", "", "[profile role]\nrole_arn = x\nsource_profile = role\n"])
def test_clear_needs_no_config(live: Home, front: RecordingProxy, config: str) -> None:
    before, whole = key_of(live), live.config.read_text()
    live.configure(config)
    assert live.awsv("clear", "role").stdout == "Cleared 1 sessions.\n"
    live.configure(whole)
    assert key_of(live, env=UNLOCKED) != before


def test_clear_that_cannot_make_anything_stale_says_so(live: Home) -> None:
    folder = Path(live.env["XDG_STATE_HOME"], "awsv/generations")
    folder.write_text("in the way")
    done = live.awsv("clear", "role")
    assert (done.returncode, done.stdout) == (4, "")
    assert "nothing was cleared" in done.stderr


def test_list_names_the_sessions(live: Home) -> None:
    done = live.awsv("list")
    lines = [line.split() for line in done.stdout.splitlines()[2:]]
    assert lines[0] == ["work", "locked", "-"]
    assert lines[1][:2] == ["role", "locked"]
    assert re.fullmatch(r"sts\.AssumeRole:\d+m\d+s", lines[1][2])
    assert re.fullmatch(r"sts\.AssumeRole:\d+m\d+s\n", live.awsv("list", "--sessions").stdout)
    assert live.awsv("list", "--profiles").stdout == "work\nrole\n"
    [work, role] = json.loads(live.awsv("list", "--json", env=UNLOCKED).stdout)
    assert (work["stored"], role["stored"]) == (True, False)
    assert [session["kind"] for session in role["sessions"]] == ["sts.AssumeRole"]


def test_what_a_killed_process_left_is_swept(live: Home) -> None:
    [session] = state(live, "sessions")
    for name, age in ((".dead.session.1.aa.tmp", 120), (".young.session.1.aa.tmp", 0), ("00.session", 40 * 3600)):
        path = session.with_name(name)
        path.write_bytes(b"x" * 64)
        os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    key_of(live, "work", env=UNLOCKED)
    names = {path.name for path in state(live, "sessions")}
    assert session.name in names
    assert ".young.session.1.aa.tmp" in names
    assert not names & {".dead.session.1.aa.tmp", "00.session"}
