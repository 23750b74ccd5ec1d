"""Each distribution's README names what it offers: every plugin, every option, and how it is installed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from support import documents
from vault_core.plugins.discovery import GROUPS
from vault_core.plugins.loader import Plugins

ROOT = Path(__file__).parents[2]
KINDS = {group: kind for kind, group in GROUPS.items()}
PROJECTS = sorted(path.parent for folder in ("plugins", "examples") for path in ROOT.glob(f"{folder}/*/pyproject.toml"))


def project(folder: Path) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_a_readme_names_what_the_distribution_offers(folder: Path) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    declared = project(folder)
    assert readme.startswith(f"# {declared['name']}\n")
    plugins = Plugins()
    for group, names in declared["entry-points"].items():  # type: ignore[attr-defined]  # a table
        for name in names:
            assert re.search(rf"`(awsv )?{name}\b", readme), f"{name} is not named"
            spec = plugins.load(KINDS[group], name)
            for option in getattr(spec, "options", ()):
                variable = f"AWS_VAULT_{name}_{option.name}".replace("-", "_").upper()
                assert variable in readme or f"`{option.name}`" in readme, (
                    f"neither {variable} nor `{option.name}` is named"
                )


@pytest.mark.parametrize("folder", [ROOT / "awsv", ROOT / "core", *PROJECTS], ids=lambda folder: folder.name)
def test_the_links_of_a_readme_lead_somewhere(folder: Path) -> None:
    assert documents.dead_links(folder / "README.md") == []


def test_readme_of_awsv_lists_its_plugins_and_extras() -> None:
    text = (ROOT / "awsv/README.md").read_text(encoding="utf-8")
    hook = tomllib.loads((ROOT / "awsv/pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    standard = {Path(folder).name for folder in hook["standard"].values()}
    assert (
        set(re.findall(r"`(?:vault-plugin)?-(\w+)`", text.partition("|")[0])) | {"core", "vault-botocore"} == standard
    )
    extras = {Path(folder).name for folder in hook["extras"].values()}
    assert set(re.findall(r"`awsv\[([\w-]+)\]`", text)) == extras | {"all"}
