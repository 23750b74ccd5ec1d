"""An interrupt is an interrupt, wherever in the interpreter it arrives."""

from __future__ import annotations

import subprocess
import sys

import pytest

ARRIVES = """
import sys, time, weakref
from vault_core import main

class Thing:
    pass

def callback(_):
    raise {error}

def version():
    thing = Thing()
    kept = weakref.ref(thing, callback)
    del thing
    time.sleep({seconds})
    print("went on")
    return 0

main._version = version
sys.argv = ["awsv", "--version"]
sys.exit(main.main())
"""


def arriving(error: str, seconds: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ARRIVES.format(error=error, seconds=seconds)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_interrupt_where_nothing_can_be_raised_ends_the_command_quietly() -> None:
    done = arriving("KeyboardInterrupt", 1)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_anything_else_there_is_shown_as_ever() -> None:
    done = arriving("ValueError('odd')", 0)
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert "ValueError: odd" in done.stderr


LEAVES = """
import atexit, sys, threading, time
from vault_core.main import leave

def late():
    time.sleep(0.2)
    print("the thread")

atexit.register(print, "atexit")
class Kept:
    def __del__(self):
        print("taken apart")
kept = Kept()
print("buffered", end=" ")
print("error", end="", file=sys.stderr)
{before}
leave({code})
"""


def leaving(code: int, before: str = "") -> subprocess.CompletedProcess[str]:
    program = LEAVES.format(code=code, before=before)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", [0, 4, 125, 130])
def test_a_process_that_is_left_writes_all_and_keeps_its_code(code: int) -> None:
    done = leaving(code)
    assert (done.returncode, done.stdout, done.stderr) == (code, "buffered atexit\n", "error")


def test_a_process_that_is_left_waits_for_threads_of_others() -> None:
    done = leaving(3, "threading.Thread(target=late).start()")
    assert done.returncode == 3
    assert "the thread" in done.stdout


def test_a_process_that_is_left_does_not_wait_for_an_abandoned_call() -> None:
    done = leaving(3, "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()")
    assert (done.returncode, done.stdout) == (3, "buffered atexit\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_process_is_left_without_a_standard_stream(stream: str) -> None:
    assert leaving(3, f"sys.{stream} = None").returncode == 3
    assert leaving(3, f"sys.{stream}.close()").returncode == 3
