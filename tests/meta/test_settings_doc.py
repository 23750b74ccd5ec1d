"""What ``docs/settings.md`` tells is so, and whatever can be set is told there."""

from __future__ import annotations

import re
from pathlib import Path

from support import documents
from vault_core.settings import DEFAULTS, OWN_VARIABLES, PROFILE_SETTINGS, Settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/settings.md"
TEXT = PAGE.read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """Every row of every table, by its first cell."""
    cells = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in TEXT.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in cells}


def test_every_setting_with_its_default() -> None:
    table = rows()
    found = {name: (table[name][2], table[name][3]) for name in DEFAULTS}
    told = {name: default or "sts" for name, default in DEFAULTS.items()}
    assert found == {name: (f"AWS_VAULT_{name.upper()}", default) for name, default in told.items()}


def test_every_profile_key() -> None:
    table = rows()
    keys = {name: f"vault_{name}" if name in PROFILE_SETTINGS else "" for name in DEFAULTS}
    assert {name: table[name][1] for name in DEFAULTS} == keys


def test_every_variable_of_the_core() -> None:
    lifetimes = {
        name
        for path in (ROOT / "core/src").rglob("*.py")
        for name in re.findall(r'"(AWS_[A-Z_]*TTL)"', path.read_text(encoding="utf-8"))
    }
    assert len(lifetimes) == 5
    assert {name for name in OWN_VARIABLES | lifetimes if f"`{name}`" not in TEXT} == set()


def test_the_config_file_means_what_it_says(tmp_path: Path) -> None:
    [toml] = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    folder = tmp_path / ".config/awsv"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(toml)
    settings = Settings({"HOME": str(tmp_path), "AWS_VAULT_FILE_DIR": "/elsewhere"})
    assert settings.names("passphrase_source") == ("env", "prompt")
    assert settings.value("wait").text == "2m"
    for name, wanted in (("file", "/elsewhere"), ("second", "~/.local/share/awsv-second")):
        store = settings.store(name)
        option = settings.option(store.backend, "dir", store)
        assert option is not None
        assert option.text == wanted


def test_the_links_lead_somewhere() -> None:
    assert documents.dead_links(PAGE) == []
