"""What keeps others out of this process's memory, and what the program that ``exec`` becomes gets back."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from vault_core.cli import harden

LIMITED = """
import resource, sys
sys.path[:] = {path!r}
from vault_core.cli.harden import harden, unharden
resource.setrlimit(resource.RLIMIT_CORE, {before!r})
harden()
print(resource.getrlimit(resource.RLIMIT_CORE))
unharden()
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_no_core_file_is_written_while_secrets_are_held_and_the_callers_limit_comes_back() -> None:
    """Where a system writes core files of closed processes too (``suid_dumpable``), or has no ``prctl``."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if not hard:
        pytest.skip("core files are forbidden to this process already")
    before = (4096 if hard == resource.RLIM_INFINITY else hard, hard)
    source = LIMITED.format(path=sys.path, before=before)
    done = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str((0, hard)), str(before)]


@pytest.mark.parametrize("name", ["sh", "a b", "a) S 1 (b", ")", "("])
def test_the_processes_behind_this_one_are_known_whatever_their_names(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = os.getppid()
    files = {f"/proc/{parent}/stat": f"{parent} ({name}) S 77 0 0", "/proc/77/stat": f"77 ({name}) S 0 0 0"}
    monkeypatch.setattr(harden, "_read", lambda path: files.get(path, ""))
    assert list(harden._ancestors()) == [parent, 77]
