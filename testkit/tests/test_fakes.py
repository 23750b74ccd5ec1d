"""The stand-ins for the host, and the worker's ways of telling that something is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vault_core.api import QuestionRefused, Secret, SourceUnavailable
from vault_testkit import FakeClock, FakeContext, FakeTerminal, Setup, canary

WITHOUT_PYTEST = """
import sys
from vault_testkit import FakeClock, FakeContext, FakeTerminal, Setup
import vault_testkit.worker
print("pytest" in sys.modules)
"""


def test_fakes_and_workers_do_not_import_pytest() -> None:
    done = subprocess.run([sys.executable, "-I", "-c", WITHOUT_PYTEST], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_unknown_name_of_the_kit_raises() -> None:
    import vault_testkit as kit

    with pytest.raises(AttributeError, match="no attribute 'StorageTests'"):
        _ = kit.StorageTests


def test_every_public_name_of_the_kit_is_a_class() -> None:
    import vault_testkit as kit

    assert all(isinstance(getattr(kit, name), type) for name in kit.__all__)


def test_a_clock_that_only_the_test_moves(fake_clock: FakeClock) -> None:
    began = fake_clock.time()
    fake_clock.sleep(90)
    fake_clock.advance(0.5)
    assert fake_clock.time() - began == fake_clock.monotonic() == 90.5
    assert fake_clock.now().timestamp() == fake_clock.time()


def test_a_terminal_where_everything_is_typed_already(fake_terminal: FakeTerminal) -> None:
    with pytest.raises(SourceUnavailable, match="this test has no user to ask"):
        fake_terminal.ask("who? ")
    fake_terminal.answers += ["me", None, "", "y", "n"]
    assert fake_terminal.ask("who? ", secret=False) == Secret("me")
    for _ in range(2):
        with pytest.raises(QuestionRefused):
            fake_terminal.ask("again? ")
    assert [fake_terminal.confirm("sure?") for _ in range(3)] == [True, False, False]
    assert fake_terminal.questions == ["who? ", "who? ", "again? ", "again? ", *["sure?"] * 3]
    assert fake_terminal.hidden == [True, False, True, True, *[False] * 3]


def test_a_context_in_the_tests_own_folder(fake_context: FakeContext, tmp_path: Path) -> None:
    assert fake_context.data_dir == tmp_path / "data"
    assert (fake_context.find_recursion("work"), fake_context.environ) == (None, {})


def test_a_context_asks_as_the_host_does(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, answers=["me", "", None])
    assert context.ask("who? ") == Secret("me")
    for _ in range(2):
        with pytest.raises(QuestionRefused):
            context.ask("again? ")


@pytest.mark.process
def test_a_context_runs_programs_as_the_host_does(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "TERM": "dumb", "MINE": "1", "OTHERS": "2"}
    program = 'echo "$TERM $MINE $OTHERS"; printf "gr\\374n" >&2; exit 3'
    done = FakeContext(tmp_path, environ=environ).run(["sh", "-c", program], env=["MINE"])
    assert (done.returncode, done.stdout) == (3, Secret("dumb 1 \n"))
    assert done.stderr == "gr\N{REPLACEMENT CHARACTER}n"


def test_a_setup_has_defaults() -> None:
    assert Setup() == Setup(options={}, environ={}, files=(), before_child=())


@pytest.mark.parametrize("disguise", ["plain", "base64", "inside", "hex", "utf-16", "reversed", "percent"])
def test_a_canary_is_found_in_disguise(disguise: str, tmp_path: Path) -> None:
    import base64
    from urllib.parse import quote

    value = canary.make()
    raw = value.encode()
    hidden = {
        "plain": raw,
        "base64": base64.b64encode(raw),
        "inside": base64.urlsafe_b64encode(b"before it " + raw + b" and after"),
        "hex": raw.hex().encode(),
        "utf-16": value.encode("utf-16-le"),
        "reversed": raw[::-1],
        "percent": quote(value, safe="").encode(),
    }[disguise]
    file = tmp_path / "folder/file"
    file.parent.mkdir()
    file.write_bytes(b"\0noise" + hidden + b"noise")
    assert canary.holding([tmp_path], value) == [str(file)]
    assert canary.holding([tmp_path], canary.make()) == []
