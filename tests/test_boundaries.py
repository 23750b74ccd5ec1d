"""Who may import whom: the layers of the core, the plugins' one door, and what must not load with a module.

Every rule is checked on the syntax tree of every source file, imports inside functions included.
"""

from __future__ import annotations

import ast
import importlib
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vault_core.plugins.discovery import GROUPS, scan
from vault_core.plugins.loader import OURS, Plugins

WORKSPACE = Path(__file__).parents[1]
CORE = WORKSPACE / "core/src"
PLUGINS = sorted(path.parent for path in WORKSPACE.glob("plugins/*/pyproject.toml"))
EXAMPLES = sorted(path.parent for path in WORKSPACE.glob("examples/*/pyproject.toml"))
"""Strangers' plugins: they keep the same rules, and the core does not know their names."""
KINDS = {group: kind for kind, group in GROUPS.items()}

LAYERS = (
    {"secret", "errors", "settings", "child_env", "folders", "files", "ordinary", "pasting", "terminal", "output"},
    {"vlt"},
    {"api", "hookspecs", "terminal_lock"},
    {"keyslots"},
    {"awsconfig", "storage", "plugins", "importing", "passphrases", "mfa"},
    {"sessions", "agent", "serve"},
    {"cli", "main"},
)
"""From the lowest: a module imports from its own layer and from lower ones."""

HEAVY = ("boto3", "botocore", "hvac", "keyring", "requests", "rich", "cryptography", "importlib.metadata")
HEAVY_AT_HOME = {
    ("vault_core.vlt.primitives", "cryptography"),
    ("vault_core.importing.jwe", "cryptography"),
    ("vault_plugin_hashicorp.calls", "hvac"),
    ("vault_plugin_hashicorp.calls", "requests"),
    ("vault_plugin_hashicorp.transport", "requests"),
}
"""The modules that exist for one of these, and load it as they are loaded."""


@dataclass(frozen=True)
class Import:
    """One imported name."""

    module: str
    """Who imports."""
    name: str
    """What, as far as the statement says: ``vault_core.errors.VaultError``."""
    top: bool
    """When the module itself is loaded, and not for type checkers alone."""
    where: str


def trees(source: Path) -> Iterator[tuple[str, str, ast.Module]]:
    """Dotted name, place and syntax tree of every module below a source folder."""
    paths = sorted(source.rglob("*.py"))
    assert paths, source
    for path in paths:
        dotted = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        yield dotted, str(path.relative_to(WORKSPACE)), ast.parse(path.read_text(encoding="utf-8"))


def imports(source: Path) -> list[Import]:
    return [one for dotted, where, tree in trees(source) for one in imports_of(dotted, where, tree)]


def imports_of(dotted: str, where: str, tree: ast.Module) -> Iterator[Import]:
    top = set(map(id, loaded_at_once(tree.body)))
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}:{node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            yield Import(dotted, name, id(node) in top, f"{where}:{node.lineno}")  # type: ignore[attr-defined]  # an import has a line


def loaded_at_once(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from loaded_at_once(node.orelse)
            case ast.If() | ast.For() | ast.While():
                yield from loaded_at_once([*node.body, *node.orelse])
            case ast.Try():
                yield from loaded_at_once([*node.body, *node.orelse, *node.finalbody])
                for handler in node.handlers:
                    yield from loaded_at_once(handler.body)
            case ast.With() | ast.ClassDef():
                yield from loaded_at_once(node.body)


def layer(module: str) -> int | None:
    """The layer of a module of the core; None for the package itself, which holds nothing."""
    parts = module.split(".")
    found = [number for number, names in enumerate(LAYERS) if len(parts) > 1 and parts[1] in names]
    return found[0] if found else None


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


CORE_IMPORTS = imports(CORE)
PLUGIN_IMPORTS = {plugin.name: imports(plugin / "src") for plugin in (*PLUGINS, *EXAMPLES)}


def test_the_reader_of_imports_sees_them_all() -> None:
    tree = ast.parse(
        "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\ntry:\n    import f\nexcept E:\n    import g\n"
        "class K:\n    import h\n    def m(self):\n        import i\n"
    )
    found = {(one.name, one.top) for one in imports_of("m", "m.py", tree)}
    at_once = {name for name, top in found if top}
    assert at_once == {"a.b", "c.d", "f", "g", "h"}
    assert {name for name, top in found if not top} == {"e", "i"}


def test_every_module_of_the_core_has_a_layer() -> None:
    modules = {one.module for one in CORE_IMPORTS}
    assert "vault_core.cli.app" in modules
    assert [module for module in modules if layer(module) is None] == []


def test_the_core_imports_downwards() -> None:
    upwards = []
    for one in CORE_IMPORTS:
        if one.name == "vault_core.__version__" or not is_within(one.name, "vault_core"):
            continue
        own, other = layer(one.module), layer(one.name)
        assert own is not None
        assert other is not None, one
        if other > own:
            upwards.append(f"{one.where}: {one.module} imports {one.name}")
    assert upwards == []


def test_the_core_imports_no_plugin_and_no_sdk() -> None:
    forbidden = ("boto3", "botocore", "hvac", "keyring", "requests")
    found = [
        one.where
        for one in CORE_IMPORTS
        if one.name.startswith("vault_plugin_") or any(is_within(one.name, sdk) for sdk in forbidden)
    ]
    assert found == []


def test_no_plugin_is_named_in_a_string_that_the_core_could_import() -> None:
    found = [
        f"{where}:{node.lineno}"
        for _, where, tree in trees(CORE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "vault_plugin_" in node.value
    ]
    assert found == []


@pytest.mark.parametrize("plugin", [*PLUGINS, *EXAMPLES], ids=lambda path: path.name)
def test_a_plugin_knows_only_the_api(plugin: Path) -> None:
    """Only ``file`` writes the format itself."""
    package = f"vault_plugin_{plugin.name.removeprefix('vault-plugin-')}"
    public = ("vault_core.api", "vault_core.vlt") if plugin.name == "file" else ("vault_core.api",)
    found = [
        f"{one.where}: {one.name}"
        for one in PLUGIN_IMPORTS[plugin.name]
        if (is_within(one.name, "vault_core") and not any(is_within(one.name, name) for name in public))
        or (one.name.startswith("vault_plugin_") and not is_within(one.name, package))
    ]
    assert found == []
    assert any(is_within(one.name, "vault_core.api") for one in PLUGIN_IMPORTS[plugin.name])


def test_format_imports_only_errors_and_secrets() -> None:
    allowed = ("vault_core.errors", "vault_core.secret", "vault_core.vlt")
    found = [
        f"{one.where}: {one.name}"
        for one in CORE_IMPORTS
        if is_within(one.module, "vault_core.vlt")
        and is_within(one.name, "vault_core")
        and not any(is_within(one.name, name) for name in allowed)
    ]
    assert found == []


def test_api_imports_no_cryptography() -> None:
    found = [
        f"{one.where}: {one.name}"
        for one in CORE_IMPORTS
        if is_within(one.module, "vault_core.api")
        and any(is_within(one.name, name) for name in ("vault_core.vlt", "vault_core.keyslots"))
    ]
    assert found == []


def test_click_only_in_the_command_line() -> None:
    core = {one.module for one in CORE_IMPORTS if is_within(one.name, "click")}
    assert "vault_core.cli.app" in core
    assert [module for module in core if not is_within(module, "vault_core.cli")] == []
    plugins = {one.module for found in PLUGIN_IMPORTS.values() for one in found if is_within(one.name, "click")}
    assert [module for module in plugins if not module.endswith((".command", ".commands"))] == []


def reads_environment(tree: ast.Module) -> list[int]:
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=attribute) if attribute in names:
                found.append(node.lineno)
            case ast.ImportFrom(module="os") if {alias.name for alias in node.names} & names:
                found.append(node.lineno)
    return sorted(found)


def test_the_environment_is_read_in_one_module() -> None:
    assert reads_environment(ast.parse("import os\nos.getenv('A')\nfrom os import environ\nself.environ")) == [2, 3]
    found = {
        dotted: lines
        for source in (CORE, *(plugin / "src" for plugin in (*PLUGINS, *EXAMPLES)))
        for dotted, _, tree in trees(source)
        if (lines := reads_environment(tree))
    }
    assert list(found) == ["vault_core.settings"]


def test_nothing_heavy_loads_with_a_module() -> None:
    everything = [*CORE_IMPORTS, *(one for found in PLUGIN_IMPORTS.values() for one in found)]
    found = [
        f"{one.where}: {one.name}"
        for one in everything
        for heavy in HEAVY
        if one.top and is_within(one.name, heavy) and (one.module, heavy) not in HEAVY_AT_HOME
    ]
    assert found == []
    used = {(one.module, heavy) for one in everything for heavy in HEAVY if one.top and is_within(one.name, heavy)}
    assert used == HEAVY_AT_HOME


def entry_points(plugin: Path) -> list[tuple[str, str, str, str]]:
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    return [
        (project["name"], group, name, module)
        for group, names in project["entry-points"].items()
        for name, module in names.items()
    ]


DECLARED = [entry for plugin in PLUGINS for entry in entry_points(plugin)]


@pytest.mark.parametrize(("distribution", "group", "name", "module"), DECLARED, ids=lambda text: text)
def test_every_entry_point_resolves_and_keeps_the_hookspecs(
    distribution: str, group: str, name: str, module: str
) -> None:
    assert importlib.import_module(module).__name__ == module
    spec = Plugins().load(KINDS[group], name)  # type: ignore[call-overload]  # the kind is data here
    assert spec.name == name
    assert spec.summary
    assert spec.summary == spec.summary.strip().rstrip(".")
    assert OURS[KINDS[group], name] == distribution


def test_the_launcher_that_is_installed_is_the_projects() -> None:
    """An editable installation copies it: a change of it takes another ``make install``."""
    for name in ("awsv", "awsv-python"):
        installed, ours = (folder / name for folder in (Path(sys.executable).parent, WORKSPACE / "core/scripts"))
        assert installed.read_text().replace(f"#!{sys.executable}\n", "#!python\n") == ours.read_text()


def test_what_is_installed_is_what_the_projects_declare() -> None:
    ours = [offer for offer in scan() if offer.distribution.startswith("vault-plugin-")]
    installed = {(offer.distribution, GROUPS[offer.kind], offer.name, offer.module) for offer in ours}
    strangers = {entry for example in EXAMPLES for entry in entry_points(example)}
    assert installed == set(DECLARED) | strangers
    assert {(KINDS[group], name) for _, group, name, _ in DECLARED} == set(OURS)
