"""The launcher ``aws-vault`` of vault-plugin-aws-vault: it runs the awsv beside it, however it is called."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support import parts
from support.home import PROGRAM, Home
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline

LAUNCHER = PROGRAM.with_name("aws-vault")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user with one key."""
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


def key_id(home: Home, *argv: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = home.run(*argv, "exec", "--json", "-n", "work", env={**UNLOCKED, **(env or {})}, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return str(json.loads(done.stdout)["AccessKeyId"])


def test_launcher_runs_awsv_by_path_link_and_relative_name(home: Home) -> None:
    folder = home.root / "a folder"
    folder.mkdir()
    (folder / "first").symlink_to(LAUNCHER)
    (folder / "aws-vault").symlink_to("first")
    for name in (LAUNCHER, folder / "first", folder / "aws-vault"):
        assert key_id(home, name) == KEY_ID
    assert key_id(home, "./aws-vault", cwd=folder) == KEY_ID
    for path in (str(LAUNCHER.parent), str(folder), "."):
        cwd = folder if path == "." else None
        assert key_id(home, "/bin/sh", "-c", 'exec aws-vault "$@"', "sh", env={"PATH": path}, cwd=cwd) == KEY_ID


@pytest.mark.parametrize("shell", ["dash", "bash", "sh"])
def test_launcher_runs_in_every_shell_with_its_arguments_unchanged(home: Home, shell: str) -> None:
    run = parts.need(shell, shutil.which(shell), how=f"apt-get install {shell}")
    done = home.run(run, LAUNCHER, "exec", "work", "--", "x y", "", "*", "'", "$HOME", "a\nb")
    assert (done.returncode, done.stderr.splitlines()[0]) == (127, "awsv: cannot run 'x y': there is no such command")


def test_launcher_serves_a_credential_process_line_of_aws_vault(home: Home, aws_v1: Path) -> None:
    home.configure("[profile work]\ncredential_process = aws-vault exec --json -n work\n")
    home.env["PATH"] = f"{LAUNCHER.parent}:{home.env['PATH']}"
    shown = home.run(aws_v1, "configure", "list", "--profile", "work", env=UNLOCKED)
    assert "custom-process" in shown.stdout, shown.stderr


def test_launcher_takes_nothing_from_the_environment(home: Home) -> None:
    """Programs on PATH, functions that bash exports, and modules on PYTHONPATH are not run."""
    hostile = home.root / "hostile"
    hostile.mkdir()
    for name in ("awsv", "readlink", "dirname", "python", "python3"):
        (hostile / name).write_text("#!/bin/sh\n>hit\n")
        (hostile / name).chmod(0o755)
    (hostile / "sitecustomize.py").write_text("open('hit', 'w')")
    (hostile / "link").symlink_to(LAUNCHER)
    bash = parts.need("bash", shutil.which("bash"), how="apt-get install bash")
    names = ("[", "echo", "readlink", "awsv")
    functions = {f"BASH_FUNC_{name}%%": "() { >hit; }" for name in names}
    env = {"PATH": str(hostile), "PYTHONPATH": str(hostile), "script": "/x", "target": "/x", **functions}
    for argv in ((hostile / "link",), (bash, hostile / "link")):
        assert key_id(home, *argv, env=env, cwd=hostile) == KEY_ID
    assert not (hostile / "hit").exists()


def test_launcher_without_awsv_beside_it_says_so(tmp_path: Path) -> None:
    copy = tmp_path / "aws-vault"
    shutil.copy(LAUNCHER, copy)
    done = subprocess.run([copy, "list"], env={}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"aws-vault: awsv is not installed beside {copy}\n"
        "hint: install vault-plugin-aws-vault and awsv into one environment\n"
    )
