"""The marks that are set automatically: what makes a test ``process`` or ``server``, and what no unit test may do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from support import kinds, vaults
from support.home import Home
from support.moto import MotoServer

ROOT = Path(__file__).parents[2]
UNIT_SHARE = 0.6
"""Of the core's test functions, at least."""
HIDDEN = """
import os

def test_it():
    {}
"""


class Machine:
    """Its methods count where they are called."""

    def start(self) -> None:
        os.fork()

    def look(self) -> str:
        return "idle"


def helper() -> None:
    subprocess.run(["true"])


def by_a_helper() -> None:
    helper()


def by_a_local_import() -> None:
    import pexpect

    pexpect.spawn("true")


def by_a_method() -> None:
    Machine().start()


def by_another_method() -> str:
    return Machine().look()


def by_another_module(tmp_path: Path) -> str:
    return vaults.offline(tmp_path).awsv("list").stdout


def by_a_class(tmp_path: Path) -> Any:
    return Home(tmp_path, "http://127.0.0.1:1").spawn()


def by_a_server(tmp_path: Path) -> MotoServer:
    return MotoServer(tmp_path)


def by_nothing(tmp_path: Path) -> str:
    return os.fspath(tmp_path)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (by_a_helper, {"process"}),
        (by_a_local_import, {"process"}),
        (by_a_method, {"process"}),
        (by_another_method, set()),
        (by_another_module, {"process"}),
        (by_a_class, {"process"}),
        (by_a_server, {"process", "server"}),
        (by_nothing, set()),
    ],
)
def test_kinds_of_follows_test_code(function: Callable[..., Any], expected: set[str]) -> None:
    assert isinstance(function, FunctionType)
    assert kinds.kinds_of(frozenset({function}), frozenset()) == expected


def pytest_run(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *words],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "tests")},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("os.system('true')", "os.system"),
        ("os.waitpid(os.fork() or os._exit(0), 0)", "os.fork"),
        ("__import__('subprocess').run(['true'])", "subprocess.Popen"),
        ("__import__('socket').socket().connect_ex(('127.0.0.1', 1))", "socket.connect"),
        ("try: os.system('true')\n    except Exception: pass", "os.system"),
    ],
)
def test_unit_test_that_starts_a_process_fails(line: str, event: str, tmp_path: Path) -> None:
    (tmp_path / "test_hidden.py").write_text(HIDDEN.format(line))
    done = pytest_run("-p", "support.kinds", "-m", "unit", "test_hidden.py", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert f"a unit test did: {event}; if it must, it needs pytest.mark.process" in done.stdout


def collected(*words: str) -> list[str]:
    """The test functions that pytest finds, one for each case."""
    done = pytest_run("--collect-only", "--no-header", *words)
    return re.findall(r"(?m)^(\S+::[^\[\s]+)", done.stdout)


def test_unit_tests_are_most_of_the_cores() -> None:
    units, functions = set(collected("-m", "unit", "core/tests")), set(collected("core/tests"))
    assert len(units) >= UNIT_SHARE * len(functions)


def test_each_file_across_distributions_is_in_the_folder_of_its_kind() -> None:
    folders = ("tests/unit", "tests/cli", "tests/servers")
    cases = Counter(name.partition("::")[0] for name in collected(*folders))
    serving = Counter(name.partition("::")[0] for name in collected("-m", "server", *folders))
    units = Counter(name.partition("::")[0] for name in collected("-m", "unit", *folders))
    expected = {}
    for file, number in cases.items():
        if units[file] == number:
            expected[file] = "unit"
        elif file.startswith("tests/servers/"):
            expected[file] = "servers" if serving[file] else "cli"
        else:
            expected[file] = "servers" if serving[file] > number / 2 else "cli"
    assert {file.split("/")[1] for file in cases} == {"unit", "cli", "servers"}
    assert {file: kind for file, kind in expected.items() if not file.startswith(f"tests/{kind}/")} == {}


def test_no_test_across_distributions_is_outside_of_the_folders() -> None:
    assert [path.name for path in (ROOT / "tests").glob("test_*.py")] == []
