"""The modules of the command line stay thin: no command imports another, and each command fits one screen or two."""

from __future__ import annotations

import ast
import keyword
from pathlib import Path

import pytest

from vault_core.cli.commands import COMMANDS

FOLDER = Path(__file__).parents[2] / "core/src/vault_core/cli"
MODULES = {name: f"{name}_" if keyword.iskeyword(name) else name for name in COMMANDS}
LONGEST = 80
"""Lines of one function, with its options and its help."""


def tree_of(command: str) -> ast.Module:
    return ast.parse((FOLDER / f"{MODULES[command]}.py").read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> set[str]:
    """The modules of the command line that a module imports, inside functions included."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    prefix = "vault_core.cli."
    return {name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)}


def test_imported_sees_every_form() -> None:
    text = "import vault_core.cli.a\nfrom vault_core.cli import b\ndef f():\n    from vault_core.cli.c import x\n"
    assert imported(ast.parse(text)) == {"a", "b", "c"}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_imports_no_other_command(command: str) -> None:
    assert imported(tree_of(command)) & (set(MODULES.values()) - {MODULES[command]}) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_command_function_is_short(command: str) -> None:
    functions = [node for node in ast.walk(tree_of(command)) if isinstance(node, ast.FunctionDef)]
    lines = {
        one.name: (one.end_lineno or 0) - min([one.lineno, *(d.lineno for d in one.decorator_list)]) + 1
        for one in functions
    }
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}
