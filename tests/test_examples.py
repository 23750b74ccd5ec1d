"""The strangers' plugins of ``examples``: built as wheels, installed where awsv is installed from wheels, and used."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support import parts
from support.home import Home
from support.moto import MotoServer
from support.sites import Site

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SQLITE = EXAMPLES / "vault-plugin-sqlite"
OURS = [ROOT / "core", ROOT / "plugins/env", ROOT / "plugins/aws"]
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""pip takes what is installed here, the build backend included (its way to say "no isolation" is 0)."""
PASSPHRASE = {"AWS_VAULT_PASSPHRASE": "correct horse battery staple"}
STORED = """
import sqlite3, sys
for key, value in sqlite3.connect(sys.argv[1]).execute("SELECT key, value FROM items ORDER BY key"):
    print(key, value[:5].decode())
"""


def pip(python: Path, *args: str | Path) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--quiet", *args],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(Path(python).parent), **OFFLINE},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of the examples, and of what they are used with."""
    folder = tmp_path_factory.mktemp("wheels")
    # Built from copies: a build leaves things in the tree, where another process may be building the same.
    sources = folder / "sources"
    projects = [*OURS, *(path.parent for path in sorted(EXAMPLES.glob("*/pyproject.toml")))]
    for project in projects:
        shutil.copytree(project, sources / project.name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    copies = [sources / project.name for project in projects]
    pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", folder, *copies)
    return folder


def installed(folder: Path, wheels: Path, *names: str) -> Site:
    """An environment with nothing of ours but these wheels; what they depend on is there."""
    site = Site(folder, without=["vault-core", "vault-plugin"])
    pip(site.python, "install", *(next(wheels.glob(f"vault_{name}-*.whl")) for name in names))
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Site:
    folder = tmp_path_factory.mktemp("clean") / "site"
    return installed(folder, wheels, "core", "plugin_env", "plugin_aws", "plugin_sqlite", "plugin_pass")


def use(site: Site, home: Home, moto: MotoServer, env: Mapping[str, str]) -> None:
    """Add, list and use a key, and remove it."""
    home.configure("[profile work]\nregion = eu-west-1\n")
    key = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    added = home.run(site.awsv, "add", "--env", "work", env={**env, **key})
    assert added.returncode == 0, added.stderr
    listed = home.run(site.awsv, "list", "--credentials", env=env)
    assert (listed.stdout, listed.returncode) == ("work\n", 0), listed.stderr
    stored = home.run(site.awsv, "exec", "--no-session", "-j", "work", env=env)
    assert json.loads(stored.stdout)["SecretAccessKey"] == moto.alice.secret_access_key, stored.stderr
    done = home.run(site.awsv, "exec", "work", "--", "/usr/bin/env", env=env)
    assert "AWS_SESSION_TOKEN=" in done.stdout, done.stderr
    assert moto.alice.secret_access_key not in done.stdout
    assert home.run(site.awsv, "add", "--env", "work", env={**env, **key}).returncode != 0  # it is there already


def remove(site: Site, home: Home, env: Mapping[str, str]) -> None:
    assert home.run(site.awsv, "remove", "--force", "work", env=env).returncode == 0
    assert home.run(site.awsv, "list", "--credentials", env=env).stdout == ""


@pytest.mark.slow
def test_sqlite_is_installed_from_its_wheel_and_chosen_by_a_variable(site: Site, home: Home, moto: MotoServer) -> None:
    env = {"AWS_VAULT_BACKEND": "sqlite", **PASSPHRASE}
    use(site, home, moto, env)
    file = Path(home.env["XDG_DATA_HOME"], "awsv/store.sqlite")
    assert file.stat().st_mode & 0o777 == 0o600
    kept = home.run(site.python, "-c", STORED, file)
    assert kept.stdout == 'credentials/work vlt1:\nmeta/slots {"for\n', kept
    assert moto.alice.secret_access_key.encode() not in file.read_bytes()
    remove(site, home, env)
    elsewhere = {**env, "AWS_VAULT_SQLITE_PATH": "~/elsewhere/keys.sqlite"}
    use(site, home, moto, elsewhere)
    assert (home.path / "elsewhere/keys.sqlite").exists()


@pytest.fixture
def password_store(home: Home) -> Iterator[Mapping[str, str]]:
    """The home's owner has a GnuPG key and a password store."""
    parts.need("pass", shutil.which("pass"), how="apt-get install pass gnupg")
    # The socket of GnuPG's agent lies in its folder, and the path of a socket is short.
    folder = Path(tempfile.mkdtemp(prefix="gpg-"))
    env = {"GNUPGHOME": str(folder)}
    try:
        new = ("--quick-generate-key", "ana@example.org", "future-default", "default", "never")
        assert home.run("gpg", "--batch", "--passphrase", "", *new, env=env).returncode == 0
        assert home.run("pass", "init", "ana@example.org", env=env).returncode == 0
        yield env
    finally:
        home.run("gpgconf", "--kill", "all", env=env)
        shutil.rmtree(folder)


@pytest.mark.slow
def test_pass_is_installed_from_its_wheel_and_chosen_by_a_variable(
    site: Site, home: Home, moto: MotoServer, password_store: Mapping[str, str]
) -> None:
    env = {"AWS_VAULT_BACKEND": "pass", **password_store}
    use(site, home, moto, env)
    shown = home.run("pass", "show", "awsv/credentials/work", env=password_store)
    assert json.loads(shown.stdout)["secret_access_key"] == moto.alice.secret_access_key
    remove(site, home, env)
    missing = home.run(site.awsv, "list", "--credentials", env={**env, "PATH": str(site.python.parent)})
    assert missing.returncode == 0, missing.stderr  # listing runs no program


@pytest.mark.slow
def test_a_program_that_is_missing_is_said(
    site: Site, home: Home, moto: MotoServer, password_store: Mapping[str, str]
) -> None:
    key = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    env = {"AWS_VAULT_BACKEND": "pass", **password_store, **key, "PATH": str(site.python.parent)}
    done = home.run(site.awsv, "add", "--env", "work", env=env)
    assert done.returncode == 4
    assert moto.alice.secret_access_key not in done.stdout + done.stderr


@pytest.mark.slow
def test_what_is_not_installed_is_not_guessed(tmp_path: Path, wheels: Path, home: Home) -> None:
    site = installed(tmp_path / "site", wheels, "core", "plugin_env")
    done = home.run(site.awsv, "list", env={"AWS_VAULT_BACKEND": "sqlite"})
    assert done.returncode == 3
    assert "no storage backend named 'sqlite' is installed" in done.stderr
    assert "pip install" not in done.stderr  # anybody may register that name


def test_sqlite_has_at_most_sixty_lines() -> None:
    lines = [line for path in SQLITE.rglob("src/**/*.py") for line in path.read_text().splitlines() if line.strip()]
    assert 0 < len(lines) <= 60
    assert len((SQLITE / "tests/test_contract.py").read_text().splitlines()) == 5
    assert [path.name for path in SQLITE.rglob("*.py")] == ["__init__.py", "test_contract.py"]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*/pyproject.toml")), ids=lambda path: path.parent.name)
def test_an_example_does_no_cryptography(example: Path) -> None:
    imported = set()
    for path in example.parent.rglob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) <= {"vault_core", f"{example.parent.name.replace('-', '_')}"}
    assert not imported & {"hmac", "ssl"}
