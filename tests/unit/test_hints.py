"""What messages and hints tell people to type exists: commands, their options, and settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vault_core.cli.app import App
from vault_core.cli.commands import Program
from vault_core.plugins.loader import Plugins
from vault_core.plugins.variables import variable

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"(?:^|')awsv ([^']+)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SETTING = re.compile(r"\bAWS_VAULT_[A-Z_]+[A-Z]\b")
PART = "\N{HORIZONTAL ELLIPSIS}"
"""In place of a value that a message has."""


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def texts() -> Iterator[str]:
    """The literal texts of the product, without docstrings: those of messages and hints, and others."""
    for path in sorted([*ROOT.glob("*/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        whole = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) or is_docstring(node)]
        parts = {id(part) for node in whole for part in ast.walk(node) if isinstance(part, ast.Constant)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else PART for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                yield node.value


def commands() -> list[str]:
    """The commands in hints: the whole of a text, or in quotes."""
    found = {match for text in texts() if not re.search(r"\n| $", text) for match in COMMAND.findall(text)}
    return sorted(one for one in found if re.match(r"[a-z-]+( |$)", one))


def problem(line: str) -> str | None:
    """Why a command line cannot be run; None if it can, for some values."""
    ctx = click.Context(Program("awsv"), obj=App(), resilient_parsing=True)
    command: click.Command = ctx.command
    for word in line.split():
        word = word.rstrip(";:,")
        if word == "--":
            return None
        options = [name for one in command.get_params(ctx) for name in (*one.opts, *one.secondary_opts)]
        if word.startswith("--"):
            if PART not in word and word.partition("=")[0] not in options:
                return f"{command.name} has no option {word}"
        elif isinstance(command, click.Group) and PART not in word and word.islower():
            found = command.get_command(ctx, word)
            if found is None:
                return f"{command.name} has no command {word}"
            ctx, command = click.Context(found, parent=ctx, obj=ctx.obj, resilient_parsing=True), found
    return None


def test_commands_are_found() -> None:
    assert len(commands()) > 30
    assert problem("list --unlock") is None
    assert problem("lists") == "awsv has no command lists"
    assert problem("list --unlocked") == "list has no option --unlocked"


@pytest.mark.parametrize("line", commands())
def test_command_of_a_hint_exists(line: str) -> None:
    assert problem(line) is None


def options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """The options of a command and of the commands below it."""
    for parameter in command.get_params(ctx):
        yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            if below := command.get_command(ctx, name):
                yield from options(below, click.Context(below, parent=ctx, obj=ctx.obj, resilient_parsing=True))


def test_options_in_hints_exist() -> None:
    ctx = click.Context(Program("awsv"), obj=App(), resilient_parsing=True)
    known = set(options(ctx.command, ctx))
    told = {
        name
        for text in texts()
        if " " in text and "\n" not in text and not re.search(r"\b(aws|pip|patch|AWS CLI)\b", text)
        for name in OPTION.findall(text)
    }
    assert len(told) > 15
    assert sorted(told - known) == []


def test_settings_in_hints_exist() -> None:
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    known = set().union(*(SETTING.findall(page.read_text(encoding="utf-8")) for page in pages))
    plugins = Plugins()
    for offer in plugins.offers():
        if offer.usable:
            known |= {variable(offer.name, option.name) for option in plugins.options(offer)}
    told = {name for text in texts() if " " in text and "\n" not in text for name in SETTING.findall(text)}
    assert len(told) > 8
    assert sorted(told - known) == []
