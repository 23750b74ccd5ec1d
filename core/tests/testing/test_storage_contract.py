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
    "shouts-what-is-sealed": "Sealed",
    "saboteur": "Sizes",
    "greedy": "Purity",
    "eager": "Purity",
}
"""Every culprit, and the part that is there to catch it."""
ALSO = {
    "returns-text": {"Keys", "Values", "Sizes", "Listing", "Deletion", "Durability", "Secrecy"},
    "shouts-what-is-sealed": {"Durability", "Locked", "Secrecy"},
}
"""Where nothing can be read any more, other parts notice, too."""
OWN_MODULE = ("greedy", "eager", "saboteur")


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
        module = name if name in OWN_MODULE else "toy" if name in GOOD else "culprits"
        info = self.folder / "site/vault_plugin_bad-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vault-plugin-bad\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[vault.storage.v1]\n{name} = vault_plugin_bad.{module}\n")

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


def names_of(part: str) -> str:
    """For ``-k``: what the names of a part's tests begin with."""
    return "test_" + "".join(f"_{char.lower()}" if char.isupper() else char for char in part).lstrip("_") + "_"


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD)
def test_a_good_backend_passes(name: str, tmp_path: Path) -> None:
    done, parts = Run(tmp_path, name)()
    assert done.returncode == 0, done.stdout
    assert {part["outcome"] for part in parts.values()} <= {"pass", "skip"}
    assert set(MEANT.values()) == set(parts)


@pytest.mark.parametrize("name", MEANT)
def test_a_culprit_is_caught_by_its_part(name: str, tmp_path: Path) -> None:
    """Under AWSV_DEEP=1 all parts run, and no other one complains; else its part alone, until it does."""
    done, parts = Run(tmp_path, name)(*([] if DEEP else ["-x", "-k", names_of(MEANT[name])]))
    expected = {MEANT[name]} | (ALSO.get(name, set()) if DEEP else set())
    assert failed(parts) == expected, done.stdout
    assert done.returncode == 1


def test_what_is_not_declared_is_skipped_with_the_reason(tmp_path: Path) -> None:
    done, parts = Run(tmp_path, "toy-short")("-k", "check_and_set or threads or sealed or locked")
    assert done.returncode == 0, done.stdout
    assert {name: part["outcome"] for name, part in parts.items()} == dict.fromkeys(
        ("CheckAndSet", "Threads", "Sealed", "Locked"), "skip"
    )
    for line in (
        "toy-short does not declare CAS",
        "toy-short does not declare MULTI_THREAD",
        "toy-short is at_rest=SERVICE: the core seals only what is at_rest=CORE",
    ):
        assert line in table(done)


def test_a_budget_shrinks_visibly(tmp_path: Path) -> None:
    run = Run(tmp_path, "toy")
    _, whole = run("-k", "test_keys or test_listing")
    done, small = run("-k", "test_keys or test_listing", "--contract-budget", "40")
    assert done.returncode == 0, done.stdout
    for part in ("Keys", "Listing"):
        assert sum(small[part]["operations"].values()) < sum(whole[part]["operations"].values()) / 2
    assert "shrunk: keys 60 to 3" in table(done)
    assert small["Listing"]["shrunk"] == ["keys 60 to 3"]
    assert whole["Listing"]["shrunk"] == []


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["one-process", "two-processes"])
def test_the_table_counts_every_operation(tmp_path: Path, arguments: list[str]) -> None:
    done, parts = Run(tmp_path, "toy")("-k", "test_basic_nothing or test_threads", *arguments)
    assert parts["Basic"]["operations"] == {"get": 2, "put": 1, "delete": 0, "keys": 0}
    assert parts["Threads"]["operations"] == {"get": 40, "put": 41, "delete": 0, "keys": 1}
    [line] = [line for line in table(done).splitlines() if line.startswith("Threads")]
    assert line.split() == ["Threads", "pass", "1", "40", "41", "0", "1"]


def test_keys_are_removed_even_after_a_failure(tmp_path: Path) -> None:
    done, parts = Run(tmp_path, "lists-its-index")("-k", "test_listing or test_basic")
    assert failed(parts) == {"Listing"}, done.stdout
    left = [json.loads(path.read_text()) for path in (tmp_path / "tmp").rglob("toy.json")]
    assert len(left) >= 8
    assert all(items == {} for items in left)


def test_a_plugin_that_is_not_installed_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path, "toy")
    (tmp_path / "test_it.py").write_text((tmp_path / "test_it.py").read_text().replace("'toy'", "'joy'"))
    done, parts = run("-k", "test_basic or test_purity")
    assert failed(parts) == {"Basic", "Purity"}
    assert "no storage backend named 'joy' is installed" in done.stdout


def table(done: subprocess.CompletedProcess[str]) -> str:
    """The contract's table at the end of the run."""
    return done.stdout.partition("contract: storage")[2]
