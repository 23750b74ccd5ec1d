"""The workspace's own programs: the demo checks what it shows and leaves nothing, the scripts say what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.busy import seconds

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
DEMO_SECONDS = 120
LEAST_COVERAGE = 85
"""Percent of the branches of each distribution."""


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


def others(folder: Path, run_tests: str, coverage: str) -> subprocess.CompletedProcess[str]:
    """Run ``test-others`` with stand-ins, where Python 3.11 had its turn and the home ``folder/home`` may have more."""
    tree, path = folder / "tree", folder / "path"
    program(tree / "scripts/run-tests", run_tests)
    program(tree / "scripts/coverage", coverage)
    shutil.copy(ROOT / "scripts/test-others", tree / "scripts")
    program(tree / ".venv/bin/python", "echo 3.11")
    program(path / "python3.13", "exit 127")  # as a version manager's launcher of what is not selected
    (path / "dirname").symlink_to(shutil.which("dirname", path=SYSTEM_PATH) or "")
    return subprocess.run(
        ["/bin/sh", tree / "scripts/test-others", ".venv"],
        env={"PATH": str(path), "HOME": str(folder / "home"), "MAKE": ":"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("outcome", "code"), [("exit 0", 0), ("exit 1", 1)], ids=["pass", "fail"])
def test_the_other_interpreters_are_tested_or_named(outcome: str, code: int, tmp_path: Path) -> None:
    program(tmp_path / "home/.pyenv/versions/3.12.0/bin/python", "echo 3.12")
    done = others(tmp_path, "", f'echo "tests in $1"; {outcome}')
    assert done.returncode == code, done.stderr
    lines = done.stdout.splitlines()
    assert "tests in .venv-3.12" in lines
    assert "not tested, because not installed here: Python 3.13" in lines
    assert ("failed on Python 3.12" in lines) == bool(code)


@pytest.mark.parametrize(("outcome", "code"), [("true", 0), ("false", 1)], ids=["enough", "too little"])
def test_coverage_is_measured_on_the_newest_of_the_other_interpreters(outcome: str, code: int, tmp_path: Path) -> None:
    for number in ("3.12", "3.13"):
        program(tmp_path / f"home/.pyenv/versions/{number}.0/bin/python", f"echo {number}")
    done = others(tmp_path, 'echo "tests in $1 with $*"', f'echo "measured in $1"; {outcome}')
    assert done.returncode == code, done.stderr
    assert "tests in .venv-3.12 with .venv-3.12 -m unit --quiet" in done.stdout
    assert "measured in .venv-3.13\n" in done.stdout
    assert ("tests in .venv-3.13 with .venv-3.13 -m not slow and unmeasured --quiet" in done.stdout) != bool(code)
    assert ("failed on Python 3.13\n" in done.stdout) == bool(code)


def test_without_another_interpreter_it_is_told_that_coverage_was_not_measured(tmp_path: Path) -> None:
    done = others(tmp_path, "false", "false")
    assert done.returncode == 0, done.stderr
    assert "coverage was not measured, because no other Python is installed here: make coverage\n" in done.stdout


def test_each_distribution_with_sources_has_a_floor_of_its_coverage() -> None:
    floors = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["awsv"]["coverage"]
    folders = [path.parent for pattern in ("*", "*/*") for path in ROOT.glob(f"{pattern}/pyproject.toml")]
    assert floors.keys() == {str(folder.relative_to(ROOT)) for folder in folders if [*folder.glob("src/*/*.py")]}
    assert {folder: floor for folder, floor in floors.items() if floor < LEAST_COVERAGE} == {}


FAILS_ONCE = """
import pathlib
import pytest

@pytest.mark.parametrize("number", range(6))
def test_something(number):
    made = pathlib.Path(__file__).with_name(f"ran-{number}")
    first = not made.exists()
    made.touch()
    assert not (number < FIRST and first) and number >= ALWAYS
"""


@pytest.mark.parametrize(
    ("first", "always", "ci", "code"),
    [(0, 0, "true", 0), (3, 0, "true", 0), (4, 0, "true", 1), (1, 0, "", 1), (2, 1, "true", 1)],
)
def test_run_tests_repeats_few_failures_once_in_ci(first: int, always: int, ci: str, code: int, tmp_path: Path) -> None:
    for name in ("scripts", "tests"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "scripts/run-tests", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    text = FAILS_ONCE.replace("FIRST", str(first)).replace("ALWAYS", str(always))
    (tmp_path / "tests/test_it.py").write_text(text)
    done = subprocess.run(
        [tmp_path / "scripts/run-tests", BIN.parent, "tests", "-p", "no:vault_testkit"],
        env={"PATH": SYSTEM_PATH, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    repeated = done.stdout.partition("== repeated")[2]
    assert bool(repeated) == (ci == "true" and 0 < first <= 3)
    assert (f"{first} passed" in repeated) == (bool(repeated) and not always)
    assert ("1 failed, 1 passed" in repeated) == bool(always)


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
