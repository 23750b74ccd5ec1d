"""Every architecture decision has a number, a status and a date, and is in the index."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from support import documents

FOLDER = Path(__file__).parents[2] / "docs/adr"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
NEVER_WRITTEN = {7, 8}
SUPERSEDED = re.compile(r"superseded by \[(\d+)\]\(([\w-]+\.md)\)")


def number(page: Path) -> int:
    return int(page.name.partition("-")[0])


def head(page: Path) -> tuple[str, str, str]:
    """Title, status and date of a page, which it has once."""
    text = page.read_text(encoding="utf-8")
    found = re.match(r"# (.+)\n\n- Status: (.+)\n- Date: (.+)\n\n", text)
    assert len(re.findall(r"^\W*(?:Status|Accepted)\b", text, re.M | re.I)) == 1, page.name
    assert found is not None, f"{page.name}: expected a title, '- Status: …' and '- Date: …'"
    return found[1], found[2], found[3]


def test_numbers_have_only_the_documented_gap() -> None:
    numbers = [number(page) for page in PAGES]
    assert numbers == [n for n in range(1, len(PAGES) + len(NEVER_WRITTEN) + 1) if n not in NEVER_WRITTEN]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_number_status_and_date(page: Path) -> None:
    title, status, date = head(page)
    assert title.startswith(f"{number(page)}. ")
    assert datetime.date.fromisoformat(date)
    if found := SUPERSEDED.fullmatch(status):
        successor = FOLDER / found[2]
        assert number(successor) == int(found[1]) > number(page)
        assert head(successor)[1] == "accepted"
    else:
        assert status in {"proposed", "accepted", "rejected"}


def test_index_lists_every_page_with_title_and_status() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\(([\w-]+\.md)\) \| (.+) \|$", index, re.M)
    expected = [(str(number(page)), head(page)[0].partition(". ")[2], page.name, head(page)[1]) for page in PAGES]
    assert rows == expected


def test_template_has_the_head_of_a_page() -> None:
    assert head(FOLDER / "template.md") == ("N. The decision in one sentence", "proposed", "YYYY-MM-DD")


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_links_of_page_lead_to_files(page: Path) -> None:
    assert documents.dead_links(page) == []
