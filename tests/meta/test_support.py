"""The test support itself, where a mistake would make other tests pass for nothing."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.home import Home
from support.moto import MotoServer
from support.openbao import free_port
from support.recording_proxy import RecordingProxy, deny

ROOT = Path(__file__).parents[2]
ASK_FOR_NOTHING = """
import pytest
from support import parts

def test_it():
    parts.need("a unicorn", None, how="wait for it")
"""


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize(("required", "code", "outcome"), [("", 0, "1 skipped"), ("1", 1, "1 failed")])
def test_an_absent_part_is_told(tmp_path: Path, required: str, code: int, outcome: str, processes: str) -> None:
    test = tmp_path / "test_absent.py"
    test.write_text(ASK_FOR_NOTHING)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            processes,
            "-p",
            "no:cacheprovider",
            "-p",
            "support.fixtures",
            test,
        ],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "tests"), "AWSV_REQUIRE_ALL": required},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert outcome in done.stdout
    assert "a unicorn    1 tests  wait for it" in done.stdout


def skips_for_want_of_root(source: str) -> list[int]:
    """The lines where a test skips itself for an ordinary user without ``pytest.mark.root``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.If(test=test, body=body) if "pytest.skip(" in "".join(map(ast.unparse, body)):
                condition = ast.unparse(test)
            case ast.Call(func=ast.Attribute(attr="skipif"), args=[test, *_]):
                condition = ast.unparse(test)
            case _:
                continue
        if re.search(r"uid\(\)(?! == 0|})", condition):  # } of an f-string: a folder of this user's
            found.append(node.lineno)
    return found


def test_what_needs_root_is_marked() -> None:
    """``-m root`` is all that CI runs as root: a test that skips otherwise would run nowhere."""
    assert skips_for_want_of_root("if os.geteuid() != 0 and hard:\n    pytest.skip('no')") == [1]
    assert skips_for_want_of_root("@pytest.mark.skipif(os.getuid(), reason='')\ndef test_it(): ...") == [1]
    found = {
        str(path.relative_to(ROOT)): lines
        for folder in ("core", "plugins", "examples", "tests")
        for path in sorted((ROOT / folder).rglob("test_*.py"))
        if (lines := skips_for_want_of_root(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_a_test_that_needs_root_is_skipped_with_its_reason(tmp_path: Path) -> None:
    test = tmp_path / "test_marked.py"
    test.write_text(
        "import os, pytest\nos.geteuid = lambda: {}\n"
        "@pytest.fixture\ndef dear(): raise OSError\n"
        '@pytest.mark.root("only root can fly")\ndef test_it(dear): pass\n'
    )
    argv = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "-p", "support.root", str(test)]
    for user, told in ((1000, "needs root: only root can fly"), (0, "1 error")):
        text = test.read_text()
        test.write_text(text.replace("{}", str(user)))
        done = subprocess.run(
            argv,
            env={"PYTHONPATH": str(ROOT / "tests")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        test.write_text(text)
        assert told in done.stdout


def test_a_home_shows_nothing_of_the_caller(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/of/the/caller")
    program = "import os, sys; print(os.environ.get('AWS_CA_BUNDLE'), os.getcwd(), sys.stdin.read())"
    done = home.run(sys.executable, "-c", program, input="typed")
    assert done.stdout == f"None {home.cwd} typed\n"


def test_a_home_without_terminal_and_with_one(home: Home) -> None:
    program = "open('/dev/tty').close(); print('a terminal')"
    assert home.run(sys.executable, "-c", program).returncode == 1
    child = home.spawn("-c", program, program=sys.executable)
    child.expect_exact("a terminal")
    child.wait()
    child.close()
    assert child.exitstatus == 0


def test_the_front_records_and_lies_as_told(home: Home, front: RecordingProxy, moto: MotoServer, aws_v1: Path) -> None:
    key = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    front.on("GetCallerIdentity", deny("not today"), times=1)
    ask = (aws_v1, "sts", "get-caller-identity")
    refused = home.run(*ask, env={**key})
    assert "not today" in refused.stderr
    assert json.loads(home.run(*ask, env={**key}).stdout)["Arn"].endswith(":user/alice")
    assert front.actions == ["GetCallerIdentity"] * 2
    assert {call.access_key_id for call in front.calls} == {moto.alice.access_key_id}
    assert not any(call.session_token for call in front.calls)


def test_free_port_that_another_process_got_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, *more = sorted({free_port() for _ in range(3)})
    program = (
        "import random\nfrom support.openbao import free_port\nrandom.seed(1)\nprint(free_port(), flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        drawn = iter([ours, theirs, more[0], 9_999])
        monkeypatch.setattr("random.randrange", lambda *_: next(drawn))
        assert free_port() == 9_999
        other.communicate("\n")
