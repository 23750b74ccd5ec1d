"""The hot path against the usual one: whatever a run consulted, the answer is the one that the usual path gives."""

import json
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support.busy import seconds
from support.home import PROGRAM, Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import UNLOCKED, add, key_of

CONFIG = f"""
[profile work]
region = eu-west-1
[profile role]
region = eu-west-1
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = work
"""

USUAL = "vault_core.cli.commands"


@pytest.fixture
def home(home: Home, moto: MotoServer) -> Home:
    """A home where ``role`` has a live session."""
    home.configure(CONFIG)
    add(home, moto.alice)
    key_of(home, env=UNLOCKED)
    return home


def folders(home: Home) -> tuple[Path, Path]:
    return Path(home.env["XDG_STATE_HOME"]) / "awsv/memos", home.runtime / "awsv/memos"


def memos(home: Home) -> list[Path]:
    return [path for folder in folders(home) if folder.is_dir() for path in sorted(folder.iterdir())]


def forget(home: Home) -> None:
    for path in memos(home):
        path.unlink()


def remember(home: Home, env: Mapping[str, str | None] | None = None) -> None:
    """Have the usual path leave a memo: once no file that it consults has changed for two seconds."""
    began = time.monotonic()
    while not memos(home):
        done = home.awsv("exec", "-j", "role", env=env)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began < seconds(30), "no memo was left"


def is_hot(home: Home, *words: str, env: Mapping[str, str | None] | None = None) -> bool:
    """Whether a command is answered from a memo: the command line is not even imported."""
    done = home.watched(*words, flags=["-v"], env=env)
    assert done.returncode == 0, done.stderr
    assert "vault_core.fast.answer" in done.stderr
    return f"import '{USUAL}'" not in done.stderr


def both(home: Home, *words: str, env: Mapping[str, str | None] | None = None) -> tuple[str, str]:
    """The output of a command by the hot path, and by the usual one."""
    remember(home, env)
    assert is_hot(home, *words, env=env)
    hot = home.awsv(*words, env=env)
    forget(home)
    usual = home.awsv(*words, env=env)
    assert (hot.returncode, hot.stderr) == (usual.returncode, usual.stderr) == (0, "")
    return hot.stdout, usual.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("exec", "-j", "role"),
        ("exec", "--json", "role"),
        ("export", "role"),
        ("exec", "role", "--", "/usr/bin/env", "-0"),
    ],
    ids=" ".join,
)
def test_hot_path_gives_the_answer_of_the_usual_path(home: Home, words: tuple[str, ...]) -> None:
    hot, usual = both(home, *words)
    assert sorted(hot.split("\0")) == sorted(usual.split("\0"))
    assert len(hot) > 200


ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "secrets of awsv": {"AWS_VAULT_FILE_PASSPHRASE": "canary", "VAULT_TOKEN": "canary"},
    "another identity": {
        "AWS_PROFILE": "x",
        "AWS_BEARER_TOKEN_BEDROCK": "canary",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "x",
    },
    "a region": {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-west-2"},
    "bytes that are not UTF-8": {"ODD": "\udcff\udcfe"},
    "a minimum": {"AWS_MIN_TTL": "5m"},
}


@pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_child_gets_the_same_environment_from_both_paths(home: Home, env: dict[str, str | None]) -> None:
    hot, usual = both(home, "exec", "role", "--", "/usr/bin/env", "-0", env=env)
    assert sorted(hot.split("\0")) == sorted(usual.split("\0"))
    assert "canary" not in hot


@pytest.mark.parametrize(
    "late",
    [
        {"AWS_VAULT_FILE_PASSPHRASE": "canary"},
        {"AWS_VAULT_OTHER_OPTION": "canary"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/dev/fd/9"},
        {"AWS_VAULT_ENV_PASSPHRASE_FD": "9"},
    ],
    ids=lambda late: next(iter(late)),
)
def test_child_of_a_memo_without_a_variable_is_not_started_with_it(home: Home, late: dict[str, str]) -> None:
    remember(home)
    assert is_hot(home, "exec", "role", "--", "true")
    assert not is_hot(home, "exec", "role", "--", "true", env=late)


def test_child_does_not_inherit_the_passphrase_in_an_open_file(home: Home) -> None:
    remember(home)
    script = 'exec 9<<<canary; AWS_VAULT_FILE_PASSPHRASE_FILE=/dev/fd/9 "$0" exec role -- cat /dev/fd/9'
    done = home.run("bash", "-c", script, PROGRAM)
    assert "canary" not in done.stdout


def test_child_does_not_inherit_the_passphrase_in_an_open_file_that_became_one_later(home: Home) -> None:
    path = home.root / "passphrase"
    path.touch(0o600)
    env = {"AWS_VAULT_FILE_PASSPHRASE_FILE": str(path)}
    remember(home, env)
    assert is_hot(home, "exec", "role", "--", "true", env=env)
    path.unlink()
    path.symlink_to("/dev/fd/9")
    done = home.run("bash", "-c", 'exec 9<<<canary; "$0" exec role -- cat /dev/fd/9', PROGRAM, env=env)
    assert "canary" not in done.stdout


def test_hot_path_loads_six_modules(home: Home) -> None:
    remember(home)
    done = home.watched("exec", "-j", "role", flags=["-v", "-S"])
    names = {line.split("'")[1] for line in done.stderr.splitlines() if line.startswith("import '")}
    ours = {name for name in names if name.startswith("vault_")}
    assert ours <= {
        "vault_core",
        "vault_core.main",
        "vault_core.fast",
        "vault_core.fast.answer",
        "vault_core.child_env",
    }


# -- what was consulted, changed once ----------------------------------------------------------------------------------


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("\n")


CHANGES: dict[str, Callable[[Home], object]] = {
    "config": lambda home: home.configure(CONFIG.replace("RoleA", "RoleB")),
    "credentials": lambda home: home.credentials.write_text("[role]\nregion = us-east-1\n"),
    "config.toml": lambda home: _config_toml(home, 'prompt = "terminal"\n'),
    "broken config.toml": lambda home: _config_toml(home, "unknown = 1\n"),
    "session is gone": lambda home: shutil.rmtree(Path(home.env["XDG_STATE_HOME"]) / "awsv/sessions"),
    "session key is gone": lambda home: (home.runtime / "awsv/session.key").unlink(),
    "sessions are cleared": lambda home: home.awsv("clear", "role"),
    "state folder is open to others": lambda home: (Path(home.env["XDG_STATE_HOME"]) / "awsv").chmod(0o777),
    "home is open to others": lambda home: home.path.chmod(0o777),
    "place of the store is a link": lambda home: _linked(Path(home.env["XDG_DATA_HOME"]) / "awsv"),
    "store is a link": lambda home: _linked(Path(home.env["XDG_DATA_HOME"]) / "awsv/store.vlt"),
}


def _config_toml(home: Home, text: str) -> None:
    folder = Path(home.env["XDG_CONFIG_HOME"]) / "awsv"
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text(text)
    (folder / "config.toml").chmod(0o600)


def _linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_answer_after_a_change_is_that_of_the_usual_path(home: Home, change: Callable[[Home], object]) -> None:
    remember(home)
    change(home)
    with_memo = home.watched("exec", "-j", "role", flags=["-v"])
    assert f"import '{USUAL}'" in with_memo.stderr
    forget(home)
    without = home.awsv("exec", "-j", "role")
    assert (with_memo.returncode, with_memo.stdout) == (without.returncode, without.stdout)


def test_rotated_key_is_not_served_from_a_memo(home: Home, front: RecordingProxy, moto: MotoServer) -> None:
    remember(home)
    before = key_of(home)
    done = home.awsv(
        "add",
        "work",
        "--env",
        "--overwrite",
        env={
            **UNLOCKED,
            "AWS_ACCESS_KEY_ID": moto.alice.access_key_id,
            "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key,
        },
    )
    assert done.returncode == 0, done.stderr
    assert memos(home) == []
    front.forget()
    assert key_of(home, env=UNLOCKED) != before
    assert front.actions[-1] == "AssumeRole"


@pytest.mark.parametrize("words", [("clear",), ("clear", "role"), ("remove", "--force", "work")], ids=" ".join)
def test_memos_are_removed_with_the_sessions(home: Home, words: tuple[str, ...]) -> None:
    remember(home)
    done = home.awsv(*words, env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert memos(home) == []


def test_clear_removes_no_file_behind_a_link_in_the_runtime_folder(home: Home) -> None:
    others = home.root / "others"
    others.mkdir()
    (others / "thesis").touch()
    (home.runtime / "awsv/memos").symlink_to(others)
    done = home.awsv("clear", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in others.iterdir()] == ["thesis"]


def test_session_cache_off_removes_the_memo(home: Home) -> None:
    remember(home)
    done = home.awsv("exec", "-j", "role", env={**UNLOCKED, "AWS_VAULT_SESSION_CACHE": "off"})
    assert done.returncode == 0, done.stderr
    assert memos(home) == []


def test_warning_about_an_open_file_is_given_each_time(home: Home) -> None:
    remember(home)
    out = home.root / "out"
    out.touch(0o644)
    out.chmod(0o644)
    with out.open("w") as file:
        done = subprocess.run(
            [PROGRAM, "exec", "-j", "role"],
            env=home.environment(),
            cwd=home.cwd,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 0
    assert "warning: these credentials go to a file that others may read" in done.stderr


def test_closed_standard_output_is_an_error_on_both_paths(home: Home) -> None:
    remember(home)
    done = home.run("sh", "-c", '"$0" exec -j role >&-', PROGRAM)
    assert done.returncode == 1
    assert "cannot write to standard output" in done.stderr


def test_missing_program_is_reported_by_the_usual_path(home: Home) -> None:
    remember(home)
    done = home.awsv("exec", "role", "--", "no-such-program")
    assert (done.returncode, done.stdout) == (127, "")
    assert "no-such-program" in done.stderr


def test_two_processes_that_leave_a_memo_at_once_leave_a_whole_one_or_none(home: Home) -> None:
    remember(home)
    forget(home)
    running = [home.start("exec", "-j", "role") for _ in range(6)]
    outputs = {process.communicate(timeout=seconds(60))[0] for process in running}
    assert len(outputs) == 1
    assert home.awsv("exec", "-j", "role").stdout in outputs


def test_memo_is_private_and_each_share_is_noise(home: Home) -> None:
    remember(home)
    credentials = json.loads(home.awsv("exec", "-j", "role").stdout)
    for path in memos(home):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        data = path.read_bytes()
        for secret in (credentials["SecretAccessKey"], credentials["SessionToken"][:40], "role"):
            assert secret.encode() not in data
