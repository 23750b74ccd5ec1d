"""Runs the contract kit on a plugin that is good or bad on purpose: a real pytest in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BAD = Path(__file__).parents[2] / "testkit/tests/bad"


class Run:
    """A project with one plugin's contract as its only test.

    :param kind: storage, passphrase, session, mfa.
    :param name: the plugin's entry point.
    :param module: of the package of bad plugins.
    """

    def __init__(self, folder: Path, kind: str, name: str, module: str) -> None:
        self.folder = folder
        info = folder / "site/vault_plugin_bad-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vault-plugin-bad\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[vault.{kind}.v1]\n{name} = vault_plugin_bad.{module}\n")
        contract = f"{kind.capitalize()}Contract"
        (folder / "test_it.py").write_text(
            f"import pytest\n\nfrom vault_testkit import {contract}\n\n"
            f"class TestIt({contract}):\n    entry_point = {name!r}\n"
        )

    def add_setup(self, expression: str) -> None:
        """Give the test class a fixture ``setup`` that returns this."""
        with (self.folder / "test_it.py").open("a") as file:
            file.write(
                "\n    @pytest.fixture\n    def setup(self):\n        from vault_testkit import Setup\n\n"
                f"        return {expression}\n"
            )

    def __call__(self, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, dict[str, object]]]:
        """What pytest said, and the outcome of every part."""
        report = self.folder / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "vault_testkit.pytest_plugin", "-p", "no:cacheprovider"),
                *("-q", "--basetemp", str(self.folder / "tmp"), "--contract-report", str(report), *arguments),
            ],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "PYTHONPATH": f"{BAD}:{self.folder / 'site'}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # what is installed besides costs a third of a small run
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert report.exists(), done.stdout + done.stderr
        return done, next(iter(json.loads(report.read_text()).values()), {})


def failed(parts: dict[str, dict[str, object]]) -> set[str]:
    return {name for name, part in parts.items() if part["outcome"] == "fail"}


def names_of(part: str) -> str:
    """For ``-k``: what the names of a part's tests begin with."""
    return "test_" + "".join(f"_{char.lower()}" if char.isupper() else char for char in part).lstrip("_") + "_"


def table(done: subprocess.CompletedProcess[str]) -> str:
    """The contract's table at the end of the run."""
    return done.stdout.partition("contract: storage")[2]
