"""``awsv import aws-vault``: every key of a real store is imported, whatever its name, and no cached session is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.awsvault import PASSPHRASE as THEIRS
from support.awsvault import unpack, write_item
from support.home import PROGRAM, Home
from support.vaults import OTHER_ID, OTHER_SECRET, PASSPHRASE, UNLOCKED, fill, offline, store_path, stored

IMPORT = ("import", "aws-vault")
ENV = {**UNLOCKED, "AWS_VAULT_IMPORT_PASSPHRASE": THEIRS}
SEED = {"seed": (OTHER_ID, OTHER_SECRET)}
KEY = {"AccessKeyID": "AKIAIOSFODNN7EXAMP77", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARY77"}


@pytest.fixture
def person(tmp_path: Path) -> Home:
    """A user whose store exists."""
    home = offline(tmp_path)
    fill(home, SEED)
    return home


@pytest.mark.parametrize("name", ["store", "store-with-sessions"])
def test_import_real_store_is_complete(person: Home, tmp_path: Path, name: str) -> None:
    folder, expected = unpack(tmp_path, name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = person.awsv(*IMPORT, "--dir", folder, env=ENV)
    assert done.returncode == 0, done.stderr
    assert stored(person) == {**SEED, **expected}
    for _, secret in expected.values():
        assert secret not in done.stdout + done.stderr
    sessions = sum(file.startswith("sts.") for file in before)
    assert done.stdout.count("session: not imported") == sessions
    assert sessions == (7 if name == "store-with-sessions" else 0)
    again = person.awsv(*IMPORT, "--dir", folder, "--json", env=ENV)
    assert again.returncode == 0
    assert {one["state"] for one in json.loads(again.stdout)["keys"]} == {"same"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_import_prompts_for_the_passphrase(person: Home, tmp_path: Path) -> None:
    folder, expected = unpack(tmp_path, "store")
    child = person.spawn(*IMPORT, "--dir", folder, env=UNLOCKED)
    child.expect_exact(f"Passphrase of aws-vault's items in {folder}: ")
    child.sendline("wrong")
    child.expect_exact("opens none of the 14 items")
    child.expect_exact("Passphrase of aws-vault's items")
    child.sendline(THEIRS)
    child.expect_exact("14 keys from")
    child.wait()
    child.close()
    assert child.exitstatus == 0
    assert stored(person) == {**SEED, **expected}


def test_import_ctrl_c_at_the_prompt_changes_nothing(person: Home, tmp_path: Path) -> None:
    folder, _ = unpack(tmp_path, "store")
    child = person.spawn(*IMPORT, "--dir", folder, env=UNLOCKED)
    child.expect_exact("Passphrase of aws-vault's items")
    child.sendintr()
    child.expect_exact("nothing was copied")
    child.wait()
    child.close()
    assert child.exitstatus == 5
    assert stored(person) == SEED


@pytest.mark.parametrize(
    ("passphrase", "says"),
    [
        ("wrong", "opens none of the 14 items"),
        ("", "AWS_VAULT_IMPORT_PASSPHRASE is set but empty"),
        (None, "there is no prompt"),
    ],
)
def test_import_without_the_passphrase_fails(person: Home, tmp_path: Path, passphrase: str | None, says: str) -> None:
    folder, _ = unpack(tmp_path, "store")
    done = person.awsv(*IMPORT, "--dir", folder, env={**UNLOCKED, "AWS_VAULT_IMPORT_PASSPHRASE": passphrase})
    assert (done.returncode, done.stdout) == (5, "")
    assert says in done.stderr
    assert stored(person) == SEED


def test_import_damaged_items_are_named(person: Home, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    write_item(folder, "good", "good", KEY)
    write_item(folder, "misnamed", "other name", KEY)
    write_item(folder, "half", "half", {"AccessKeyID": KEY["AccessKeyID"], "SecretAccessKey": ""})
    write_item(folder, "stray", "stray", KEY, passphrase="another")
    write_item(folder, "odd", "odd", ["no", "credentials"])
    write_item(folder, "long", "x" * 300, KEY)
    write_item(folder, "token", "oidc:https://x", {"Token": {"AccessToken": "CANARY"}, "Expiration": "2026"})
    write_item(folder, "temporary", "temporary", {**KEY, "SessionToken": "CANARY"})
    write_item(folder, "twice-1", "twice", KEY)
    write_item(folder, "twice-2", "twice", {**KEY, "SecretAccessKey": "another"})
    (folder / "torn").write_bytes((folder / "good").read_bytes()[:300])
    (folder / "empty").write_bytes(b"")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(folder / "good")
    done = person.awsv(*IMPORT, "--dir", folder, env=ENV)
    assert done.returncode == 7, done.stderr
    wanted = (KEY["AccessKeyID"], KEY["SecretAccessKey"])
    assert stored(person) == {**SEED, "good": wanted, "other name": wanted}
    assert done.stdout.count("session: not imported") == 2
    for words in (
        "'half': it has no secret access key",
        "'stray': this passphrase does not open it",
        "'odd': its content is not an item",
        "the profile name has 300 bytes",
        "'twice': two different keys have this name",
        "'empty', 'torn': it is truncated",
    ):
        assert words in done.stderr
    assert "CANARY" not in done.stdout + done.stderr
    assert "DS_Store" not in done.stdout + done.stderr


def test_import_conflict_is_named_and_skipped(person: Home, tmp_path: Path) -> None:
    folder, expected = unpack(tmp_path, "store")
    fill(person, {"work": (OTHER_ID, OTHER_SECRET)})
    done = person.awsv(*IMPORT, "--dir", folder, env=ENV)
    assert done.returncode == 7
    assert f"'work': key {OTHER_ID} is already stored" in done.stderr
    assert "hint: --overwrite" in done.stderr
    assert stored(person) == {**SEED, **expected, "work": (OTHER_ID, OTHER_SECRET)}
    assert person.awsv(*IMPORT, "--dir", folder, "--overwrite", env=ENV).returncode == 0
    assert stored(person) == {**SEED, **expected}


def test_import_dry_run_writes_nothing(person: Home, tmp_path: Path) -> None:
    folder, _ = unpack(tmp_path, "store")
    before = store_path(person).read_bytes()
    done = person.awsv(*IMPORT, "--dir", folder, "--dry-run", "--json", env=ENV)
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert set(document) == {"source", "dry_run", "keys", "sessions", "bad"}
    assert set(document["keys"][0]) == {"profile", "access_key_id", "state", "reason", "store", "check"}
    assert {one["state"] for one in document["keys"]} == {"copied"}
    assert store_path(person).read_bytes() == before


def test_import_without_dir_reads_the_default_folder(person: Home, tmp_path: Path) -> None:
    folder, expected = unpack(tmp_path, "store")
    usual = person.path / ".awsvault"
    usual.mkdir()
    nothing = person.awsv(*IMPORT, env=ENV)
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "--dir" in nothing.stderr
    folder.rename(usual / "keys")
    assert person.awsv(*IMPORT, env=ENV).returncode == 0
    assert stored(person) == {**SEED, **expected}


def test_import_into_a_new_store(tmp_path: Path) -> None:
    home = offline(tmp_path)
    folder, expected = unpack(tmp_path, "store-with-sessions")
    (home.path / ".awsvault").mkdir()
    folder.rename(home.path / ".awsvault/keys")
    home.configure("[profile a]\ncredential_process = aws-vault exec -j nobody\n")
    dry = home.awsv(*IMPORT, "--dry-run", env=ENV)
    assert dry.returncode == 0, dry.stderr
    assert "asks for 'nobody', which awsv cannot provide" in dry.stderr
    assert "no store at" not in dry.stderr  # with a hint to run this very command
    assert not store_path(home).exists()
    done = home.awsv(*IMPORT, env=ENV)
    assert done.returncode == 0, done.stderr
    assert "no store at" not in done.stderr
    assert str(store_path(home)) in done.stderr
    assert stored(home) == expected


CONFIG = """[default]
credential_process = aws-vault exec -j default
[profile work]
  credential_process=/usr/local/bin/aws-vault exec --json work
region = eu-west-1
[profile "my profile with spaces"]
credential_process = aws-vault export --format=json "my profile with spaces"
[profile special]
credential_process = aws-vault exec --json --prompt=ykman special
[profile other]
credential_process = /bin/other
[profile gone]
credential_process = aws-vault exec -j gone
[profile own]
credential_process = aws-vault exec -j upper
"""


def test_import_offers_to_change_lines_that_run_aws_vault(person: Home, tmp_path: Path) -> None:
    folder, _ = unpack(tmp_path, "store")
    person.configure(CONFIG)
    fill(person, {"upper": (OTHER_ID, OTHER_SECRET)})
    shown = person.awsv(*IMPORT, "--dir", folder, env=ENV)
    assert shown.returncode == 7  # a conflict; the lines of the other keys are changed
    assert f"+credential_process = {PROGRAM} exec -j default" in shown.stderr
    assert "--yes changes them" in shown.stderr
    assert person.config.read_text() == CONFIG
    done = person.awsv(*IMPORT, "--dir", folder, "--yes", env=ENV)
    assert done.returncode == 7
    assert f"{person.config}:13 asks for 'gone', which awsv cannot provide" in done.stderr
    assert f"{person.config}:15 asks for 'upper', which awsv cannot provide" in done.stderr
    assert f"{person.config}:9 runs aws-vault with other options" in done.stderr
    assert "it runs awsv if the launcher 'aws-vault' of this plugin is first on PATH" in done.stderr
    wanted = CONFIG.replace("aws-vault exec -j default", f"{PROGRAM} exec -j default")
    wanted = wanted.replace("=/usr/local/bin/aws-vault exec --json work", f" = {PROGRAM} exec -j work")
    wanted = wanted.replace("aws-vault export --format=json", f"{PROGRAM} exec -j")
    assert person.config.read_text() == wanted


def test_import_key_is_used_by_exec(person: Home, tmp_path: Path) -> None:
    folder, expected = unpack(tmp_path, "store")
    assert person.awsv(*IMPORT, "--dir", folder, env=ENV).returncode == 0
    done = person.awsv("exec", "-j", "-n", "emoji-🔑", env=UNLOCKED)
    assert json.loads(done.stdout)["AccessKeyId"] == expected["emoji-🔑"][0]
    assert PASSPHRASE not in done.stderr
