"""Run the contract of storage backends on every backend of the workspace and print backend by part.

``contracts.py [ARGUMENT...]``, in the environment that has the distributions; the arguments are pytest's. A cell is the
outcome and the number of operations, or what the backend does not declare; reasons stand below the table.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FIRST = ("file", "keychain", "hashicorp", "sqlite", "pass")
"""The order of the columns; other backends come after them."""
UNDECLARED = re.compile(r"\S+ does not declare (\w+)")
AT_REST = re.compile(r"\S+ is at_rest=(\w+)")

Parts = Mapping[str, Mapping[str, Any]]


def tests() -> list[Path]:
    """The test files with the contract of a storage backend."""
    found = [path for folder in ("plugins", "examples") for path in ROOT.glob(f"{folder}/*/tests/test_*.py")]
    return sorted(path for path in found if "(StorageContract)" in path.read_text(encoding="utf-8"))


def run(arguments: list[str]) -> tuple[int, dict[str, Parts]]:
    """Pytest's exit code, and the outcomes of all parts by backend."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = [sys.executable, "-m", "pytest", "-q", "--contract-report", str(report), *arguments]
        done = subprocess.run([*words, *map(str, tests())], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not report.exists():
            sys.stderr.write(done.stdout + done.stderr)
        found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    return done.returncode, {
        name.removeprefix("storage/"): found[name] for name in found if name.startswith("storage/")
    }


def cell(part: Mapping[str, Any] | None) -> str:
    """What the table says of one part of one backend."""
    if part is None:
        return ""
    if part["outcome"] != "skip":
        return f"{part['outcome'].replace('fail', 'FAIL')} {sum(part['operations'].values()) or ''}".strip()
    for reason in part["skipped_because"]:
        if reason.startswith("absent part"):
            return "absent"
        if match := UNDECLARED.match(reason):
            return f"no {match[1]}"
        if match := AT_REST.match(reason):
            return f"by {match[1]}"
    return "skip"


def _reasons(part: Mapping[str, Any] | None) -> list[str]:
    """Why tests of a part were skipped, unless its cell says it all."""
    told: list[str] = part["skipped_because"] if part else []
    return [] if cell(part).startswith("no ") and len(told) == 1 else told


def lines(found: Mapping[str, Parts]) -> Iterator[str]:
    """The table, and below it what was skipped or made smaller, and why."""
    names = sorted(found, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    parts = list(dict.fromkeys(part for name in names for part in found[name]))
    rows = [["", *names], *([part, *(cell(found[name].get(part)) for name in names)] for part in parts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) + 1)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    for name in names:
        told = ((part, reason) for part in parts for reason in _reasons(found[name].get(part)))
        yield from (f"{name}, {part}: {reason}" for part, reason in told)
        shrunk = [one for part in parts for one in found[name].get(part, {}).get("shrunk", ())]
        if shrunk:
            yield f"{name} has a budget: {', '.join(dict.fromkeys(shrunk))}"
    for name in FIRST:
        if name not in found:
            yield f"{name}: no test of it ran"


def main() -> int:
    """Run, print, and end as pytest did."""
    code, found = run(sys.argv[1:])
    sys.stdout.write("\n".join(lines(found)) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
