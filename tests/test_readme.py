"""What the README tells is so: its consoles are run, its tables are compared, its links lead somewhere.

A fence after ``<!-- run -->`` is run in a home of its own, in the README's order (see :mod:`support.documents`). One
after ``<!-- file: NAME -->`` is appended to that file of the home; ``<!-- run: pipx -->`` and ``<!-- run: uv -->`` are
installations.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import documents, parts
from support.documents import BIN, Fence
from support.home import Home
from support.moto import MotoServer

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
INSTALL_SECONDS = 300


def fences(mark: str | None = None, argument: str | None = None) -> list[Fence]:
    """The marked fences of the README, or those of one mark."""
    found = [fence for fence in documents.fences(README) if fence.mark in ("run", "file")]
    return [fence for fence in found if mark is None or (fence.mark, fence.argument) == (mark, argument)]


def answers(moto: MotoServer) -> documents.Answers:
    """What a person types at each question; some of it is on the screen before."""
    return {
        r"Enter Access Key ID: ": moto.alice.access_key_id,
        r"Enter Secret Access Key: ": moto.alice.secret_access_key,
        r"New passphrase for store 'file': ": "correct horse",
        r"The same again: ": "correct horse",
        r"Passphrase to unlock store 'file': ": "correct horse",
        r"MFA code for \S+: ": "123456",
        r"\[y/N\] ": "y",
        r"\[Y/n\] ": "",
        r"Type the last group to confirm you wrote it down: ": lambda shown: re.findall(r"-([A-Z2-7]{4})\s", shown)[-1],
    }


def test_the_consoles_do_what_they_show(home: Home, moto: MotoServer, aws_v1: Path) -> None:
    typed = answers(moto)
    done = 0
    for fence in fences():
        if fence.mark == "file":
            fence.write(home.path)
        elif fence.argument is None:
            documents.act(home, fence, typed)
            done += 1
    assert done >= 4


def reaches_an_index(uv: str) -> bool | None:
    """True, or None: uv does not read pip's configuration, so where pip installs, uv may not."""
    argv = [uv, "pip", "compile", "--quiet", "--no-deps", "--python", sys.executable, "-"]
    done = subprocess.run(argv, input="pluggy", capture_output=True, text=True, timeout=INSTALL_SECONDS)
    return True if done.returncode == 0 else None


@pytest.mark.parametrize("tool", ["pipx", "uv"])
def test_the_installation_brings_core_and_plugins_together(tool: str, tmp_path: Path) -> None:
    program = parts.need(tool, shutil.which(tool, path=str(BIN)), how=f"pip install {tool}")
    if tool == "uv":
        parts.need("a package index for uv", reaches_an_index(program), how="configure uv as you did pip")
    # The caller's own environment, which knows how to reach a package index; only what is installed goes elsewhere.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "VIRTUAL_ENV"))}
    folders = ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR", "PIPX_COMPLETION_DIR", "UV_TOOL_DIR", "UV_TOOL_BIN_DIR")
    env |= {name: str(tmp_path / name.lower()) for name in folders}
    env |= {"PATH": f"{BIN}:{env['PATH']}", "PIPX_DEFAULT_PYTHON": sys.executable, "UV_PYTHON": sys.executable}
    env["PIPX_DEFAULT_BACKEND"] = "pip"  # with uv beside it, pipx would use that
    (fence,) = fences("run", tool)
    for command in fence.commands:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
    awsv = tmp_path / ("pipx_bin_dir" if tool == "pipx" else "uv_tool_bin_dir") / "awsv"
    listed = subprocess.run(
        [awsv, "plugins", "list", "--json"], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    names = {plugin["name"] for plugin in json.loads(listed.stdout)}
    assert names >= {"file", "env", "prompt", "terminal", "sts"}


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head, as the text of their cells."""
    _, _, rest = README.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    rows = []
    for line in rest.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            break
    return rows[2:]


def test_the_table_of_commands_is_complete(home: Home) -> None:
    from vault_core.cli.commands import COMMANDS
    from vault_core.plugins.discovery import scan

    told = {match for row in table("Commands") for match in re.findall(r"`([a-z]+)", row[0])}
    assert told == {*COMMANDS, *(offer.name for offer in scan() if offer.kind == "command")}


def test_the_table_of_plugins_is_complete() -> None:
    packages = {path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert {re.findall(r"`vault-plugin-([a-z]+)`", row[0])[0] for row in table("Plugins")} == packages


def test_the_table_of_exit_codes_is_the_code_of_the_errors() -> None:
    from vault_core import errors

    codes = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.VaultError)
    }
    told = {int(code) for row in table("Exit codes") for code in row[0].split(", ")}
    assert told == codes | {0, 125, 126, 127}


def test_the_links_lead_somewhere() -> None:
    assert documents.dead_links(README) == []
