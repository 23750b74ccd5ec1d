"""Lines to paste: a shell and the program get the very operands, also where they look like options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from vault_core.command_line import command_line

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("operands", "line"),
    [
        ((), "awsv add"),
        (("work",), "awsv add work"),
        (("a b",), "awsv add 'a b'"),
        (("-f",), "awsv add -- -f"),
        (("--help", "x"), "awsv add -- --help x"),
        (("work", "-f"), "awsv add -- work -f"),
        ((Path("-x.vlt"),), "awsv add -- -x.vlt"),
        (("",), "awsv add ''"),
        (("-$(id)",), "awsv add -- '-$(id)'"),
    ],
)
def test_command_line_quotes_and_separates_operands(operands: Any, line: Any) -> None:
    assert command_line("awsv add", *operands) == line
    assert shlex.split(line)[-len(operands) or len(shlex.split(line)) :] == list(map(str, operands))


def test_sources_build_command_lines_with_the_function() -> None:
    own = re.compile(r"awsv(?: [a-z-]+)* \{shlex\.quote")
    sources = [*ROOT.glob("core/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    assert len(sources) > 100
    by_hand = {path.name for path in sources if own.search(path.read_text("utf-8"))}
    assert by_hand == {"awsvault.py"}  # the value of an option, never an operand
