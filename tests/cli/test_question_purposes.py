"""Each question at the terminal names what the command is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.home import Home
from support.vaults import KEY_ID, SECRET, fill, offline


@pytest.fixture
def machine(tmp_path: Path) -> Home:
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    home.configure("[profile work]\nregion = eu-west-1\n")
    home.credentials.write_text(f"[work]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n")
    return home


@pytest.mark.parametrize(
    ("words", "purpose"),
    [
        ("exec work -- true", "profile work"),
        ("list --unlock", "the list of stored keys"),
        ("add work", "adding the key of profile work"),
        ("rotate work", "the rotation of keys"),
        ("list --keys", "the list of stored keys"),
        ("inventory", "the inventory of stored keys"),
        ("remove work", "removing the key of profile work"),
        ("passwd", "changing the passphrase of store file"),
        ("slot add --source env", "adding a way to unlock store file"),
        ("recovery", "making a recovery key for store file"),
        ("import credentials-file", "importing keys from "),
        ("import undo", "restoring "),
        ("file verify", "store file"),
    ],
)
def test_question_names_the_purpose_of_the_command(machine: Home, words: str, purpose: str) -> None:
    terminal = machine.spawn(*words.split(), env={"AWS_VAULT_PASSPHRASE_SOURCE": "prompt"})
    terminal.expect_exact(f"awsv for {purpose}")
    terminal.expect_exact("Passphrase to unlock store 'file'")
    terminal.close()
