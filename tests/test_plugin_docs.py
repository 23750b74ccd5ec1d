"""What ``docs/plugins`` tells is so: each page's files are written and its consoles run, in an environment of its own.

Every fence of a page is a file, a console, or says why it is neither; every hook has a page whose plugin was loaded.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from support import documents
from support.documents import Answers
from support.home import Home
from support.moto import MotoServer
from support.sites import Site
from vault_core import hookspecs

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs/plugins").glob("*.md"))
TUTORIALS = [page for page in PAGES if any(fence.mark == "run" for fence in documents.fences(page))]
HOOKS = {name for name in vars(hookspecs) if name.startswith("vault_")}
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""pip takes what is installed here, the build backend included (its way to say "no isolation" is 0)."""

CONTRACT_SECONDS = 300


def tools(site: Site) -> Path:
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
        r"The same again: ": "correct horse",
        r"Passphrase to unlock store '[a-z]+': ": "correct horse",
        r"\[Y/n\] ": "",
        r"Its last group, to show that you have it: ": lambda shown: re.findall(r"-([A-Z2-7]{4})\s", shown)[-1],
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, home: Home, moto: MotoServer, aws_v1: Path) -> None:
    path = tools(Site(tmp_path / "site"))
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_is_run_or_says_why_not(page: Path) -> None:
    assert [fence.text for fence in documents.fences(page) if fence.mark is None] == []
    assert documents.dead_links(page) == []


def test_what_is_not_run_takes_an_index() -> None:
    left_out = [fence for page in PAGES for fence in documents.fences(page) if fence.mark == "not run"]
    commands = {command.split(" ")[0] for fence in left_out for command in fence.commands}
    assert commands <= {"pip", "pipx", "python", "python3", "twine"}
    assert all(fence.argument for fence in left_out)
