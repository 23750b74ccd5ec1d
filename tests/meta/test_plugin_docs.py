"""What ``docs/plugins`` tells is so: each page's files are written and its consoles run, in an environment of its own.

Every fence of a page is a file, a console, or says why it is neither; every hook has a page whose plugin was loaded.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

import pytest

import vault_testkit as testing
from support import documents, public_api
from support.documents import Answers
from support.home import Home
from support.moto import MotoServer
from support.overlay_env import OverlayEnv
from vault_core import api
from vault_core.plugins.discovery import GROUPS

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/plugins").glob("*.md"))
TUTORIALS = [page for page in PAGES if any(fence.mark == "run" for fence in documents.fences(page))]
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""pip takes what is installed here, the build backend included (its way to say "no isolation" is 0)."""

CONTRACT_SECONDS = 300


def tools(site: OverlayEnv) -> Path:
    """The folder of programs of an environment, with those that the pages use."""
    folder = site.python.parent
    for name, module in (("pip", "pip._internal.cli.main"), ("pytest", "pytest")):
        (folder / name).write_text(f"#!{site.python}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        (folder / name).chmod(0o755)
    (folder / "aws").symlink_to(documents.BIN / "aws")
    return folder


def answers(moto: MotoServer) -> Answers:
    """What a person types at each question."""
    return {
        r"Enter Access Key ID: ": moto.alice.access_key_id,
        r"Enter Secret Access Key: ": moto.alice.secret_access_key,
        r"New passphrase for store '[a-z]+': ": "correct horse",
        r"Repeat passphrase: ": "correct horse",
        r"Passphrase to unlock store '[a-z]+': ": "correct horse",
        r"MFA code for \S+: ": "123456",  # no page shows this question: whichever leads to it fails
        r"\[Y/n\] ": "",
        r"Type the last group to confirm you wrote it down: ": lambda shown: re.findall(r"-([A-Z2-7]{4})\s", shown)[-1],
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, home: Home, moto: MotoServer, aws_v1: Path) -> None:
    path = tools(OverlayEnv(tmp_path / "site"))
    typed = answers(moto)
    home.env |= OFFLINE
    if "AWSV_DEEP" not in os.environ:
        home.env["PYTEST_ADDOPTS"] = "--contract-budget=20"
    home.configure("[profile work]\nregion = eu-west-1\n")
    (tmp_path / "state").write_text(f"cd {home.path}\n")
    for fence in documents.fences(page):
        if fence.mark == "file":
            fence.write(home.path)
        elif fence.mark == "run":
            documents.act(home, fence, typed, path=path, state=tmp_path / "state", timeout=CONTRACT_SECONDS)


def shown_hooks(page: Path) -> set[str]:
    """The hooks that plugins on a page implement."""
    code = "\n".join(fence.text for fence in documents.fences(page) if fence.mark == "file")
    return set(re.findall(r"@(?:api\.)?hookimpl\ndef (\w+)\(", code))


def test_every_hook_has_a_page_whose_plugin_is_used() -> None:
    """A page's plugin is checked by awsv, which loads it, and used by the commands that follow."""
    shown = {hook: page for page in TUTORIALS for hook in shown_hooks(page)}
    assert set(shown) == {hook.name for hook in public_api.hooks()}
    overview = (ROOT / "docs/plugins/index.md").read_text(encoding="utf-8")
    for kind, group in GROUPS.items():
        (hook,) = [hook.name for hook in public_api.hooks() if group in hook.doc]
        page = shown[hook]
        assert re.search(rf"\| `{group}` \| `{hook}` \| \[\w+\]\({page.name}\) \|", overview), kind
        commands = [command for fence in documents.fences(page) if fence.mark == "run" for command in fence.commands]
        checked = next(number for number, command in enumerate(commands) if command.startswith("awsv plugins check "))
        assert any(command.startswith("awsv ") for command in commands[checked + 1 :]), page


def test_the_reference_is_made_from_the_docstrings() -> None:
    text = public_api.REFERENCE.read_text(encoding="utf-8")
    assert text == public_api.reference(), "run 'make docs' and commit docs/plugins/reference.md"


@pytest.mark.parametrize("module", [api, testing], ids=lambda module: module.__name__)
def test_the_reference_has_every_public_name(module: ModuleType) -> None:
    headings = public_api.REFERENCE.read_text(encoding="utf-8").splitlines()
    assert [name for name in module.__all__ if f"### {name}" not in headings] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_is_run_or_says_why_not(page: Path) -> None:
    assert [fence.text for fence in documents.fences(page) if fence.mark is None] == []
    assert documents.dead_links(page) == []


def test_what_is_not_run_takes_an_index() -> None:
    left_out = [fence for page in PAGES for fence in documents.fences(page) if fence.mark == "not run"]
    commands = {command.split(" ")[0] for fence in left_out for command in fence.commands}
    assert commands <= {"pip", "pipx", "python", "python3", "twine"}
    assert all(fence.argument for fence in left_out)
