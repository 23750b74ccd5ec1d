"""The processes that ``make bench`` measures do their actions; their times are not checked here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ONE_STORE = Path(__file__).parents[3] / "benchmarks" / "one_store.py"
MAKE = "import pathlib, one_store, sys; print(one_store.make(pathlib.Path(sys.argv[1]), 10))"


def run(*words: Any) -> Any:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ONE_STORE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *words], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a store of ten entries."""
    folder = tmp_path_factory.mktemp("bench") / "10"
    folder.mkdir()
    assert run("-c", MAKE, str(folder)) == (folder / "store/store.vlt").stat().st_size
    return folder


@pytest.mark.parametrize("action", ["get", "put", "list"])
def test_bench_process_does_its_action(ten: Any, action: Any) -> None:
    before = (ten / "store/store.vlt").read_bytes()
    found = run(str(ONE_STORE), str(ten), action, "2")
    assert len(found["seconds"]) == 2
    assert 5_000 < found["memory"] < 500_000
    assert ((ten / "store/store.vlt").read_bytes() != before) == (action == "put")
