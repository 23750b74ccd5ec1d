"""What plugins rely on changes only on purpose: names, signatures, fields, defaults and values are frozen."""

from __future__ import annotations

import ast
import difflib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import vault_core
import vault_testkit as testing
from support import public_api
from vault_core import api, vlt

HOW = """
The public surface of vault_core differs from tests/{file} (- was, + is):

{difference}

Plugins for the .v1 groups rely on every line of it. Allowed: a new name, and a new field, parameter or
method that has a default. Not allowed within .v1: a name, parameter, field or value that goes, moves or changes its
meaning; a default that changes; a new abstract method. If the change is allowed and on purpose: 'make freeze-api docs',
and commit what they write with it.
"""


@pytest.mark.parametrize(
    ("file", "surface"),
    [(public_api.FROZEN, public_api.frozen), (public_api.FROZEN_FORMAT, public_api.frozen_format)],
    ids=["api", "vlt"],
)
def test_public_surface_matches_frozen_text(file: Path, surface: Callable[[], str]) -> None:
    was, now = file.read_text(encoding="utf-8"), surface()
    difference = "\n".join(difflib.unified_diff(was.splitlines(), now.splitlines(), lineterm="", n=0))
    assert was == now, HOW.format(difference=difference, file=file.name)


@pytest.mark.parametrize("module", [api, vlt, testing], ids=lambda module: module.__name__)
def test_every_public_name_says_what_it_is(module: object) -> None:
    told = {entry.name: entry.doc for entry in public_api.entries(module)}  # type: ignore[arg-type]  # a module
    assert [name for name, doc in told.items() if not doc and name != "hookimpl"] == []


def test_every_public_method_says_what_it_does() -> None:
    silent = [
        f"{entry.name}.{member.name}"
        for entry in public_api.entries(api)
        for member in entry.members
        if "(" in member.signature.partition(":")[0] and not member.doc and member.name != "__init__"
    ]
    assert silent == []


@pytest.mark.parametrize("module", [vault_core, api, vlt], ids=lambda module: module.__name__)
def test_type_checkers_see_the_names_that_a_program_can_import(module: ModuleType) -> None:
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: f"{node.module}.{alias.name}" for node in imports for alias in node.names if alias.asname}
    assert sorted(seen) == module.__all__
    assert all(getattr(module, name) is pkgutil.resolve_name(origin) for name, origin in seen.items())


def test_everything_public_is_frozen() -> None:
    frozen = public_api.frozen() + public_api.frozen_format()
    for name in (*api.__all__, *vlt.__all__, *testing.__all__):
        assert f" {name}" in frozen.replace("\n", " "), name


def test_what_plugins_set_of_a_contract_is_there() -> None:
    contracts = [entry for entry in public_api.entries(testing) if entry.name.endswith("Contract")]
    told = {member.name for entry in contracts for member in public_api.kit(entry)}
    assert told == public_api.OVERRIDDEN


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    def close(self)", "    @abstractmethod\n    def more(self) -> None: ...\n\n    def close(self)"),
        ("    help: str", "    helps: str"),
        ("    secret: bool = False", "    secret: bool = True"),
        ('    CORE = "core"', '    AWSV = "core"'),
        ("timeout: float = 30.0", "timeout: float"),
        ("exit_code = 4", "exit_code = 5"),
    ],
    ids=["new-abstract-method", "renamed-field", "other-default", "renamed-member", "no-default", "other-exit-code"],
)
def test_a_change_is_seen(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, changed = inspect.getsource, []

    def altered(found: object) -> str:
        source = read(found)  # type: ignore[arg-type]  # whatever is asked for
        changed.append(old in source)
        return source.replace(old, new)

    monkeypatch.setattr(inspect, "getsource", altered)
    now = public_api.frozen()
    assert any(changed)
    assert now != public_api.FROZEN.read_text(encoding="utf-8")
