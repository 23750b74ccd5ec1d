"""What the README tells is so: its consoles are run, its tables are compared, its links lead somewhere.

A fence after ``<!-- run -->`` is run in a home of its own, in the README's order (see :mod:`support.documents`). One
after ``<!-- file: NAME -->`` is appended to that file of the home. ``test_install.py`` follows the table of installers.
"""

from __future__ import annotations

import re
from pathlib import Path

from support import documents
from support.home import Home
from support.moto import MotoServer

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def answers(moto: MotoServer) -> documents.Answers:
    """What a person types at each question; some of it is on the screen before."""
    return {
        r"Enter Access Key ID: ": moto.alice.access_key_id,
        r"Enter Secret Access Key: ": moto.alice.secret_access_key,
        r"New passphrase for store 'file': ": "correct horse",
        r"Repeat passphrase: ": "correct horse",
        r"Passphrase to unlock store 'file': ": "correct horse",
        r"MFA code for \S+: ": "123456",
        r"\[y/N\] ": "y",
        r"\[Y/n\] ": "",
        r"Type the last group to confirm you wrote it down: ": lambda shown: re.findall(r"-([A-Z2-7]{4})\s", shown)[-1],
    }


def test_the_consoles_do_what_they_show(home: Home, moto: MotoServer, aws_v1: Path) -> None:
    typed = answers(moto)
    done = 0
    for fence in documents.fences(README):
        if fence.mark == "file":
            fence.write(home.path)
        elif fence.mark == "run":
            documents.act(home, fence, typed)
            done += 1
    assert done >= 4


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
    from vault_core.cli.commands import COMMANDS, IMPORTER
    from vault_core.plugins.discovery import scan

    told = {match for row in table("Commands") for match in re.findall(r"`([a-z]+)", row[0])}
    others = {offer.name for offer in scan() if offer.kind == "command"}
    assert told == {*COMMANDS, *others} - {name for name in others if name.startswith(IMPORTER)}
    importers = {name.removeprefix(IMPORTER) for name in others if name.startswith(IMPORTER)}
    assert importers <= set(re.findall(r"`import ([a-z-]+)`", " ".join(row[0] for row in table("Commands"))))


def test_the_table_of_plugins_is_complete() -> None:
    packages = {path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert {re.findall(r"`vault-plugin-([a-z-]+)`", row[0])[0] for row in table("Plugins")} == packages


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
