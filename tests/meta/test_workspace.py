"""The workspace's own programs: the demo checks what it shows and leaves nothing, the scripts say what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.busy import seconds

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
DEMO_SECONDS = 120


def program(path: Path, text: str) -> Path:
    """A shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def demo(python: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo for somebody whose home and temporary folder lie below ``folder``."""
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    return subprocess.run(
        [python, ROOT / "demo/scenario.py"],
        env={"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds(DEMO_SECONDS),
        check=False,
    )


def environment_with(folder: Path, awsv: str) -> Path:
    """The Python of an environment like this one, but with another program in place of ``awsv``."""
    program(folder / "bin/awsv", awsv)
    for name in ("aws", "moto_server"):
        (folder / "bin" / name).symlink_to(BIN / name)
    (folder / "bin/python").symlink_to(Path(sys.executable).resolve())
    (folder / "lib").symlink_to(BIN.parent / "lib")
    shutil.copy(BIN.parent / "pyvenv.cfg", folder)
    return folder / "bin/python"


def test_the_demo_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    done = demo(Path(sys.executable), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert list((tmp_path / "home").iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    server = re.search(r"process (\d+)", done.stdout)
    assert server is not None
    with pytest.raises(ProcessLookupError):
        os.kill(int(server[1]), 0)


@pytest.mark.parametrize(
    ("awsv", "reason"),
    [
        ("exit 0", "waited for the next prompt"),
        (f'AWS_VAULT_SESSION_CACHE=off exec {BIN / "awsv"} "$@"', "calls to AWS (identity): expected 1, got 2"),
    ],
    ids=["does-nothing", "caches-nothing"],
)
def test_the_demo_fails_where_awsv_does(awsv: str, reason: str, tmp_path: Path) -> None:
    done = demo(environment_with(tmp_path / "other", awsv), tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "demo failed" in done.stdout
    assert reason in done.stdout
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_constraints_are_versions_and_nothing_else() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 50
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []
    assert [line for line in lines if line.startswith("vault")] == []


def test_what_the_tests_need_has_a_version() -> None:
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    needed = (ROOT / "tests/requirements.txt").read_text().splitlines()
    assert {re.split(r"[\[;]", line)[0] for line in needed if not line.startswith("#")} <= pinned


def test_make_help_tells_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", text, re.M)
    assert phony is not None
    told = set(re.findall(r"^\t@echo 'make (\S+)", text, re.M))
    assert set(phony[1].split()) == told | {"help", "test-here", "test-others", "test-root"}


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    old = program(tmp_path / "python3", "exit 1")
    argv = [ROOT / "scripts/environment", tmp_path / "venv", old]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"{old} is no Python 3.11 or later\n")
    assert not (tmp_path / "venv").exists()


def test_a_machine_without_a_recent_python_is_told(tmp_path: Path) -> None:
    program(tmp_path / "python3", "exit 1")
    (tmp_path / "dirname").symlink_to(shutil.which("dirname", path=SYSTEM_PATH) or "")
    argv = ["/bin/sh", str(ROOT / "scripts/environment"), str(tmp_path / "venv")]
    done = subprocess.run(argv, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no Python 3.11 or later" in done.stderr


def test_a_folder_with_a_blank_is_refused(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "a tree/scripts")
    argv = [str(tmp_path / "a tree/scripts/environment"), ".venv", sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.endswith("a tree\n")) == (1, True), done.stderr
    assert not (tmp_path / "a tree/.venv").exists()


@pytest.mark.parametrize(("outcome", "code"), [("exit 0", 0), ("exit 1", 1)], ids=["pass", "fail"])
def test_the_other_interpreters_are_tested_or_named(outcome: str, code: int, tmp_path: Path) -> None:
    tree, path = tmp_path / "tree", tmp_path / "path"
    program(tree / "scripts/run-tests", f'echo "tests in $1"; {outcome}')
    shutil.copy(ROOT / "scripts/test-others", tree / "scripts")
    program(tree / ".venv/bin/python", "echo 3.11")
    program(path / "python3.12", "exit 127")  # as a version manager's launcher of what is not selected
    program(tmp_path / "home/.pyenv/versions/3.13.0/bin/python", "echo 3.13")
    (path / "dirname").symlink_to(shutil.which("dirname", path=SYSTEM_PATH) or "")
    done = subprocess.run(
        ["/bin/sh", tree / "scripts/test-others", ".venv"],
        env={"PATH": str(path), "HOME": str(tmp_path / "home"), "MAKE": ":"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    lines = done.stdout.splitlines()
    assert "tests in .venv-3.13" in lines
    assert "not tested, because not installed here: Python 3.12" in lines
    assert ("failed on Python 3.13" in lines) == bool(code)


CI_PARTS = ("test", "demo", "test-root", "test-others")
CI_STAND_INS = """
apt-get() { :; }
chown() { :; }
git() { :; }
id() { echo 0; }
make() { echo "made $2"; [ "$2" != "$BROKEN" ]; }
setpriv() { while [ "$1" != make ]; do shift; done; "$@"; }
"""


@pytest.mark.parametrize("broken", ["", *CI_PARTS])
def test_ci_fails_with_the_first_part_that_fails(broken: str, tmp_path: Path) -> None:
    """With functions in place of all that takes minutes, or root."""
    (tmp_path / "functions").write_text(CI_STAND_INS)
    (tmp_path / "tmp").mkdir()
    names = {"BASH_ENV": str(tmp_path / "functions"), "BROKEN": broken, "TMPDIR": str(tmp_path / "tmp")}
    argv = ["bash", str(ROOT / ".ci/run")]
    done = subprocess.run(argv, env={"PATH": SYSTEM_PATH, **names}, capture_output=True, text=True, check=False)
    assert done.returncode == bool(broken), done.stderr
    assert re.findall(r"^made (.+)", done.stdout, re.M) == list(CI_PARTS[: CI_PARTS.index(broken) + 1 if broken else 4])
    assert ("== done" in done.stdout) is not bool(broken)
    assert list((tmp_path / "tmp").iterdir()) == []
