"""Wheels of every distribution here with all that they need, built and fetched once a run, and environments from them.

``pip`` fetches, as it knows the caller's package index; ``uv`` builds and installs, in a tenth of pip's time, from the
wheels alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from vault_core.plugins.discovery import normalise

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in ROOT.glob("*/*/pyproject.toml"))
PROJECTS = [ROOT / "core", ROOT / "vault-botocore", *PLUGINS]
"""The folders of the core, of the library that plugins share, and of each plugin."""
TOOLS = ("pip", "hatchling")
"""What else is there to be installed."""
SECONDS = 300
"""For one run of pip or uv."""


def without_configuration(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment, which knows how to reach a package index, without what changes an interpreter."""
    left_out = ("AWS_", "PYTHON", "VIRTUAL_ENV", "UV_", "PIPX_")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)} | dict(more or {})


def run(*argv: str | Path, env: Mapping[str, str]) -> str:
    """Run a program that has to succeed; what it printed."""
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class NoIndex(Exception):
    """pip reaches no package index."""


class Wheelhouse:
    """A folder of wheels.

    :param root: a folder that all processes of a run share; the first one fills it.
    :raises NoIndex: there is nowhere to get from what the distributions need.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "wheels"
        self.cache = root / "cache"
        with FileLock(root.with_suffix(".lock")):
            if not (root / "complete").exists():
                self._fill()
                (root / "complete").touch()

    def _fill(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._fetch(*TOOLS)
        except AssertionError as error:
            raise NoIndex(str(error).strip().splitlines()[-1]) from None
        alone = shutil.copytree(ROOT / "awsv", self.folder.parent / "awsv")  # in the checkout it requires paths
        self.build(*PROJECTS, ROOT / "testkit", alone)
        self._fetch(*sorted(self.folder.glob("vault_*.whl")))

    def fetched_for(self, version: str) -> list[Path]:
        """Wheels with those that another minor version of Python needs.

        :param version: such as ``3.12``.
        """
        with FileLock(self.folder.parent.with_suffix(".lock")):
            if not (done := self.folder.parent / version).exists():
                self._fetch(*sorted(self.folder.glob("vault_*.whl")), "--python-version", version)
                done.touch()
        return sorted(self.folder.iterdir())

    def _fetch(self, *words: str | Path) -> None:
        """Have pip download what is named, and what that depends on."""
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--only-binary=:all:")
        pinned = without_configuration({"PIP_CONSTRAINT": str(ROOT / "constraints.txt")})
        run(*pip, "--dest", self.folder, "--find-links", self.folder, *words, env=pinned)

    def build(self, *projects: Path) -> None:
        """Add the wheels of these projects."""
        for project in projects:
            self.uv("build", "--wheel", "--out-dir", self.folder, project)

    def uv(self, *words: str | Path) -> str:
        """Run uv, which takes what it needs from this folder and from nowhere else; what it printed."""
        uv = Path(sys.executable).with_name("uv")
        return run(uv, *words, env=without_configuration(self.offline))

    @property
    def offline(self) -> dict[str, str]:
        """Variables with which pip and uv take from this folder and from nowhere else."""
        folder = str(self.folder)
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder}
        return {**pip, "UV_NO_INDEX": "1", "UV_FIND_LINKS": folder, "UV_CACHE_DIR": str(self.cache)}


class Environment:
    """A virtual environment with the program awsv in it, and nothing that it requires.

    :param root: its folder, which does not exist yet.
    """

    def __init__(self, root: Path, house: Wheelhouse) -> None:
        venv.create(root, symlinks=True, with_pip=False)
        self._house = house
        self.python = root / "bin/python"
        self.awsv = root / "bin/awsv"
        house.uv("pip", "install", "--python", self.python, "--no-deps", "awsv")

    def install(self, *names: str) -> None:
        """Install distributions from the wheels, with what they depend on."""
        self._house.uv("pip", "install", "--python", self.python, *names)

    def follow(self, hint: str) -> None:
        """Do what a hint says, as a person would: paste it into a shell."""
        run("/bin/sh", "-c", hint, env=without_configuration(self._house.offline))

    @property
    def distributions(self) -> set[str]:
        """What is installed, by normalised names."""
        rows = json.loads(self._house.uv("pip", "list", "--python", self.python, "--format", "json"))
        return {normalise(row["name"]) for row in rows}
