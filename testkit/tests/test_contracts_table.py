"""``make contracts``: the table of backends and parts, of a real run of one backend and of outcomes of every sort."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / "scripts/contracts.py"


@pytest.fixture(scope="module")
def contracts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("awsv_contracts_program", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def part(outcome: str, *reasons: str, operations: int = 0, shrunk: tuple[str, ...] = ()) -> dict[str, Any]:
    counts = {"get": operations, "put": 0}
    return {"outcome": outcome, "operations": counts, "skipped_because": list(reasons), "shrunk": list(shrunk)}


def test_the_table_says_what_became_of_every_part(contracts: ModuleType) -> None:
    found = {
        "zoo": {"Basic": part("skip", "absent part: Zoo (apt-get install zoo)")},
        "sqlite": {
            "Basic": part("pass", operations=12, shrunk=("keys 60 to 3",)),
            "Threads": part("skip", "sqlite does not declare MULTI_THREAD"),
        },
        "file": {
            "Basic": part("fail", operations=3),
            "Threads": part("skip", "file is at_rest=BACKEND: the core seals only what is at_rest=CORE"),
        },
    }
    assert "\n".join(contracts.lines(found)) == (
        "         file        sqlite           zoo\n"
        "Basic    FAIL 3      pass 12          absent\n"
        "Threads  by BACKEND  no MULTI_THREAD\n"
        "\n"
        "file, Threads: file is at_rest=BACKEND: the core seals only what is at_rest=CORE\n"
        "sqlite has a budget: keys 60 to 3\n"
        "zoo, Basic: absent part: Zoo (apt-get install zoo)\n"
        "keychain: no test of it ran\n"
        "hashicorp: no test of it ran\n"
        "pass: no test of it ran"
    )


def test_every_storage_backend_of_the_workspace_is_in_it(contracts: ModuleType) -> None:
    folders = {path.relative_to(PROGRAM.parents[1]).parts[1] for path in contracts.tests()}
    assert folders >= {"file", "keychain", "hashicorp", "vault-plugin-sqlite", "vault-plugin-pass"}


def test_a_real_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "-p", "no:cacheprovider", "-k", "TestFile and test_basic"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    head, basic, *_ = done.stdout.splitlines()
    assert head.split() == ["file"]
    assert basic.split()[:2] == ["Basic", "pass"]
    assert int(basic.split()[2]) > 20
