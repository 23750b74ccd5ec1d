"""The session cache among damaged files, hostile folders and full disks: nothing foreign is served, nobody stopped."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.moto import ACCOUNT
from support.processes import Processes
from support.recording_proxy import RecordingProxy
from support.stored import UNLOCKED, key_of, state

Start = Callable[..., Processes]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/RoleA"


# -- damage and malice -------------------------------------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    match how:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        case "foreign":
            path.write_bytes(b'{"id": "AKIAEVIL", "secret": "x"}')
        case "of another step":
            path.write_bytes(next(other for other in path.parent.iterdir() if other != path).read_bytes())
        case "symlink":
            (path.parent / "elsewhere").write_bytes(whole)
            path.unlink()
            path.symlink_to("elsewhere")
        case "directory":
            path.unlink()
            path.mkdir()


@pytest.mark.parametrize("how", ["empty", "truncated", "flipped", "foreign", "of another step", "symlink", "directory"])
def test_a_damaged_session_is_none(live: Home, front: RecordingProxy, how: str) -> None:
    before = key_of(live)
    [path] = state(live, "sessions")
    if how == "of another step":
        key_of(live, "work", env=UNLOCKED)
        front.forget()
    damage(path, how)
    assert key_of(live, env=UNLOCKED) != before
    assert front.actions == ["AssumeRole"]
    assert live.awsv("list").returncode == 0


def test_a_new_key_makes_old_sessions_unreadable(live: Home, front: RecordingProxy) -> None:
    (live.runtime / "awsv/session.key").write_bytes(b"short")
    key_of(live, env=UNLOCKED)
    key_of(live)
    assert front.actions == ["AssumeRole"]


def test_two_logins_with_two_keys_keep_their_sessions(live: Home, front: RecordingProxy) -> None:
    """A login without the runtime folder has another key; each finds its own session again."""
    other = live.root / "other"
    other.mkdir(mode=0o700)
    elsewhere = {**UNLOCKED, "XDG_RUNTIME_DIR": str(other)}
    here, there = key_of(live), key_of(live, env=elsewhere)
    assert here != there
    assert (key_of(live), key_of(live, env=elsewhere)) == (here, there)
    assert front.actions == ["AssumeRole"]


def hostile(home: Home, how: str) -> str:
    """Make the runtime folder hostile; what the note names."""
    folder = home.runtime / "awsv"
    match how:
        case "key readable by others":
            folder.mkdir(mode=0o700)
            (folder / "session.key").write_bytes(b"k" * 32)
            (folder / "session.key").chmod(0o644)
            return "session.key: it is open to other users"
        case "key a symlink":
            folder.mkdir(mode=0o700)
            (home.root / "evil").write_bytes(b"k" * 32)
            (folder / "session.key").symlink_to(home.root / "evil")
            return "session.key"
        case "writable by all":
            folder.mkdir()
            folder.chmod(0o777)
            return "is open to other users (mode 0777)"
        case "readable by all":
            folder.mkdir(mode=0o755)
            return "is open to other users (mode 0755)"
        case "symlink":
            (home.root / "evil").mkdir(mode=0o700)
            folder.symlink_to(home.root / "evil")
            return "is not a directory"
        case "file":
            folder.write_text("in the way")
            return "awsv"
        case "parent writable by all":
            home.runtime.chmod(0o777)
            return "is owned or writable by another user"
        case "read-only":
            home.runtime.chmod(0o500)
            return "Permission denied"
        case "not mine":
            folder.mkdir(mode=0o700)
            os.chown(folder, 65534, 65534)
            return "belongs to user id 65534"
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    [
        "key readable by others",
        "key a symlink",
        "writable by all",
        "readable by all",
        "symlink",
        "file",
        "parent writable by all",
        "read-only",
        pytest.param("not mine", marks=pytest.mark.root("only root can give a folder away")),
    ],
)
def test_a_hostile_runtime_folder_is_not_used(logged_in: Home, front: RecordingProxy, how: str) -> None:
    if how == "read-only" and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    named = hostile(logged_in, how)
    evil = sorted(logged_in.root.glob("evil/*"))
    try:
        done = logged_in.awsv("exec", "-j", "role", env=UNLOCKED)
        again = logged_in.awsv("exec", "-j", "role")
    finally:
        logged_in.runtime.chmod(0o700)
    assert (done.returncode, again.returncode) == (0, 0), again.stderr
    assert done.stderr.startswith("awsv: the key of kept sessions is in ")
    assert named in done.stderr
    assert (again.stderr, again.stdout) == ("", done.stdout)
    assert front.actions == ["AssumeRole"]
    assert sorted(logged_in.root.glob("evil/*")) == evil


def test_without_the_runtime_variable(logged_in: Home, front: RecordingProxy) -> None:
    env = {**UNLOCKED, "XDG_RUNTIME_DIR": None}
    if Path(f"/run/user/{os.geteuid()}").is_dir():
        pytest.skip("the machine has a runtime folder of its own, which belongs to whoever runs the tests")
    assert key_of(logged_in, env=env) == key_of(logged_in, env={**env, "AWS_VAULT_FILE_PASSPHRASE": None})
    assert front.actions == ["AssumeRole"]
    [key] = Path(logged_in.env["TMPDIR"]).glob("runtime-*/awsv/session.key")
    assert stat.S_IMODE(key.parent.parent.stat().st_mode) == 0o700


def test_without_the_runtime_variable_and_somebody_was_first(logged_in: Home) -> None:
    if Path(f"/run/user/{os.geteuid()}").is_dir():
        pytest.skip("the machine has a runtime folder of its own, which belongs to whoever runs the tests")
    fallback = Path(logged_in.env["TMPDIR"]) / f"runtime-{os.geteuid()}"
    (logged_in.root / "evil").mkdir()
    fallback.symlink_to(logged_in.root / "evil")
    done = logged_in.awsv("exec", "-j", "role", env={**UNLOCKED, "XDG_RUNTIME_DIR": None})
    assert done.returncode == 0, done.stderr
    assert "stays there after you log out" in done.stderr
    assert list((logged_in.root / "evil").iterdir()) == []


def test_a_full_disk_keeps_nobody_from_their_credentials(logged_in: Home, front: RecordingProxy) -> None:
    done = subprocess.run(
        [PROGRAM, "exec", "-j", "role"],
        env=logged_in.environment(UNLOCKED),
        cwd=logged_in.cwd,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["AccessKeyId"].startswith("ASIA")
    assert "not kept" in done.stderr
    assert [path for path in state(logged_in, "sessions") if path.suffix != ".tmp"] == []
