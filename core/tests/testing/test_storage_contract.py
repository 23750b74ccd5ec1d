"""The kit against good backends, and against bad ones: each part catches the culprit that it is meant for.

Every run is a real pytest in a process of its own, in which the backends of ``bad/`` are installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BAD = Path(__file__).parent / "bad"
DEEP = os.environ.get("AWSV_DEEP") == "1"
GOOD = ("toy", "toy-box", "toy-short")
MEANT = {
    "writes-later": "Durability",
    "writes-in-place": "Durability",
    "forgets-versions": "Basic",
    "returns-text": "Basic",
    "looks-before-it-leaps": "CreateOnly",
    "ignores-versions": "CheckAndSet",
    "counts-anew": "CheckAndSet",
    "lists-its-index": "Listing",
    "remembers-its-list": "Listing",
    "folds-case": "Keys",
    "limits-values": "Values",
    "strips-values": "Values",
    "encrypts-a-file": "Secrecy",
    "tells-a-program": "Secrecy",
    "logs": "Secrecy",
    "leaves-errors-alone": "Errors",
    "explains-too-much": "Errors",
    "writes-without-a-lock": "Processes",
    "deletes-anything": "Deletion",
    "shares-its-desk": "Threads",
    "opens-to-anybody": "Locked",
    "changes-what-is-sealed": "Sealed",
    "greedy": "Purity",
    "eager": "Purity",
}
"""Every culprit, and the part that is there to catch it."""


class Run:
    """A project with one backend's contract as its only test.

    :param name: the backend's entry point.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._install(name)
        (folder / "test_it.py").write_text(
            "from vault_core.testing import StorageContract\n\n"
            f"class TestIt(StorageContract):\n    entry_point = {name!r}\n"
        )

    def _install(self, name: str) -> None:
        module = {"greedy": "greedy", "eager": "eager"}.get(name, "toy" if name in GOOD else "culprits")
        info = self.folder / "site/vault_plugin_bad-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vault-plugin-bad\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[vault.storage.v1]\n{name} = vault_plugin_{module}\n")

    def __call__(self, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, dict[str, object]]]:
        """What pytest said, and the outcome of every part."""
        report = self.folder / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "vault_core.testing.pytest_plugin", "-p", "no:cacheprovider"),
                *("-q", "--basetemp", str(self.folder / "tmp"), "--contract-report", str(report), *arguments),
            ],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "PYTHONPATH": f"{BAD}:{self.folder / 'site'}",
                "PYTHONDONTWRITEBYTECODE": "1",
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


def tests_of(part: str) -> str:
    """For ``-k``: what the names of a part's tests begin with."""
    return "test_" + "".join(f"_{char.lower()}" if char.isupper() else char for char in part).lstrip("_") + "_"


@pytest.mark.parametrize("name", GOOD)
def test_a_good_backend_passes(name: str, tmp_path: Path) -> None:
    done, parts = Run(tmp_path, name)()
    assert done.returncode == 0, done.stdout
    assert failed(parts) == set()


@pytest.mark.parametrize("name", MEANT)
def test_a_culprit_is_caught_by_the_part_that_is_meant_for_it(name: str, tmp_path: Path) -> None:
    done, parts = Run(tmp_path, name)(*([] if DEEP else ["-k", tests_of(MEANT[name])]))
    assert failed(parts) == {MEANT[name]}, done.stdout
    assert done.returncode == 1
