"""Non-editable installs of awsv, each in an environment of its own: of the checkout, and of another commit.

What is measured is what a user gets: wheels, installed by pip, with their bytecode. In the development environment a
start also pays for the folders of ten editable distributions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSTALLED = ("core", "vault-botocore", "plugins/file", "plugins/env", "plugins/prompt", "plugins/aws", "awsv")
"""The folders of what ``pip install awsv`` installs; a commit may lack some of them."""


class Failed(Exception):
    """A step did not have the expected result."""


@dataclass(frozen=True)
class Install:
    """An environment with awsv."""

    name: str
    python: Path

    @property
    def awsv(self) -> Path:
        return self.python.with_name("awsv")


def of_checkout(folder: Path) -> Install:
    """Install the files of the checkout that git knows, with their changes."""
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        source, target = ROOT / name, folder / "source" / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return _installed(folder, "awsv")


def of_commit(folder: Path, revision: str) -> Install:
    """Install another commit."""
    (folder / "source").mkdir(parents=True)
    _run(["git", "-C", str(ROOT), "archive", "--output", str(folder / "source.tar"), revision])
    _run(["tar", "-xf", str(folder / "source.tar"), "-C", str(folder / "source")])
    return _installed(folder, _git("rev-parse", "--short", revision).strip())


def _installed(folder: Path, name: str) -> Install:
    source, wheels, environment = folder / "source", folder / "wheels", folder / "environment"
    parts = [source / part for part in INSTALLED if (source / part / "pyproject.toml").is_file()]
    if (source / "awsv").is_dir():  # beside the others it would require them by their paths (awsv/hatch_build.py)
        (folder / "alone").mkdir()
        parts[-1] = (source / "awsv").rename(folder / "alone/awsv")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(wheels), *map(str, parts)])
    _run([str(Path(sys.base_prefix, "bin/python3")), "-m", "venv", str(environment)])
    python = environment / "bin/python"
    made: Iterable[str] = map(str, sorted(wheels.iterdir()))
    constraints = ["--constraint", str(source / "constraints.txt")]
    _run([str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *constraints, *made])
    return Install(name, python)


def _git(*words: str) -> str:
    return _run(["git", "-C", str(ROOT), *words])


def _run(command: list[str]) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GIT_"))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{command[0]} {command[1]}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
