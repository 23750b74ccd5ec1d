"""The kit against good backends, and against bad ones: each part catches the faulty backend that it is meant for.

Every run is a real pytest in a process of its own, in which the backends of ``bad/`` are installed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.contract_run import Run, failed, names_of, table

DEEP = os.environ.get("AWSV_DEEP") == "1"
GOOD = ("toy", "toy-box", "toy-short", "toy-office")
MEANT = {
    "writes-later": "Durability",
    "writes-in-place": "Durability",
    "forgets-versions": "Basic",
    "returns-text": "Basic",
    "looks-before-it-leaps": "CreateOnly",
    "ignores-versions": "CheckAndSet",
    "looks-before-it-deletes": "CheckAndSet",
    "counts-anew": "CheckAndSet",
    "lists-its-index": "Listing",
    "remembers-its-list": "Listing",
    "lists-a-page": "Listing",
    "folds-case": "Keys",
    "limits-values": "Values",
    "strips-values": "Values",
    "encrypts-a-file": "Secrecy",
    "tells-a-program": "Secrecy",
    "logs": "Secrecy",
    "leaves-errors-alone": "Errors",
    "explains-too-much": "Errors",
    "writes-without-a-lock": "Processes",
    "lists-page-by-page": "Processes",
    "shares-everything": "Shared",
    "deletes-anything": "Deletion",
    "opens-to-anybody": "Locked",
    "shouts-what-is-sealed": "Sealed",
    "greedy": "Purity",
    "eager": "Purity",
}
"""Every faulty backend, and the part that is there to catch it."""
ALSO = {
    "writes-later": {"Processes"},
    "writes-in-place": {"Processes"},
    "limits-values": {"Processes"},
    "deletes-anything": {"Processes"},
    "lists-a-page": {"Keys", "Processes"},
    "returns-text": {"Keys", "Values", "Listing", "Deletion", "Durability", "Processes", "Secrecy"},
    "shouts-what-is-sealed": {"Durability", "Locked", "Secrecy"},
}
"""Other parts that notice the same fault."""
OWN_MODULE = ("greedy", "eager")


def run_of(folder: Path, name: str) -> Run:
    """The contract of one of the backends."""
    module = name if name in OWN_MODULE else "toy" if name in GOOD else "faulty_backends"
    return Run(folder, "storage", name, module)


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD)
def test_a_good_backend_passes(name: str, tmp_path: Path) -> None:
    """Whole under AWSV_DEEP=1; else small, as the tests of the real backends run the contract whole."""
    done, parts = run_of(tmp_path, name)(*([] if DEEP else ["--contract-budget", "30"]))
    assert done.returncode == 0, done.stdout
    assert {part["outcome"] for part in parts.values()} <= {"pass", "skip"}
    assert set(MEANT.values()) == set(parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEANT)
def test_a_faulty_backend_is_caught_by_its_part(name: str, tmp_path: Path) -> None:
    """Under AWSV_DEEP=1 all parts run, and no other one complains; else its part alone, until it does."""
    done, parts = run_of(tmp_path, name)(*([] if DEEP else ["-x", "-k", names_of(MEANT[name])]))
    expected = {MEANT[name]} | (ALSO.get(name, set()) if DEEP else set())
    assert failed(parts) == expected, done.stdout
    assert done.returncode == 1


def test_what_is_not_declared_is_skipped_with_the_reason(tmp_path: Path) -> None:
    done, parts = run_of(tmp_path, "toy-short")("-k", "check_and_set or sealed or locked")
    assert done.returncode == 0, done.stdout
    assert {name: part["outcome"] for name, part in parts.items()} == dict.fromkeys(
        ("CheckAndSet", "Sealed", "Locked"), "skip"
    )
    for line in (
        "toy-short does not declare CAS",
        "toy-short is at_rest=SERVICE: the core seals only what is at_rest=CORE",
    ):
        assert line in table(done)


def test_check_and_set_includes_creating(tmp_path: Path) -> None:
    run = Run(tmp_path, "storage", "toy-versions", "toy")
    _, parts = run("-k", "test_create_only or test_sealed_store_is_made_once or test_errors_hold_no_value")
    assert {name: part["tests"] for name, part in parts.items()} == {
        "CreateOnly": {"passed": 3},
        "Sealed": {"passed": 1},
        "Errors": {"passed": 1},
    }


def test_a_budget_shrinks_visibly(tmp_path: Path) -> None:
    run = run_of(tmp_path, "toy")
    _, whole = run("-k", "test_keys or test_listing")
    done, small = run("-k", "test_keys or test_listing", "--contract-budget", "40")
    assert done.returncode == 0, done.stdout
    for part in ("Keys", "Listing"):
        assert sum(small[part]["operations"].values()) < sum(whole[part]["operations"].values()) / 2  # type: ignore[attr-defined]  # a mapping, in what the report holds
    assert "shrunk: keys 60 to 3" in table(done)
    assert small["Listing"]["shrunk"] == ["keys 60 to 3"]
    assert whole["Listing"]["shrunk"] == []


@pytest.mark.parametrize("arguments", [[], ["-p", "xdist.plugin", "-n", "2"]], ids=["one-process", "two-processes"])
def test_the_table_counts_every_operation(tmp_path: Path, arguments: list[str]) -> None:
    done, parts = run_of(tmp_path, "toy")("-k", "test_basic_nothing or test_processes_may_be", *arguments)
    assert parts["Basic"]["operations"] == {"get": 2, "put": 1, "delete": 0, "keys": 0}
    assert parts["Processes"]["operations"] == {"get": 0, "put": 4, "delete": 0, "keys": 1}
    [line] = [line for line in table(done).splitlines() if line.startswith("Processes")]
    assert line.split() == ["Processes", "pass", "1", "0", "4", "0", "1"]


def test_a_setup_reaches_the_processes_too(tmp_path: Path) -> None:
    """The words before a child are run, and its environment is the setup's and nothing else."""
    run = run_of(tmp_path, "toy")
    program = tmp_path / "wrapper"
    program.write_text(f'#!/bin/sh\nenv > {tmp_path}/environ\nexec "$@"\n')
    program.chmod(0o700)
    run.add_setup(f"Setup(environ={{'TOY_SERVICE': 'here'}}, before_child=[{str(program)!r}, 'env', 'MORE=yes'])")
    done, parts = run("-k", "test_durability_of_what")
    assert failed(parts) == set(), done.stdout
    given = dict(line.split("=", 1) for line in (tmp_path / "environ").read_text().splitlines())
    assert set(given) - {"PWD", "SHLVL", "_", "OLDPWD"} == {"TOY_SERVICE", "HOME", "TMPDIR"}
    assert given["TOY_SERVICE"] == "here"


def test_an_option_that_the_plugin_does_not_declare_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path, "toy")
    run.add_setup("Setup(options={'colour': 'red'})")
    done, parts = run("-k", "test_basic_nothing")
    assert failed(parts) == {"Basic"}
    assert "Setup sets option 'colour', which the plugin does not declare" in done.stdout


@pytest.mark.parametrize("name", ["lists-its-index", "lists-a-page"])
def test_keys_are_removed_even_after_a_failure(name: str, tmp_path: Path) -> None:
    done, parts = run_of(tmp_path, name)("-k", "test_listing or test_basic or test_processes_lose")
    assert "Listing" in failed(parts), done.stdout
    left = [json.loads(path.read_text()) for path in (tmp_path / "tmp").rglob("toy.json")]
    assert len(left) >= 8
    assert all(items == {} for items in left)


def test_keys_are_removed_where_nobody_may_list(tmp_path: Path) -> None:
    """And one that cannot be deleted keeps no other one."""
    done, parts = run_of(tmp_path, "lists-for-nobody")("-k", "test_basic or test_processes_lose")
    assert "Processes" in failed(parts), done.stdout
    left = [json.loads(path.read_text()) for path in (tmp_path / "tmp").rglob("toy.json")]
    assert len(left) >= 5
    assert all(key.endswith("-0") for items in left for key in items)


def test_a_plugin_that_is_not_installed_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path, "toy")
    (tmp_path / "test_it.py").write_text((tmp_path / "test_it.py").read_text().replace("'toy'", "'joy'"))
    done, parts = run("-k", "test_basic or test_purity")
    assert failed(parts) == {"Basic", "Purity"}
    assert "no storage backend named 'joy' is installed" in done.stdout
