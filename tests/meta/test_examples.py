"""The strangers' plugins of ``examples``: built as wheels, installed where awsv is installed from wheels, and used."""

from __future__ import annotations

import ast
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support import parts
from support.home import Home
from support.moto import MotoServer
from support.wheels import Environment, Wheelhouse

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SQLITE = EXAMPLES / "vault-plugin-sqlite"
PASSPHRASE = {"AWS_VAULT_PASSPHRASE": "correct horse battery staple"}
STORED = """
import sqlite3, sys
for key, value in sqlite3.connect(sys.argv[1]).execute("SELECT key, value FROM items ORDER BY key"):
    print(key, value[:5].decode())
"""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse) -> Environment:
    """An environment with the core, the examples, and what they are used with."""
    environment = Environment(tmp_path_factory.mktemp("clean") / "venv", wheelhouse)
    environment.install("vault-plugin-sqlite", "vault-plugin-pass", "vault-plugin-env", "vault-plugin-aws")
    return environment


def use(clean: Environment, home: Home, moto: MotoServer, env: Mapping[str, str]) -> None:
    """Add, list and use a key, and remove it."""
    home.configure("[profile work]\nregion = eu-west-1\n")
    key = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    added = home.run(clean.awsv, "add", "--env", "work", env={**env, **key})
    assert added.returncode == 0, added.stderr
    listed = home.run(clean.awsv, "list", "--credentials", env=env)
    assert (listed.stdout, listed.returncode) == ("work\n", 0), listed.stderr
    stored = home.run(clean.awsv, "exec", "--no-session", "-j", "work", env=env)
    assert json.loads(stored.stdout)["SecretAccessKey"] == moto.alice.secret_access_key, stored.stderr
    done = home.run(clean.awsv, "exec", "work", "--", "/usr/bin/env", env=env)
    assert "AWS_SESSION_TOKEN=" in done.stdout, done.stderr
    assert moto.alice.secret_access_key not in done.stdout
    assert home.run(clean.awsv, "add", "--env", "work", env={**env, **key}).returncode != 0  # it is there already


def remove(clean: Environment, home: Home, env: Mapping[str, str]) -> None:
    assert home.run(clean.awsv, "remove", "--force", "work", env=env).returncode == 0
    assert home.run(clean.awsv, "list", "--credentials", env=env).stdout == ""


@pytest.mark.slow
def test_sqlite_is_installed_from_its_wheel_and_chosen_by_a_variable(
    clean: Environment, home: Home, moto: MotoServer
) -> None:
    env = {"AWS_VAULT_BACKEND": "sqlite", **PASSPHRASE}
    use(clean, home, moto, env)
    file = Path(home.env["XDG_DATA_HOME"], "awsv/store.sqlite")
    assert file.stat().st_mode & 0o777 == 0o600
    kept = home.run(clean.python, "-c", STORED, file)
    assert kept.stdout == 'credentials/work vlt1:\nmeta/slots {"for\n', kept
    assert moto.alice.secret_access_key.encode() not in file.read_bytes()
    remove(clean, home, env)
    elsewhere = {**env, "AWS_VAULT_SQLITE_PATH": "~/elsewhere/keys.sqlite"}
    use(clean, home, moto, elsewhere)
    assert (home.path / "elsewhere/keys.sqlite").exists()


@pytest.fixture
def password_store(home: Home) -> Iterator[Mapping[str, str]]:
    """The home's owner has a GnuPG key and a password store."""
    parts.need("pass", shutil.which("pass"), how="apt-get install pass gnupg")
    # The folder contains the socket of GnuPG's agent, whose path must be short. The agent removes its sockets while it
    # ends, which may be while the folder is removed.
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as folder:
        env = {"GNUPGHOME": folder}
        try:
            new = ("--quick-generate-key", "ana@example.org", "future-default", "default", "never")
            assert home.run("gpg", "--batch", "--passphrase", "", *new, env=env).returncode == 0
            assert home.run("pass", "init", "ana@example.org", env=env).returncode == 0
            yield env
        finally:
            home.run("gpgconf", "--kill", "all", env=env)


@pytest.mark.slow
def test_pass_is_installed_from_its_wheel_and_chosen_by_a_variable(
    clean: Environment, home: Home, moto: MotoServer, password_store: Mapping[str, str]
) -> None:
    env = {"AWS_VAULT_BACKEND": "pass", **password_store}
    use(clean, home, moto, env)
    shown = home.run("pass", "show", "awsv/credentials/work", env=password_store)
    assert json.loads(shown.stdout)["secret_access_key"] == moto.alice.secret_access_key
    remove(clean, home, env)
    missing = home.run(clean.awsv, "list", "--credentials", env={**env, "PATH": str(clean.python.parent)})
    assert missing.returncode == 0, missing.stderr  # listing runs no program


@pytest.mark.slow
def test_a_program_that_is_missing_is_said(
    clean: Environment, home: Home, moto: MotoServer, password_store: Mapping[str, str]
) -> None:
    key = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    env = {"AWS_VAULT_BACKEND": "pass", **password_store, **key, "PATH": str(clean.python.parent)}
    done = home.run(clean.awsv, "add", "--env", "work", env=env)
    assert done.returncode == 4
    assert moto.alice.secret_access_key not in done.stdout + done.stderr


def test_sqlite_has_at_most_sixty_lines() -> None:
    lines = [line for path in SQLITE.rglob("src/**/*.py") for line in path.read_text().splitlines() if line.strip()]
    assert 0 < len(lines) <= 60
    assert len((SQLITE / "tests/test_sqlite_contract.py").read_text().splitlines()) == 5
    assert {path.name for path in SQLITE.rglob("*.py")} == {"__init__.py", "test_sqlite_contract.py"}


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
