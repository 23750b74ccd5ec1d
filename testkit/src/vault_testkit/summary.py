"""The table at the end of a run: what each part of each contract came to, and what it cost."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vault_testkit.case import PROPERTY
from vault_testkit.counting import OPERATIONS


@dataclass
class Row:
    """One part of one plugin's contract."""

    position: int
    outcomes: Counter[str] = field(default_factory=Counter)
    """Tests by outcome: passed, failed, skipped."""
    counts: Counter[str] = field(default_factory=Counter)
    """Operations by name."""
    reasons: list[str] = field(default_factory=list)
    """Why tests were skipped, each once."""
    shrunk: list[str] = field(default_factory=list)
    """What the budget made smaller."""

    @property
    def word(self) -> str:
        """The outcome in a word."""
        if self.outcomes["failed"]:
            return "FAIL"
        return "pass" if self.outcomes["passed"] else "skip"

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.word.lower(),
            "tests": dict(self.outcomes),
            "operations": dict(self.counts),
            "skipped_because": self.reasons,
            "shrunk": self.shrunk,
        }


class Summary:
    """Collects the reports of contract tests, of all processes of the run.

    :param file: where to write them as JSON; None: nowhere.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.rows: dict[tuple[str, str], dict[str, Row]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = [json.loads(str(value)) for name, value in report.user_properties if name == PROPERTY]
        if not found:
            return
        parts = self.rows.setdefault((found[0]["kind"], found[0]["name"]), {})
        row = parts.setdefault(found[0]["part"], Row(found[0]["position"]))
        if report.when == "call" or report.outcome != "passed":
            row.outcomes[report.outcome] += 1
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            row.reasons += [reason] if reason not in row.reasons else []
        if report.when == "teardown":
            for one in found:
                row.counts.update(one["counts"])
                row.shrunk += one["shrunk"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for (kind, name), parts in sorted(self.rows.items()):
            terminalreporter.section(f"contract: {kind} {name}")
            for line in lines(parts):
                terminalreporter.line(line)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._file is not None and not hasattr(session.config, "workerinput"):  # of xdist's the controller writes
            rows = {
                f"{kind}/{name}": {part: row.to_json() for part, row in in_order(parts)}
                for (kind, name), parts in sorted(self.rows.items())
            }
            self._file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def lines(parts: dict[str, Row]) -> list[str]:
    """The table of one plugin."""
    width = max(len(part) for part in parts)
    counted = OPERATIONS if any(row.counts.total() for row in parts.values()) else ()
    found = [f"{'part':<{width}}  outcome  tests " + "".join(f"{name:>8}" for name in counted)]
    for part, row in in_order(parts):
        tests = sum(row.outcomes.values())
        numbers = "".join(f"{row.counts[name]:>8}" for name in counted)
        notes = [*row.reasons, *(f"shrunk: {one}" for one in row.shrunk)]
        found.append(f"{part:<{width}}  {row.word:<7}  {tests:>5} {numbers}  {'; '.join(notes)}".rstrip())
    return found


def in_order(parts: dict[str, Row]) -> list[tuple[str, Row]]:
    """The parts as the contract names them."""
    return sorted(parts.items(), key=lambda part: part[1].position)
