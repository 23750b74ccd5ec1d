"""Which module may import which, which packages load lazily, and that what is installed is what is declared."""

from __future__ import annotations

import ast
import configparser
import importlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault_core.plugins.discovery import GROUPS, scan
from vault_core.plugins.install_hint import ON_BOTOCORE, OURS
from vault_core.plugins.loader import Plugins

WORKSPACE = Path(__file__).parents[2]
CORE = WORKSPACE / "core/src"
PLUGINS = sorted(path.parent for path in WORKSPACE.glob("plugins/*/pyproject.toml"))
EXAMPLES = sorted(path.parent for path in WORKSPACE.glob("examples/*/pyproject.toml"))
"""Plugins as third parties write them: the same rules hold, and the core does not know their names."""
KINDS = {group: kind for kind, group in GROUPS.items()}

HEAVY = {"boto3", "botocore", "hvac", "keyring", "requests", "rich", "cryptography", "importlib.metadata"}
HEAVY_AT_HOME = {
    ("vault_core.vlt.primitives", "cryptography"),
    ("vault_plugin_aws_vault.jwe", "cryptography"),
    ("vault_plugin_hashicorp.client", "hvac"),
    ("vault_plugin_hashicorp.client", "requests"),
    ("vault_plugin_hashicorp.transport", "requests"),
}
"""The modules whose purpose is one of these: they import it when they are imported."""


def sources() -> list[Path]:
    """The source folders of every distribution."""
    shared = [WORKSPACE / part for part in ("core", "testkit", "vault-botocore")]
    return [part / "src" for part in (*shared, *PLUGINS, *EXAMPLES)]


def trees(source: Path) -> Iterator[tuple[str, str, ast.Module]]:
    """Dotted name, path and syntax tree of every module below a source folder."""
    paths = sorted(source.rglob("*.py"))
    assert paths, source
    for path in paths:
        dotted = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        yield dotted, str(path.relative_to(WORKSPACE)), ast.parse(path.read_text(encoding="utf-8"))


# -- the import contracts (.importlinter) ------------------------------------------------------------------------------

PLANTED = {
    "core/src/vault_core/files.py": "from vault_core.sessions import cache",
    "core/src/vault_core/plugins/discovery.py": "def f():\n    from vault_core.plugins import loader",
    "core/src/vault_core/newcomer.py": "",
    "core/src/vault_core/awsconfig/ini.py": "import botocore.session",
    "core/src/vault_core/vlt/kdf.py": "from vault_core import files",
    "core/src/vault_core/api/options.py": "from vault_core.vlt import slot",
    "core/src/vault_core/settings.py": "def f():\n    import click",
    "core/src/vault_core/secret.py": "import vault_plugin_env",
    "plugins/keychain/src/vault_plugin_keychain/kinds.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vault_plugin_keychain import plugin"
    ),
    "plugins/aws/src/vault_plugin_aws/plugin.py": "import vault_plugin_env.plugin",
    "plugins/env/src/vault_plugin_env/plugin.py": "from vault_core import vlt",
    "plugins/file/src/vault_plugin_file/plugin.py": "import vault_botocore.transport",
    "plugins/prompt/src/vault_plugin_prompt/plugin.py": "from vault_core.settings import Settings",
    "vault-botocore/src/vault_botocore/transport.py": (
        "from vault_core import settings\nfrom vault_plugin_ssm import policy"
    ),
    "examples/vault-plugin-sqlite/src/vault_plugin_sqlite/__init__.py": "from vault_testkit import FakeContext",
}
"""Forbidden imports, by the file at whose end they are."""
REPORTED = (
    "vault_core.files -> vault_core.sessions.cache",
    "No cycles are allowed in vault_core.plugins.",
    "vault_core.newcomer",
    "vault_core.awsconfig.ini -> botocore",
    "vault_core.vlt.kdf -> vault_core.files",
    "vault_core.api.options -> vault_core.vlt.slot",
    "vault_core.settings -> click",
    "vault_core.secret -> vault_plugin_env",
    "No cycles are allowed in vault_plugin_keychain.",
    "vault_plugin_aws.plugin -> vault_plugin_env.plugin",
    "vault_plugin_env.plugin -> vault_core.vlt",
    "vault_plugin_file.plugin -> vault_botocore.transport",
    "vault_botocore.transport -> vault_core.settings",
    "vault_botocore.transport -> vault_plugin_ssm.policy",
    "vault_plugin_prompt.plugin -> vault_core.settings",
    "vault_plugin_sqlite -> vault_testkit",
)


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the sources below this folder by its contracts."""
    path = os.pathsep.join(str(root / source.relative_to(WORKSPACE)) for source in sources())
    program = Path(sys.executable).with_name("lint-imports")
    # A terminal of 80 columns would break lines.
    environ = {"PYTHONPATH": path, "COLUMNS": "300"}
    return subprocess.run(
        [program, "--no-logo", "--no-cache"], cwd=root, env=environ, capture_output=True, text=True, check=False
    )


def test_import_contracts_hold() -> None:
    done = lint(WORKSPACE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_contracts_report_forbidden_imports(tmp_path: Path) -> None:
    for source in sources():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, tmp_path / source.relative_to(WORKSPACE), ignore=ignored)
    shutil.copy(WORKSPACE / ".importlinter", tmp_path)
    assert lint(tmp_path).returncode == 0
    for name, text in PLANTED.items():
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line for line in REPORTED if line not in done.stdout] == [], done.stdout
    assert " KEPT" not in done.stdout


def test_import_contracts_name_every_package() -> None:
    packages = {path.parent.name for source in sources() for path in source.glob("*/__init__.py")}
    config = configparser.ConfigParser()
    config.read(WORKSPACE / ".importlinter")
    plugins = {package for package in packages if package.startswith("vault_plugin_")}
    assert set(config["importlinter"]["root_packages"].split()) == packages
    for contract, key in (
        ("cycles", "ancestors"),
        ("core-foundation", "forbidden_modules"),
        ("plugins-independent", "modules"),
    ):
        named = config[f"importlinter:contract:{contract}"][key].split()
        assert {name for name in named if name.startswith("vault_plugin_")} == plugins, contract


# -- other rules -------------------------------------------------------------------------------------------------------


def test_core_names_no_plugin_module_in_a_string() -> None:
    found = [
        f"{where}:{node.lineno}"
        for _, where, tree in trees(CORE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "vault_plugin_" in node.value
    ]
    assert found == []


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


def test_environment_is_read_in_settings_only() -> None:
    assert reads_environment(ast.parse("import os\nos.getenv('A')\nfrom os import environ\nself.environ")) == [2, 3]
    found = {
        dotted
        for source in sources()
        for dotted, _, tree in trees(source)
        if not dotted.startswith("vault_testkit") and reads_environment(tree)
    }
    assert found == {"vault_core.settings"}


def imported_at_once(body: list[ast.stmt]) -> Iterator[str]:
    """What the import of a module imports: the names in its statements outside functions and ``TYPE_CHECKING``."""
    for node in body:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from imported_at_once(node.orelse)
            case ast.If() | ast.For() | ast.While():
                yield from imported_at_once([*node.body, *node.orelse])
            case ast.Try():
                handlers = [statement for handler in node.handlers for statement in handler.body]
                yield from imported_at_once([*node.body, *node.orelse, *node.finalbody, *handlers])
            case ast.With() | ast.ClassDef():
                yield from imported_at_once(node.body)


def test_imported_at_once_finds_imports_outside_functions() -> None:
    tree = ast.parse(
        "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\ntry:\n    import f\nexcept E:\n    import g\n"
        "class K:\n    import h\n    def m(self):\n        import i\n"
    )
    assert set(imported_at_once(tree.body)) == {"a.b", "c.d", "f", "g", "h"}


def test_no_module_imports_a_heavy_package_at_once() -> None:
    found = {
        (dotted, heavy)
        for source in sources()
        for dotted, _, tree in trees(source)
        for name in imported_at_once(tree.body)
        for heavy in HEAVY
        if name == heavy or name.startswith(f"{heavy}.")
    }
    assert found == HEAVY_AT_HOME


def entry_points(plugin: Path) -> list[tuple[str, str, str, str]]:
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    return [
        (project["name"], group, name, module)
        for group, names in project["entry-points"].items()
        for name, module in names.items()
    ]


DECLARED = [entry for plugin in PLUGINS for entry in entry_points(plugin)]


@pytest.mark.parametrize(("distribution", "group", "name", "module"), DECLARED, ids=lambda text: text)
def test_entry_point_loads_and_keeps_the_hookspecs(distribution: str, group: str, name: str, module: str) -> None:
    assert importlib.import_module(module).__name__ == module
    spec = Plugins().load(KINDS[group], name)
    assert spec.name == name
    assert spec.summary
    assert spec.summary == spec.summary.strip().rstrip(".")
    assert OURS[KINDS[group], name] == distribution


def test_install_hint_knows_the_plugins_that_require_the_library() -> None:
    required = {
        project["name"]: project["dependencies"]
        for plugin in PLUGINS
        for project in [tomllib.loads((plugin / "pyproject.toml").read_text())["project"]]
    }
    users = {name for name, needed in required.items() if any(one.startswith("vault-botocore") for one in needed)}
    assert users == set(ON_BOTOCORE)


def test_installed_launcher_is_current() -> None:
    """An editable installation copies it: after a change, delete ``.venv/.installed`` and run make."""
    folders = {"awsv": "awsv", "awsv-python": "awsv", "aws-vault": "plugins/aws-vault"}
    for name, folder in folders.items():
        installed, ours = Path(sys.executable).with_name(name), WORKSPACE / folder / "scripts" / name
        assert installed.read_text().replace(f"#!{sys.executable}\n", "#!python\n") == ours.read_text()


def test_installed_entry_points_are_those_of_the_projects() -> None:
    ours = [offer for offer in scan() if offer.distribution.startswith("vault-plugin-")]
    installed = {(offer.distribution, GROUPS[offer.kind], offer.name, offer.module) for offer in ours}
    strangers = {entry for example in EXAMPLES for entry in entry_points(example)}
    assert installed == set(DECLARED) | strangers
    assert {(KINDS[group], name) for _, group, name, _ in DECLARED} == set(OURS)
