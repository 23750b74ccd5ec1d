"""An interrupt is an interrupt, wherever in the interpreter it arrives."""

from __future__ import annotations

import subprocess
import sys

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
