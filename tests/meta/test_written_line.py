"""The line that ``config credential-process`` writes, behind real installations that are upgraded, rebuilt and removed.

It names the program that the installer keeps in its place. The memo of the code that is gone does not answer.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from support import interpreters, parts
from support.busy import seconds
from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import UNLOCKED, add
from support.wheels import ROOT, Wheelhouse, run, without_configuration

pytestmark = pytest.mark.slow

COMMANDS = {
    "pip": {
        "install": "{python} -m venv --clear {env} && {env}/bin/python -m pip install awsv",
        "upgrade": "{env}/bin/python -m pip install --upgrade vault-core",
        "rebuild": "{python} -m venv --clear {env} && {env}/bin/python -m pip install awsv",
        "uninstall": "{env}/bin/python -m pip uninstall --yes awsv",
    },
    "pipx": {
        "install": "pipx install --python {python} awsv",
        "upgrade": "pipx runpip awsv install --upgrade vault-core",
        "rebuild": "pipx reinstall --python {python} awsv",
        "uninstall": "pipx uninstall awsv",
    },
    "uv": {
        "install": "uv tool install --python {python} awsv",
        "upgrade": "uv tool upgrade awsv",
        "rebuild": "uv tool install --force --python {python} awsv",
        "uninstall": "uv tool uninstall awsv",
    },
}
"""What a person types for each installer."""
CONFIG = f"""
[profile work]
region = eu-west-1
[profile role]
region = eu-west-1
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = work
"""


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse) -> Path:
    """The wheel of a newer core, whose answers tell that they are its own."""
    folder = tmp_path_factory.mktemp("newer")
    core = shutil.copytree(ROOT / "core", folder / "core", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for name, pattern, text in (
        ("pyproject.toml", r'^version = "0\.1\.0"', 'version = "0.1.1"'),
        ("src/vault_core/sessions/formats.py", r'^ +"Version": 1,', '"Version": 1, "Newer": True,'),
    ):
        changed, count = re.subn(pattern, text, (core / name).read_text(), flags=re.M)
        assert count == 1
        (core / name).write_text(changed)
    wheelhouse.uv("build", "--wheel", "--out-dir", folder, core)
    [wheel] = folder.glob("*.whl")
    return wheel


class Person:
    """A person who installed awsv, has a live session of the profile ``role``, and wrote the line of it.

    :param tool: pip, pipx or uv.
    """

    def __init__(self, tool: str, home: Home, wheelhouse: Wheelhouse) -> None:
        self._home, self._tool = home, tool
        path = Path(sys.executable).parent
        parts.need(tool, shutil.which(tool, path=str(path)), how=f"pip install {tool}")
        self.wheels = home.root / "wheels"
        self.wheels.mkdir()
        self.gets(wheelhouse.folder.iterdir())
        own = {name: str(home.root / name.lower()) for name in ("PIPX_HOME", "UV_TOOL_DIR", "UV_CACHE_DIR")}
        own |= {"PIPX_BIN_DIR": str(home.root / "bin"), "UV_TOOL_BIN_DIR": str(home.root / "bin")}
        links = {"PIP_FIND_LINKS": str(self.wheels), "UV_FIND_LINKS": str(self.wheels)}
        self._env = {**wheelhouse.offline, **own, **links, "PIPX_DEFAULT_PYTHON": sys.executable}
        self._env |= {"PATH": f"{path}:{os.defpath}", "HOME": home.env["HOME"], "PIPX_DEFAULT_BACKEND": "pip"}
        self._env["PIP_NO_COMPILE"] = "1"  # half of the time, for files of which a live session needs few
        root = {"pip": "env", "pipx": "pipx_home/venvs/awsv", "uv": "uv_tool_dir/awsv"}[tool]
        self.environment = home.root / root
        self.types("install")
        self.awsv = self.environment / "bin/awsv" if tool == "pip" else home.root / "bin/awsv"
        done = home.run(self.awsv, "config", "credential-process", "role", "--yes", env=UNLOCKED)
        assert done.returncode == 0, done.stderr
        [self.line] = re.findall(r"^credential_process = (.*)$", home.config.read_text(), re.M)
        assert self.line == f"{self.awsv} exec -j role"
        self.answer(env=UNLOCKED)

    def gets(self, wheels: Iterable[Path]) -> None:
        """Make wheels available, as an index would."""
        for wheel in wheels:
            shutil.copy(wheel, self.wheels)

    def types(self, what: str, python: Path = Path(sys.executable)) -> None:
        """Type a command of :data:`COMMANDS`."""
        command = COMMANDS[self._tool][what].format(python=python.resolve(), env=self.environment)
        run("/bin/sh", "-c", command, env=without_configuration(self._env))

    def answer(self, env: dict[str, str] | None = None) -> dict[str, object]:
        """What the line answers."""
        done = self._home.run(*shlex.split(self.line), env=env)
        assert (done.returncode, done.stderr) == (0, ""), done
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def is_hot(self) -> bool:
        """Whether the line is answered from a memo."""
        python = (self.environment / "bin/python", "-I", "-S", "-v")
        done = self._home.run(*python, self.environment / "bin/awsv", *shlex.split(self.line)[1:])
        assert done.returncode == 0, done.stderr
        return "import 'vault_core.cli.commands'" not in done.stderr

    def remember(self) -> None:
        """Have a memo left: once no file that is consulted has changed for two seconds."""
        began = time.monotonic()
        while not self.is_hot():
            assert time.monotonic() - began < seconds(60), "no memo was left"

    def asks(self, aws: Path) -> subprocess.CompletedProcess[str]:
        """Ask the AWS CLI who the profile is."""
        return self._home.run(aws, "sts", "get-caller-identity", "--profile", "role")

    def fails(self, aws: Path) -> None:
        """Ask the AWS CLI, which has to say in one sentence what is not there."""
        done = self.asks(aws)
        assert (done.returncode != 0, done.stdout) == (True, "")
        assert str(self.awsv) in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture
def person(tool: str, home: Home, moto: MotoServer, wheelhouse: Wheelhouse) -> Person:
    home.configure(CONFIG)
    add(home, moto.alice)
    return Person(tool, home, wheelhouse)


@pytest.mark.parametrize("tool", COMMANDS)
def test_line_answers_after_an_upgrade_and_on_another_python_and_without_awsv_fails_in_one_sentence(
    tool: str, person: Person, newer: Path, front: RecordingProxy, wheelhouse: Wheelhouse, aws_v1: Path
) -> None:
    person.remember()
    before = person.answer()
    assert ":assumed-role/RoleA/" in person.asks(aws_v1).stdout

    person.gets([newer])
    person.types("upgrade")
    assert person.answer() == {**before, "Newer": True}
    person.remember()
    assert person.answer() == {**before, "Newer": True}

    person.environment.rename(person.environment.with_name("elsewhere"))
    person.fails(aws_v1)
    person.environment.with_name("elsewhere").rename(person.environment)
    assert person.answer() == {**before, "Newer": True}

    found = interpreters.other()
    if found is not None:
        python, version = found
        person.gets(wheelhouse.fetched_for(version))
        person.types("rebuild", python)
        assert [path.name for path in person.environment.glob("lib/python*")] == [f"python{version}"]
        assert not person.is_hot()
        assert person.answer() == {**before, "Newer": True}
        person.remember()
        assert person.answer() == {**before, "Newer": True}
        assert ":assumed-role/RoleA/" in person.asks(aws_v1).stdout

    person.types("uninstall")
    person.fails(aws_v1)
    assert front.actions.count("AssumeRole") == 1
    if found is None:
        parts.miss("another Python", how="3.11, 3.12, 3.13 or 3.14, as python3.X or in ~/.pyenv/versions")
