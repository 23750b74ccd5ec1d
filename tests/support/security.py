"""What the encrypted store promises against damage, forgery, crashes and mistakes: one id for each promise.

A test shows a promise if its name begins with the id (``test_s5_…``) or a mark has it: ``pytest.mark.security("S5")``.
``pytest -m security`` runs them all. A test hands what it counted to the fixture ``figure``; the run ends with the
figures, and under ``AWSV_DEEP`` with a table of all ids.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

DEEP = bool(os.environ.get("AWSV_DEEP"))
"""Set by ``make test-deep``: all rounds in place of a sample."""
IDS = {
    "S1": "every bit of a store, flipped",
    "S2": "every truncation, deletion, insertion; appended bytes",
    "S3": "headers of a valid form with odd content",
    "S4": "stores of a newer version: untouched",
    "S5": "key derivation outside of the limits: no work is done",
    "S6": "key derivation changed, slots exchanged: never adopted",
    "S7": "entries exchanged, brought back, or of another store",
    "S8": "the store rolled back, forked, replaced or gone",
    "S9": "each system call failing, or the last one before a kill",
    "S10": "kill -9: nothing acknowledged is lost, no lock stays",
    "S11": "a full disk",
    "S12": "many writers and readers; a holder of the lock that is stopped",
    "S13": "permissions, owners, links, kinds of files",
    "S14": "folders that are read-only, missing, or go away",
    "S15": "slots of each type; which secret opens, and what is said",
    "S16": "passwd and rekey: what changes and what stays",
    "S17": "two writes share nothing",
    "S19": "golden files, and a second implementation",
    "S20": "any bytes for the decoder; any calls for the store",
    "S21": "names of any form, and ten thousand of them",
}
_BY_NAME = re.compile(r"test_(s\d+)_")
_BY_MARK = re.compile(r"security\(([^)]*)\)")


def sample(few: int, all_: int) -> int:
    """How many rounds to run: all of them under ``AWSV_DEEP``."""
    return all_ if DEEP else few


def written_in(path: Path) -> set[str]:
    """The ids that a test file has tests for."""
    text = path.read_text(encoding="utf-8")
    marked = {found for mark in _BY_MARK.findall(text) for found in re.findall(r'"(S\d+)"', mark)}
    return marked | {found.upper() for found in re.findall(r"^def test_(s\d+)_", text, re.MULTILINE)}


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Has a text with a figure printed at the end of the run."""
    return lambda text: request.node.user_properties.append(("figure", text))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "security(id, ...): shows these promises of support.security")


@pytest.hookimpl(tryfirst=True)  # before ``-m`` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        named = _BY_NAME.match(item.name)
        if named:
            item.add_marker(pytest.mark.security(named[1].upper()))
        ids = {str(id_) for mark in item.iter_markers("security") for id_ in mark.args}
        if ids:
            item.user_properties.append(("security", sorted(ids)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End the run with what the tests counted."""
    reports = [report for kind in ("passed", "failed", "skipped") for report in terminalreporter.stats.get(kind, ())]
    lines = list(_table(reports)) if DEEP else [line for report in reports for line in _figures(report)]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)


def _table(reports: Iterable[pytest.TestReport]) -> Iterable[str]:
    reports = list(reports)
    for id_, promise in IDS.items():
        shown = [report for report in reports if id_ in dict(report.user_properties).get("security", ())]  # type: ignore[operator]  # the property is a list of ids
        outcomes = Counter(report.outcome for report in shown)
        counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "NOT RUN"
        yield f"{id_:<4} {promise}: {counted}"
        for report in shown:
            yield from (f"     {line}" for line in _figures(report))


def _figures(report: pytest.TestReport) -> Iterable[str]:
    test = report.nodeid.partition("::")[2]
    return (f"{test}: {text}" for name, text in report.user_properties if name == "figure")
