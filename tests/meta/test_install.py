"""The README's commands install from a checkout, and take nothing of ours from an index.

The index offers hostile releases of each of our names, and records which projects an installer requests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from support import index, parts
from support.home import Home
from support.index import HOSTILE, Index
from support.overlay_env import failure
from support.vaults import KEY_ID, SECRET, fill, offline
from support.wheels import PROJECTS, ROOT, SECONDS, Environment, Wheelhouse
from vault_core.plugins.discovery import normalise
from vault_core.plugins.install_hint import STANDARD

pytestmark = pytest.mark.slow

OURS = {
    tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
    for folder in (ROOT / "awsv", ROOT / "testkit", *PROJECTS)
}
COMMANDS = {
    tool: re.findall(r"`([^`]+)`", cells)
    for tool, cells in re.findall(r"^\| (?:\[?)(pipx|uv|pip)\b(.+)\|$", (ROOT / "README.md").read_text(), re.M)
}
"""What the README says for each tool: to install, to upgrade, to uninstall."""
KEYCHAIN, SSM = {"AWS_VAULT_BACKEND": "keychain"}, {"AWS_VAULT_PASSPHRASE_SOURCE": "ssm"}


class User:
    """A user with a checkout, an installer, and the hostile index.

    :param tool: pipx, uv or pip.
    """

    def __init__(self, tool: str, home: Home, wheelhouse: Wheelhouse, hostile: Index) -> None:
        self.home, self.index = home, hostile
        self.checkout = home.root / "a checkout"
        left_out = shutil.ignore_patterns("tests", "__pycache__")
        for name in ("awsv", "core", "plugins", "testkit", "vault-botocore"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=left_out)
        programs = home.root / "bin"
        own = {name: str(home.root / name.lower()) for name in ("PIPX_HOME", "UV_TOOL_DIR", "UV_CACHE_DIR")}
        own |= {"PIPX_BIN_DIR": str(programs), "UV_TOOL_BIN_DIR": str(programs)}
        own |= {"PIPX_DEFAULT_PYTHON": sys.executable, "UV_PYTHON": sys.executable}
        path = Path(sys.executable).parent
        parts.need(tool, shutil.which(tool, path=str(path)), how=f"pip install {tool}")
        if tool == "pip":
            environment = Environment(home.root / "an environment", wheelhouse)
            environment.install("pip")
            wheelhouse.uv("pip", "uninstall", "--python", environment.python, "awsv")
            path = programs = environment.python.parent
        # pipx finds uv beside it and installs with it. With pip it requests less: pip prefers what is installed.
        self.env = {**hostile.environment, **own, "PATH": f"{path}:{os.defpath}"}
        self.awsv = programs / "awsv"

    def types(self, command: str) -> None:
        """Type a command in the checkout: it succeeds, and requests none of our names from the index."""
        env = self.home.environment(self.env)
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input="y\n",
            cwd=self.checkout,
            env=env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.index.requested & OURS == set(), command

    def plugins(self) -> set[str]:
        """The distributions of the installed plugins, none of which is hostile."""
        rows = json.loads(self.home.run(self.awsv, "plugins", "list", "--json").stdout)
        assert {row["version"] for row in rows}.isdisjoint(HOSTILE)
        return {row["distribution"] for row in rows}

    def hint(self, env: dict[str, str]) -> str:
        """The hint of a command that needs a plugin which is not installed."""
        done = self.home.run(self.awsv, "list", "--unlock", env=env)
        return failure(done, 3, "is installed").splitlines()[-1].removeprefix("hint: ")


@pytest.fixture
def hostile(tmp_path: Path, wheelhouse: Wheelhouse) -> Iterator[Index]:
    folder = tmp_path / "index"
    folder.mkdir()
    with index.serve(folder, wheelhouse.folder, OURS) as served:
        yield served


@pytest.mark.parametrize("tool", ["pipx", "uv", "pip"])
def test_commands_of_readme_install_all_from_checkout(
    tool: str, tmp_path: Path, wheelhouse: Wheelhouse, hostile: Index
) -> None:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    user = User(tool, home, wheelhouse, hostile)
    install, upgrade, *uninstall = COMMANDS[tool]

    user.types(install)
    assert hostile.requested >= {"click", "hatchling"}
    assert user.plugins() == set(STANDARD)

    for env, name in ((KEYCHAIN, "keychain"), (SSM, "ssm")):
        hint = user.hint(env)
        assert f"{user.checkout}/" in hint
        assert f"vault-plugin-{name}" not in hint
        user.types(hint)
    more = {"vault-plugin-keychain", "vault-plugin-ssm"}
    assert user.plugins() == {*STANDARD, *more}

    answer = user.checkout / "core/src/vault_core/fast/answer.py"
    answer.write_text(answer.read_text().replace('f"awsv {', 'f"newer awsv {'))
    user.types(upgrade)
    assert user.home.run(user.awsv, "--version").stdout.startswith("newer awsv ")
    assert user.plugins() == {*STANDARD, *more}
    if tool == "pipx":
        user.types("pipx upgrade --include-injected awsv")
        assert user.plugins() == {*STANDARD, *more}

    for command in uninstall:
        user.types(command)
        assert not user.awsv.exists()


def test_hostile_index_is_seen_and_wins(tmp_path: Path, wheelhouse: Wheelhouse, hostile: Index) -> None:
    """An installer that requires one of our names takes it from the index, and the index records that."""
    user = User("uv", offline(tmp_path), wheelhouse, hostile)
    with pytest.raises(AssertionError, match="uv pip install"):
        user.types("uv venv own && uv pip install --python own/bin/python ./plugins/file")
    assert hostile.requested & OURS == {"vault-core"}
    assert list((user.checkout / "own").glob("lib/*/site-packages/vault_core-0.99.dist-info"))


def test_wheel_from_copy_of_folder_requires_names(wheelhouse: Wheelhouse) -> None:
    [wheel] = wheelhouse.folder.glob("awsv-*.whl")
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = archive.read(name).decode()
    assert "Requires-Dist: vault-core<1,>=0.1\n" in metadata
    assert "file:" not in metadata


def test_awsv_lists_all_of_ours_that_its_parts_require() -> None:
    """An installer requests from the index what it has no folder for."""
    hook = tomllib.loads((ROOT / "awsv/pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    for table in (hook["standard"], hook["standard"] | hook["extras"]):
        listed = set()
        required = set()
        for requirement, folder in table.items():
            project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
            listed.add(project["name"])
            assert normalise(re.split("[<>=]", requirement)[0]) == project["name"]
            required |= {normalise(re.split(r"[\[<>= ;]", text)[0]) for text in project["dependencies"]}
        assert required & OURS <= listed
    assert {*STANDARD, "vault-core", "vault-botocore"} == {
        requirement.partition(">")[0] for requirement in hook["standard"]
    }
    assert {f"plugins/{path.parent.name}" for path in ROOT.glob("plugins/*/pyproject.toml")} | {
        "core",
        "vault-botocore",
    } == {
        *hook["standard"].values(),
        *hook["extras"].values(),
    }
