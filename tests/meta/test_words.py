"""The words that this project does not use, in texts for people: messages, help, docstrings, comments and documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import documents

WORKSPACE = Path(__file__).parents[2]

INSTEAD = {
    r"whoever": "anyone who, the user, the process that",
    r"(nobody|no one|no person) can be asked": "there is no terminal to prompt on, prompting is not allowed",
    r"asks? nobody": "never prompts",
    r"(?<!there\s)(is|are|was) no(?= (?!longer|more|way|need|such|other|use|room|limit|doubt)[a-z])": "is not a",
    r"mend(s|ed|ing)?": "fix",
    r"(is|are|was|were|be|been) told( of)?(?! apart)": "reported, shown, printed",
    r"(lies|lie|lying) (in|on|at|beside|below|above|there|here|elsewhere)": "is in, is stored in",
    r"stands? (in(?! for)|on|below|above|beside|at|there|here)": "is in, is on",
    r"behind one another": "chained",
    r"comes? to be": "becomes",
    r"comes back": "returns, refers back",
    r"by itself": "alone, automatically",
    r"leave \S+ away": "omit",
    r"blanks?(?! lines?)": "space, spaces",
    r"shall": "must, should",
    r"known are": "available:",
    r"one a line": "one per line",
    r"what is none": "what is not one",
    r"who has not the": "who does not have the",
    r"whose each": "who each ... belongs to",
    r"somebody": "the user, another user, another process",
}
"""A pattern, and the words to write in its place."""

FOLDERS = ("core/src", "testkit/src", "plugins/*/src", "examples/*/src", "vault-botocore/src", "docs", "demo")
FILES = ("*.md", "core/*.md", "awsv/*.md", "testkit/*.md", "plugins/*/*.md", "examples/*/*.md")
GENERATED = (WORKSPACE / "docs/plugins/reference.md",)
"""Its text is that of docstrings, which are in the sources."""


def texts() -> Iterator[Path]:
    paths = {path for pattern in FILES for path in WORKSPACE.glob(pattern)}
    for folder in FOLDERS:
        for root in WORKSPACE.glob(folder):
            paths |= {path for path in root.rglob("*") if path.suffix in {".py", ".md", ".tmpl"}}
    yield from sorted(paths - set(GENERATED))


def content(path: Path) -> str:
    """The text of a file, without the consoles that a test runs: they quote messages, which are in the sources."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        for fence in documents.fences(path):
            if fence.mark == "run":
                text = text.replace(fence.text, "\n" * fence.text.count("\n"))
    return text


def find_words(text: str) -> list[str]:
    """``LINE: words`` of every use of a word that is to be replaced; a phrase may continue on the next line."""
    uses = []
    for pattern, instead in INSTEAD.items():
        phrase = pattern.replace(" ", r"\s+(?:#\s+)?")
        for match in re.finditer(rf"(?<![\w-]){phrase}(?![\w-])", text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            uses.append(f"{line}: {' '.join(match[0].split())!r}, better: {instead}")
    return uses


@pytest.mark.parametrize("path", list(texts()), ids=lambda path: str(path.relative_to(WORKSPACE)))
def test_text_for_people_uses_plain_words(path: Path) -> None:
    assert find_words(content(path)) == []


def test_words_over_two_lines_are_found() -> None:
    assert find_words("# the folder that lies\n    # in the way\nis\nno file") == [
        "3: 'is no', better: is not a",
        "1: 'lies # in', better: is in, is stored in",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "there is no file",
        "it is no longer open",
        "a blank line",
        "cannot be told apart",
        "a stand-in",
        "stands in for it",
    ],
)
def test_plain_words_are_not_reported(text: str) -> None:
    assert find_words(text) == []


def test_console_that_is_run_is_not_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n\n<!-- run -->\n```console\n$ awsv\nwhoever\n```\n\nwhoever\n", encoding="utf-8")
    assert find_words(content(page)) == ["9: 'whoever', better: anyone who, the user, the process that"]
