"""``awsv plugins new NAME``: a project that is complete and passes the contract of storage backends as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.home import Home
from support.overlay_env import failure
from support.vaults import KEY_ID, SECRET, offline, snapshot
from support.wheels import Environment, Wheelhouse, without_configuration

BUDGET = () if os.environ.get("AWSV_DEEP") == "1" else ("--contract-budget", "60")
"""Of the contract, which takes half a minute without."""
RUFF = Path(sys.executable).with_name("ruff")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return offline(tmp_path)


@pytest.mark.parametrize("name", ["shelf", "my-own-2", "ab", "a" * 32, "import", "class"])
def test_a_project_of_that_name(name: str, home: Home) -> None:
    done = home.awsv("plugins", "new", name)
    folder = home.cwd / f"vault-plugin-{name}"
    assert (done.returncode, done.stdout) == (0, f"{folder}\n")
    package = f"vault_plugin_{name.replace('-', '_')}"
    assert set(snapshot(folder)) == {
        "pyproject.toml",
        "README.md",
        ".gitignore",
        f"src/{package}/__init__.py",
        f"src/{package}/plugin.py",
        f"src/{package}/backend.py",
        f"src/{package}/py.typed",
        "tests/test_contract.py",
    }
    assert len((folder / "tests/test_contract.py").read_text().splitlines()) == 5
    left = [path for path in folder.rglob("*") if path.is_file() and "$" in path.read_text()]
    assert left == []
    told = (folder / "README.md").read_text()
    assert "pip install CHECKOUT/awsv\n" in told
    checks = [["check", "--select=E9,F,B,I,S,UP", "--line-length=120"], ["format", "--check"]]
    for words in checks if len(name) < 10 else checks[:1]:  # where a line ends depends on the name
        linted = subprocess.run([RUFF, *words, "--isolated", folder / "src"], capture_output=True, text=True)
        assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a", "2 to 32"),
        ("a" * 33, "2 to 32"),
        ("Shelf", "not a name for a plugin"),
        ("2nd", "not a name for a plugin"),
        ("a--b", "not a name for a plugin"),
        ("a-", "not a name for a plugin"),
        ("my_own", "not a name for a plugin"),
        ("../up", "not a name for a plugin"),
        ("/abs", "not a name for a plugin"),
        ("ab\n", "not a name for a plugin"),
        ("ünï", "not a name for a plugin"),
        ("vault-plugin-shelf", "give the plugin's name: shelf"),
        ("file", "offered by vault-plugin-file"),
        ("keychain", "offered by vault-plugin-keychain"),
    ],
)
def test_a_name_that_cannot_be_one(name: str, words: str, home: Home) -> None:
    before = sorted(home.root.rglob("*"))
    failure(home.awsv("plugins", "new", name), 2, words)
    assert sorted(home.root.rglob("*")) == before


def test_what_is_there_is_left_alone(home: Home) -> None:
    folder = home.cwd / "vault-plugin-shelf"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    failure(home.awsv("plugins", "new", "shelf"), 2, "vault-plugin-shelf", "it exists already")
    assert list(folder.iterdir()) == [folder / "mine"]
    link = home.cwd / "vault-plugin-link"
    link.symlink_to(home.root / "elsewhere")
    failure(home.awsv("plugins", "new", "link"), 2, "it exists already")
    assert not (home.root / "elsewhere").exists()


@pytest.mark.slow
def test_it_is_built_installed_and_passes(home: Home, tmp_path: Path, wheelhouse: Wheelhouse) -> None:
    """As its author would: a wheel, a fresh environment, its tests, and then a key in it."""
    assert home.awsv("plugins", "new", "shelf-2").returncode == 0
    folder = home.cwd / "vault-plugin-shelf-2"
    built = tmp_path / "dist"
    wheelhouse.uv("build", "--wheel", "--out-dir", built, folder)
    (wheel,) = built.glob("vault_plugin_shelf_2-0.1.0-*.whl")
    environment = Environment(tmp_path / "venv", wheelhouse)
    environment.install(f"vault-plugin-shelf-2[test] @ {wheel.as_uri()}", "vault-plugin-env")
    done = subprocess.run(
        [environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *BUDGET],
        cwd=folder,
        env=without_configuration(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
    env = {"AWS_VAULT_BACKEND": "shelf-2", "AWS_VAULT_SHELF_2_PASSPHRASE": "a passphrase of the shelf's own"}
    key = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    added = home.run(environment.awsv, "add", "--env", "work", env={**env, **key})
    assert added.returncode == 0, added.stderr
    shown = home.run(environment.awsv, "exec", "-n", "-j", "work", env=env)
    assert json.loads(shown.stdout)["AccessKeyId"] == KEY_ID
    kept = Path(home.env["XDG_DATA_HOME"], "awsv/shelf-2")
    assert kept.stat().st_mode & 0o777 == 0o700
    for path in kept.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert KEY_ID not in path.read_text()
    checked = home.run(environment.awsv, "plugins", "check", "shelf-2", env=env)
    assert "can:             create-only\n" in checked.stdout
