"""Other Pythons of this machine, for what has to work after the interpreter is replaced by another one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""Minor versions that awsv supports."""
OWN = "{}.{}".format(*sys.version_info)


def version_of(python: str | Path) -> str:
    """The minor version of an interpreter; empty if it does not run, as a version manager's launcher of what it does
    not select."""
    script = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def other() -> tuple[Path, str] | None:
    """An interpreter of another minor version than this one's, and its version; None if there is none."""
    for version in VERSIONS:
        for candidate in _candidates(version) if version != OWN else ():
            if version_of(candidate) == version:
                return candidate, version
    return None


def _candidates(version: str) -> Iterator[Path]:
    """Where :file:`scripts/test-others` looks, too."""
    if found := shutil.which(f"python{version}"):
        yield Path(found)
    try:
        yield from sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    except RuntimeError:  # no home
        return
