"""What the documents at the root tell contributors is so: links, make targets, and hooks that download nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import documents

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
TEMPLATES = sorted((ROOT / ".github").rglob("*.md"))


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_links_of_document_lead_to_files(page: Path) -> None:
    assert documents.dead_links(page) == []


def test_each_make_target_that_is_named_exists() -> None:
    pages = (*DOCUMENTS, *TEMPLATES, ROOT / ".pre-commit-config.yaml", ROOT / "docs/architecture.md")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"(?:`|^|entry: )make (?:--\S+ )?([a-z-]+)", text, re.M))
    assert {"test", "format", "lint"} <= named
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert named - targets == set()


def test_each_file_that_templates_name_exists() -> None:
    named = {
        path for page in TEMPLATES for path in re.findall(r"[\w/.]+\.(?:md|txt)", page.read_text(encoding="utf-8"))
    }
    assert {"SECURITY.md", "CHANGELOG.md", "tests/api.txt"} <= named
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_pre_commit_hooks_run_tools_of_this_environment() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"^ +- repo: (.+)$", config, re.M)) == {"local"}
    entries = re.findall(r"^ +entry: (\S+)", config, re.M)
    assert len(entries) == len(re.findall(r"^ +- id: ", config, re.M)) > 0
    assert {entry for entry in entries if entry != "make" and not entry.startswith(".venv/bin/")} == set()
    assert set(re.findall(r"^ +language: (.+)$", config, re.M)) == {"system"}


def test_each_type_ignore_has_a_code_and_a_reason() -> None:
    folders = (
        "core",
        "testkit",
        "vault-botocore",
        "plugins",
        "examples",
        "tests",
        "demo",
        "benchmarks",
        "scripts",
        "awsv",
    )
    bare = re.compile(r"# type[:] ignore(?!\[[a-z, -]+\]  # \S)")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if bare.search(line)
    ]
    assert found == []
