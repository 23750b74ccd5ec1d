"""What is public, read from the source: every name of ``vault_core.api``, the hookspecs and the kit, with signatures.

Signatures come from the syntax tree, so they read as they are written, whatever Python runs this. Three forms:
:func:`frozen` (for ``tests/api.txt``), :func:`frozen_format` (for ``tests/vlt_api.txt``) and :func:`reference` (for
``docs/plugins/reference.md``). Run as a program it writes them: ``python -m support.public_api reference|frozen``.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import vault_testkit as testing
from vault_core import api, hookspecs, vlt
from vault_core.plugins.discovery import GROUPS

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "tests/api.txt"
FROZEN_FORMAT = ROOT / "tests/vlt_api.txt"
REFERENCE = ROOT / "docs/plugins/reference.md"


@dataclass(frozen=True)
class Member:
    """A field, a method, a property or the member of an enumeration."""

    name: str
    signature: str
    doc: str


@dataclass(frozen=True)
class Entry:
    """One public name."""

    name: str
    signature: str
    doc: str
    members: list[Member] = field(default_factory=list)


def entries(module: ModuleType) -> list[Entry]:
    """The names in ``__all__`` of a module, sorted."""
    return [_entry(module, name) for name in sorted(module.__all__)]


def hooks() -> list[Entry]:
    """The hookspecs."""
    tree = ast.parse(inspect.getsource(hookspecs))
    return [
        Entry(node.name, _function(node), ast.get_docstring(node) or "")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("vault_")
    ]


def _entry(module: ModuleType, name: str) -> Entry:
    found = getattr(module, name)
    if isinstance(found, ModuleType):
        return Entry(name, f"module {name}", inspect.getdoc(found) or "")
    if not (inspect.isclass(found) or inspect.isfunction(found)) or found.__name__ != name:
        return _assigned(module, name)
    (node,) = ast.parse(inspect.getsource(found)).body
    doc = ast.get_docstring(node) or ""  # type: ignore[arg-type]  # a class or a function
    if isinstance(node, ast.FunctionDef):
        return Entry(name, _function(node), doc)
    assert isinstance(node, ast.ClassDef)
    return Entry(name, _header(node), doc, list(_members(found, node)))  # type: ignore[arg-type]  # of a class, then, it is one


def _header(node: ast.ClassDef) -> str:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    decorators = "".join(f"@{ast.unparse(decorator)} " for decorator in node.decorator_list)
    return f"{decorators}class {node.name}({bases})" if bases else f"{decorators}class {node.name}"


def _function(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    marks = "".join(f"@{mark} " for mark in decorators if mark in ("abstractmethod", "property", "staticmethod"))
    return f"{marks}{node.name}({ast.unparse(node.args)}){returns}"


def _members(found: type, node: ast.ClassDef) -> Iterator[Member]:
    following: list[ast.stmt | None] = [*node.body[1:], None]
    for statement, after in zip(node.body, following, strict=True):
        match statement:
            case ast.FunctionDef(name=name) if not name.startswith("_") or name == "__init__":
                yield Member(name, _function(statement), ast.get_docstring(statement) or "")
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                yield Member(name, ast.unparse(statement), _docstring(after))
            case ast.Assign(targets=[ast.Name(id=name)]) if not name.startswith("_"):
                known = issubclass(found, enum.Enum) and name in found.__members__
                value = f"{name} = {found[name].value!r}" if known else ast.unparse(statement)  # type: ignore[index]  # an enumeration
                yield Member(name, value, _docstring(after))


def _docstring(statement: ast.stmt | None) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
    return ""


def _assigned(module: ModuleType, name: str) -> Entry:
    """A constant or an alias, of the module or of one in its package that it takes it from."""
    package = Path(inspect.getfile(module)).parent
    for path in sorted(package.glob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, after in zip(body, [*body[1:], None], strict=True):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            target = statement.target if isinstance(statement, ast.AnnAssign) else target
            if isinstance(target, ast.Name) and target.id == name:
                return Entry(name, ast.unparse(statement), _docstring(after))
    raise LookupError(f"{module.__name__}.{name} is assigned nowhere")


OVERRIDDEN = frozenset(
    ("budget", "entry_point", "expected", "locked", "profiles", "serial", "setup", "source", "wrong_profiles")
)
"""What a plugin's tests set or override in a contract; its other members are its own business."""

# -- frozen ------------------------------------------------------------------------------------------------------------


def frozen() -> str:
    """Everything that a plugin may rely on, one line each."""
    lines = ["# What plugins rely on. A test compares it; 'make freeze-api' writes it: read the difference first."]
    lines += ["", "[entry points]", *(f"{kind}: {group}" for kind, group in GROUPS.items())]
    lines += ["", "[vault_core.hookspecs]", *(entry.signature for entry in hooks())]
    lines += ["", *_module(api)]
    lines += ["", f"[{testing.__name__}]"]
    for entry in entries(testing):
        lines += [_of_kit(entry), *(f"    {member.signature}" for member in kit(entry))]
    return "\n".join(lines) + "\n"


def frozen_format() -> str:
    """Everything that a backend which writes the file format itself may rely on, one line each."""
    lines = ["# What a backend that writes the format itself relies on, besides api.txt; compared and written like it."]
    return "\n".join([*lines, "", *_module(vlt)]) + "\n"


def _module(module: ModuleType) -> Iterator[str]:
    yield f"[{module.__name__}]"
    for entry in entries(module):
        yield entry.signature
        yield from (f"    {member.signature}" for member in entry.members)


def _of_kit(entry: Entry) -> str:
    """The signature of a class of the kit; of which parts a contract is made is its own business."""
    return f"class {entry.name}" if entry.name.endswith("Contract") else entry.signature


def kit(entry: Entry) -> list[Member]:
    """What the tests of a plugin may use of a class of the kit; of a contract, what they set or override."""
    if not entry.name.endswith("Contract"):
        return entry.members
    found: dict[str, Member] = {}
    for base in getattr(testing, entry.name).__mro__[:-1]:
        (node,) = ast.parse(inspect.getsource(base)).body
        assert isinstance(node, ast.ClassDef)
        for member in _members(base, node):
            if member.name in OVERRIDDEN:
                found.setdefault(member.name, member)
    return [member for _, member in sorted(found.items())]


# -- reference ---------------------------------------------------------------------------------------------------------

_MODULES = (
    "storage",
    "passphrase",
    "mfa",
    "session",
    "access_keys",
    "console",
    "command",
    "spec",
    "scan",
    "context",
    "options",
    "network",
)
_ROLE = re.compile(r":[a-z]+:`(~?)([^`]+)`")
_FIELD = re.compile(r"^:(param|returns|raises)(?: ([\w.]+))?: ", re.M)


def reference() -> str:
    """The pages' common reference, from the docstrings."""
    lines = [
        "# Reference",
        "",
        "Made from the docstrings of `vault_core.api`, `vault_core.hookspecs` and `vault_testkit` (`make docs`).",
        "Import all of it from `vault_core.api`, and [the contract kit](index.md#the-contract-kit) from",
        "`vault_testkit`. Nothing else of the core is public.",
        "",
        "## Hooks",
        "",
        *_hooks(),
    ]
    known = {entry.name: entry for entry in entries(api)}
    for name in _MODULES:
        module = importlib.import_module(f"vault_core.api.{name}")
        here = [entry for entry in known.values() if _home(entry.name) == module.__name__]
        lines += [
            f"## {name.capitalize().replace('_', ' ')}",
            "",
            _text(inspect.getdoc(module) or ""),
            "",
            *_entries(here),
        ]
    rest = [entry for entry in known.values() if not (_home(entry.name) or "").startswith("vault_core.api.")]
    errors = [entry for entry in rest if _home(entry.name) == "vault_core.errors"]
    lines += ["## Errors", "", _text(inspect.getdoc(importlib.import_module("vault_core.errors")) or ""), ""]
    lines += _entries(errors)
    lines += ["## The rest", "", *_entries([entry for entry in rest if entry not in errors])]
    lines += ["## The contract kit", "", "Of a contract: what a class of yours sets, and the fixtures to override.", ""]
    lines += _entries([replace(entry, signature=_of_kit(entry), members=kit(entry)) for entry in entries(testing)])
    return "\n".join(lines).rstrip("\n") + "\n"


def _home(name: str) -> str | None:
    """The module that defines a public name."""
    found = getattr(api, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        return found.__module__ if found.__name__ == name else "vault_core.api.storage"
    return "vault_core.api.storage" if hasattr(importlib.import_module("vault_core.api.storage"), name) else None


def _hooks() -> list[str]:
    return [line for entry in hooks() for line in (f"- `{entry.signature}`: {_text(entry.doc)}",)] + [""]


def _entries(found: list[Entry]) -> Iterator[str]:
    for entry in found:
        yield from (f"### {entry.name}", "", f"`{entry.signature}`", "")
        if entry.doc:
            yield from (_text(entry.doc), "")
        for member in entry.members:
            described = _text(member.doc).replace("\n", "\n  ").replace("\n  \n", "\n\n")
            yield f"- `{member.signature}`" + (f": {described}" if described else "")
        if entry.members:
            yield ""


def _text(doc: str) -> str:
    """A docstring's markup as the pages have it."""
    plain = _ROLE.sub(lambda found: f"`{found[2].rpartition('.')[2] if found[1] else found[2]}`", doc)
    plain = plain.replace("``", "`").replace("\n::\n", "\n")
    plain = _FIELD.sub(lambda found: f"- {_field(found)}", plain)
    return re.sub(r"\n+- ", "\n- ", plain)


def _field(found: re.Match[str]) -> str:
    match found.groups():
        case ("param", name):
            return f"`{name}`: "
        case ("raises", name):
            return f"raises `{name}`: "
    return "returns "


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["reference"]:
            REFERENCE.write_text(reference(), encoding="utf-8")
        case ["frozen"]:
            FROZEN.write_text(frozen(), encoding="utf-8")
            FROZEN_FORMAT.write_text(frozen_format(), encoding="utf-8")
        case _:
            sys.exit(__doc__)
