"""What people install: wheels in clean environments. Each plugin alone adds itself, and what is missing is named.

Only the wheels that are built here and their dependencies are installed, never what the tests themselves have.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from support import wheels
from support.home import Home
from support.moto import MotoServer
from support.overlay_env import failure
from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, PASSPHRASE, SECRET, UNLOCKED, fill, offline
from support.wheels import Environment, Wheelhouse, run, without_configuration
from vault_core.plugins.discovery import GROUPS, normalise
from vault_core.plugins.install_hint import OURS, STANDARD

pytestmark = pytest.mark.slow

SDKS = {"boto3", "botocore", "hvac", "keyring", "requests"}
PLUGINS = [tomllib.loads((folder / "pyproject.toml").read_text())["project"] for folder in wheels.PLUGINS]
KINDS = {group: kind for kind, group in GROUPS.items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse) -> Environment:
    """Core, file store, env source: the least that is of use."""
    environment = Environment(tmp_path_factory.mktemp("plain") / "venv", wheelhouse)
    environment.install("vault-core", "vault-plugin-file", "vault-plugin-env", "pip")
    return environment


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    home.configure("[profile work]\nregion = eu-west-1\n")
    fill(home, {"work": (KEY_ID, SECRET)})
    return home


@pytest.mark.parametrize("folder", wheels.PROJECTS, ids=lambda folder: folder.name)
def test_wheel_for_users_holds_no_tests(folder: Path, wheelhouse: Wheelhouse) -> None:
    name = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"].replace("-", "_")
    [path] = wheelhouse.folder.glob(f"{name}-*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert [name for name in names if re.search(r"(^|/)(tests?|testing|conftest\.py|test_.*\.py)(/|$)", name)] == []
    needed = [Requirement(line) for line in re.findall(r"(?m)^Requires-Dist: (.*)$", metadata)]
    always = {one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})}
    assert not always & {"pytest", "vault-testkit"}


def hint(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """The hint of a failure for want of a plugin."""
    return failure(done, 3, *words).splitlines()[-1].removeprefix("hint: ")


def listed(environment: Environment, home: Home) -> list[dict[str, Any]]:
    done = home.run(environment.awsv, "plugins", "list", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_core_alone_names_what_is_missing(tmp_path: Path, wheelhouse: Wheelhouse, home: Home) -> None:
    environment = Environment(tmp_path / "venv", wheelhouse)
    environment.install("vault-core", "pip")
    installed = environment.distributions
    assert not {name for name in installed if name.startswith("vault-plugin-")}
    assert not SDKS & installed
    assert home.run(environment.awsv, "--version").stdout.startswith("awsv ")
    assert home.run(environment.awsv, "--help").returncode == 0
    missing = {(row["kind"], row["name"]): row["distribution"] for row in listed(environment, home)}
    assert missing == {
        ("storage", "file"): "vault-plugin-file",
        ("passphrase", "env"): "vault-plugin-env",
        ("passphrase", "prompt"): "vault-plugin-prompt",
        ("mfa", "terminal"): "vault-plugin-prompt",
        ("session", "sts"): "vault-plugin-aws",
    }
    told = hint(home.run(environment.awsv, "list", "--unlock"), "no storage backend named 'file' is installed")
    assert told == f"{environment.python} -m pip install {' '.join(STANDARD)}"
    environment.follow(told)
    assert {row["state"] for row in listed(environment, home)} == {"selected", "installed"}
    assert home.run(environment.awsv, "list", "--credentials", env=UNLOCKED).stdout == "work\n"


def test_the_file_store_pulls_in_no_sdk(plain: Environment, home: Home) -> None:
    assert not SDKS & plain.distributions
    new = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
    added = home.run(plain.awsv, "add", "--env", "new", env={**UNLOCKED, **new})
    assert added.returncode == 0, added.stderr
    done = home.run(plain.awsv, "exec", "-n", "-j", "new", env=UNLOCKED)
    assert json.loads(done.stdout)["AccessKeyId"] == OTHER_ID
    told = hint(home.run(plain.awsv, "exec", "-j", "new", env=UNLOCKED), "no session provider named 'sts'")
    assert told.endswith(" install vault-plugin-aws")


def test_pip_install_of_the_ssm_wheel_makes_ssm_a_source(
    tmp_path: Path, wheelhouse: Wheelhouse, moto: MotoServer
) -> None:
    """The mission's own words, against a service that speaks SSM."""
    home = Home(tmp_path / "machine", moto.url)
    home.configure("[profile work]\nregion = eu-west-1\n")
    fill(home, {"work": (KEY_ID, SECRET)})
    keys = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    moto.client("ssm").put_parameter(Name="/wheels/password", Value=PASSPHRASE, Type="SecureString", Overwrite=True)
    environment = Environment(tmp_path / "venv", wheelhouse)
    environment.install("vault-core", "vault-plugin-file", "pip")
    env = {"AWS_VAULT_PASSPHRASE_SOURCE": "ssm", "AWS_VAULT_SSM_PARAMETER": "/wheels/password"}
    env |= {"AWS_VAULT_SSM_CREDENTIALS": "environment", "AWS_REGION": "eu-west-1", **keys}
    told = hint(home.run(environment.awsv, "exec", "-n", "-j", "work", env=env), "no passphrase source named 'ssm'")
    assert told == f"{environment.python} -m pip install vault-plugin-ssm"
    environment.follow(told)
    done = home.run(environment.awsv, "exec", "-n", "-j", "work", env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["AccessKeyId"] == KEY_ID
    assert not {"hvac", "keyring"} & environment.distributions


def test_aws_vault_wheel_adds_the_importer_and_the_launcher(plain: Environment, home: Home) -> None:
    told = hint(home.run(plain.awsv, "import", "aws-vault"), "no command named 'import-aws-vault' is installed")
    assert told == f"{plain.python} -m pip install vault-plugin-aws-vault"
    plain.follow(told)
    assert home.run(plain.awsv, "import", "aws-vault").stderr.startswith("awsv: cannot read ")
    done = home.run(plain.awsv.with_name("aws-vault"), "exec", "-n", "--json", "work", env=UNLOCKED)
    assert json.loads(done.stdout)["AccessKeyId"] == KEY_ID


@pytest.mark.parametrize("project", PLUGINS, ids=lambda project: project["name"])
def test_each_plugin_alone(project: dict[str, Any], tmp_path: Path, wheelhouse: Wheelhouse, home: Home) -> None:
    """With the core and nothing else of ours it loads, and adds what it declares."""
    environment = Environment(tmp_path / "venv", wheelhouse)
    environment.install(project["name"])
    assert {name for name in environment.distributions if name.startswith("vault-plugin-")} == {project["name"]}
    requirements = map(Requirement, project["dependencies"])
    needed = {normalise(one.name) for one in requirements if one.marker is None or one.marker.evaluate()}
    assert needed <= environment.distributions
    if not needed & SDKS:
        assert not SDKS & environment.distributions
    declared = {(KINDS[group], name) for group, names in project["entry-points"].items() for name in names}
    rows = [row for row in listed(environment, home) if row["state"] != "missing"]
    assert {(row["kind"], row["name"]) for row in rows} == declared
    checked = home.run(environment.awsv, "plugins", "check", "--json")
    assert checked.returncode == 0, checked.stderr
    assert {row["state"] for row in json.loads(checked.stdout)} <= {"ok", "unavailable"}
    for kind, name in declared:
        if kind == "storage":  # named by a variable it is the store: what fails, if anything, is not finding it
            done = home.run(environment.awsv, "list", "--credentials", env={"AWS_VAULT_BACKEND": name})
            assert f"no storage backend named {name!r}" not in done.stderr
            assert f"from {project['name']}" not in done.stderr


def test_awsv_and_its_extras_bring_the_plugins_that_they_name(
    tmp_path: Path, wheelhouse: Wheelhouse, home: Home
) -> None:
    environment = Environment(tmp_path / "venv", wheelhouse)
    environment.install("awsv")
    ours = {name for name in environment.distributions if name.startswith("vault-plugin-")}
    assert ours == set(STANDARD)
    assert "missing" not in {row["state"] for row in listed(environment, home)}
    environment.install("awsv[all]")
    rows = listed(environment, home)
    assert {(row["kind"], row["name"]): row["distribution"] for row in rows} == OURS
    assert home.run(environment.awsv, "plugins", "check").returncode == 0


def test_a_strangers_storage_from_its_wheel(tmp_path: Path, wheelhouse: Wheelhouse, home: Home) -> None:
    environment = Environment(tmp_path / "venv", wheelhouse)
    environment.install("vault-plugin-sqlite", "vault-plugin-env")
    env = {"AWS_VAULT_BACKEND": "sqlite", "AWS_VAULT_SQLITE_PASSPHRASE": "a passphrase of the drawer's own"}
    new = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
    added = home.run(environment.awsv, "add", "--env", "new", env={**env, **new})
    assert added.returncode == 0, added.stderr
    assert Path(home.env["XDG_DATA_HOME"], "awsv/store.sqlite").exists()
    done = home.run(environment.awsv, "exec", "-n", "-j", "new", env=env)
    assert json.loads(done.stdout)["AccessKeyId"] == OTHER_ID
    assert home.run(environment.awsv, "list", "--credentials", env=env).stdout == "new\n"


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_folder_with_a_blank_in_its_name(tool: str, tmp_path: Path, wheelhouse: Wheelhouse, home: Home) -> None:
    environment = Environment(tmp_path / "an environment", wheelhouse)
    if tool == "uv":
        environment.install("awsv")
    else:
        environment.install("pip")
        install = (environment.python, "-m", "pip", "install", "--quiet", "--force-reinstall", "awsv")
        run(*install, env=without_configuration(wheelhouse.offline))
    assert home.run(environment.awsv, "--version").stdout.startswith("awsv ")


def test_pip_install_user(tmp_path: Path, wheelhouse: Wheelhouse, home: Home) -> None:
    """Outside of environments: no interpreter lies beside the program, and an isolated one sees no user's packages."""
    base = Path(sys.executable).resolve()
    pip = (sys.executable, "-m", "pip", "--python", base, "install", "--quiet", "--user", "--force-reinstall")
    env = {**wheelhouse.offline, "HOME": str(home.path), "PIP_BREAK_SYSTEM_PACKAGES": "1"}
    run(*pip, "awsv", env=without_configuration(env))
    awsv = home.path / ".local/bin/awsv"
    assert home.run(awsv, "list", "--credentials", env=UNLOCKED).stdout == "work\n"
    (tmp_path / "linked").symlink_to(awsv)
    assert home.run(tmp_path / "linked", "exec", "-n", "-j", "work", env=UNLOCKED).returncode == 0


@pytest.mark.parametrize("tool", ["pipx", "uv"])
def test_hint_of_installation_by_name_adds_plugin_by_name(
    tool: str, tmp_path: Path, wheelhouse: Wheelhouse, home: Home
) -> None:
    """Pasted into a shell it adds what is missing, and what was added before stays."""
    folders = ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR", "PIPX_COMPLETION_DIR", "UV_TOOL_DIR", "UV_TOOL_BIN_DIR")
    tools = {name: str(tmp_path / name.lower()) for name in folders}
    tools |= {"PIPX_DEFAULT_PYTHON": sys.executable, "UV_PYTHON": sys.executable, "PIPX_DEFAULT_BACKEND": "pip"}
    tools["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = without_configuration({**wheelhouse.offline, **tools})
    run("/bin/sh", "-c", "pipx install awsv" if tool == "pipx" else "uv tool install awsv", env=env)
    awsv = tmp_path / ("pipx_bin_dir" if tool == "pipx" else "uv_tool_bin_dir") / "awsv"
    assert home.run(awsv, "list", "--credentials", env=UNLOCKED).stdout == "work\n"
    hints = {"ssm": "awsv[ssm]", "hashicorp": "awsv[hashicorp,ssm]"}
    for name, spec in hints.items():
        source = {"AWS_VAULT_PASSPHRASE_SOURCE": name}
        command = hint(home.run(awsv, "list", "--unlock", env=source), f"'{name}'")
        assert command == (f"pipx inject awsv vault-plugin-{name}" if tool == "pipx" else f"uv tool install '{spec}'")
        run("/bin/sh", "-c", command, env=env)
    rows = json.loads(home.run(awsv, "plugins", "list", "--json").stdout)
    assert {row["distribution"] for row in rows} == {*STANDARD, "vault-plugin-ssm", "vault-plugin-hashicorp"}
    assert "missing" not in {row["state"] for row in rows}
