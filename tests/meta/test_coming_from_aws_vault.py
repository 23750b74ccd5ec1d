"""What the page for users of aws-vault says is so: its consoles are run from the first to the last, in one home."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from support import documents, parts
from support.documents import Answers
from support.home import PROGRAM, Home
from support.moto import MotoServer

PAGE = Path(__file__).parents[2] / "docs/coming-from-aws-vault.md"


def answers(moto: MotoServer) -> Answers:
    """What a person types at each question."""
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


@pytest.mark.slow
def test_the_day_and_the_differences_are_as_the_page_shows_them(
    home: Home, moto: MotoServer, tmp_path: Path, aws_v1: Path
) -> None:
    """In a zsh, as in the article; the README's consoles run in bash."""
    zsh = parts.need("zsh", shutil.which("zsh"), how="apt-get install zsh")
    home.config.unlink()
    done = 0
    for fence in documents.fences(PAGE):
        if fence.mark == "file":
            fence.write(home.path)
        elif fence.mark == "run":
            documents.act(home, fence, answers(moto), state=tmp_path / "state", shell=zsh)
            done += 1
    assert done >= 16


def test_nothing_on_the_page_is_left_out() -> None:
    fences = documents.fences(PAGE)
    assert {fence.mark for fence in fences} == {"run", "file", "not run"}
    assert [fence.commands for fence in fences if fence.mark == "not run"] == [
        ["aws-vault login account_1_role_admin", "aws-vault rotate my_profile"]
    ]
    assert documents.dead_links(PAGE) == []


def test_names_of_aws_vault_in_the_table_of_settings_are_those_that_it_says(home: Home) -> None:
    """Each backend that the page says comes with a plugin is known, and the others of aws-vault are not."""
    text = PAGE.read_text(encoding="utf-8")
    [row] = [line for line in text.splitlines() if line.startswith("| `AWS_VAULT_BACKEND`")]
    told = set(re.findall(r"`([a-z][a-z-]+)`", row))
    listed = home.awsv("--backend=nothing", "list").stderr.splitlines()[-1]
    assert told <= set(re.findall(r"[\w-]+", listed))
    for name in ("wincred", "keyctl", "op", "passage", "winhello"):
        assert home.awsv(f"--backend={name}", "list").returncode == 3


def test_awsv_creates_no_config_file_and_leaves_one_that_is_there(home: Home, moto: MotoServer) -> None:
    before = home.config.read_bytes()
    env = {"AWS_ACCESS_KEY_ID": moto.alice.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key}
    env["AWS_VAULT_FILE_PASSPHRASE"] = "correct horse"
    assert home.run(PROGRAM.with_name("aws-vault"), "add", "--env", "new", env=env).returncode == 0
    assert home.config.read_bytes() == before
    home.config.unlink()
    assert home.awsv("list", env=env).returncode == 0
    assert home.awsv("exec", "new", "--", "true", env={**env, "AWS_REGION": "eu-west-1"}).returncode == 0
    assert not home.config.exists()
