"""``docs/architecture.md`` names only what exists, and every part of the core."""

from __future__ import annotations

import re
from pathlib import Path

from support import documents

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core/src/vault_core"
PAGE = ROOT / "docs/architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")


def drawing() -> str:
    """The text of the drawing of the layers."""
    [fence] = documents.fences(PAGE)
    return fence.text


def spans() -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S))


def paths() -> set[str]:
    """The names in backticks that are paths, and those in the drawing.

    In a path for a new thing, such as ``plugins/NAME/``, the folder before ``NAME`` counts.
    """
    named = {name.partition("NAME")[0].rpartition("/")[0] + "/" if "NAME" in name else name for name in spans()}
    written = {name for name in named if re.fullmatch(r"(?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md)", name)}
    return written | set(re.findall(r"[\w-]+(?:/|\.py)", drawing()))


def test_each_path_on_the_page_exists() -> None:
    found = paths()
    assert {"core/", "sessions/plan.py", "tests/meta/test_boundaries.py", "plugins/", "settings.py"} <= found
    missing = {path for path in found if not (ROOT / path).exists() and not (CORE / path).exists()}
    assert missing == set()


def test_each_part_of_core_is_on_the_page() -> None:
    parts = {f"{path.parent.name}/" for path in CORE.glob("*/__init__.py")} | {path.name for path in CORE.glob("*.py")}
    assert parts - set(spans()) == {"__init__.py"}


def test_each_layer_of_the_drawing_is_in_the_table() -> None:
    layers = set(re.findall(r"^ +\| ([^|]+)\|", drawing(), re.M))
    assert len(layers) > 5
    assert {name for layer in layers for name in layer.split()} <= set(spans())


def test_each_distribution_of_the_workspace_is_on_the_page() -> None:
    folders = {path.parent for pattern in ("[!.]*", "plugins/*") for path in ROOT.glob(f"{pattern}/pyproject.toml")}
    assert len(folders) > 5
    assert {f"{folder.relative_to(ROOT)}/" for folder in folders} - set(spans()) == set()


def test_links_of_page_lead_to_files() -> None:
    assert documents.dead_links(PAGE) == []
