"""Commands with a store that is older than, or another than, the one that this machine has seen (S8)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.file_store import KEYS, done, told
from support.vaults import KEY_ID, OTHER_ID, SECRET, ended, fill, offline, store_path, stored


@pytest.fixture
def path(home: Any) -> Any:
    return store_path(home)


@pytest.fixture
def older(home: Any, path: Any) -> Any:
    """An older copy in place of the store: the keys of 'other' were removed after it was made."""
    old = path.read_bytes()
    done(home.awsv("remove", "--force", "other"))
    path.write_bytes(old)
    return old


PRINT = ("sh", "-c", "echo $AWS_ACCESS_KEY_ID")


def test_s8_older_copy_is_refused_without_terminal(home: Any, older: Any, path: Any) -> None:
    """An SDK does not show the standard error of its credential_process."""
    for words, code in (
        (("exec", "-n", "-j", "other"), 4),
        (("export", "-n", "other"), 4),
        (("exec", "-n", "other", "--", *PRINT), 125),  # no terminal: a job, a service
    ):
        stderr = done(home.awsv(*words), code=code)
        assert f"{path} is an older copy than this machine has seen; no user would see this notice" in stderr
        assert stderr.endswith("\nhint: awsv file accept --older\n")
    told(home.awsv("file", "accept", "--older"))
    assert json.loads(done(home.awsv("exec", "-n", "-j", "other")))["AccessKeyId"] == OTHER_ID


def test_s8_older_copy_warns_once_at_terminal(home: Any, older: Any, path: Any) -> None:
    child = home.spawn("exec", "-n", "other", "--", *PRINT)
    child.expect_exact(f"awsv: {path} is an older copy than this machine has seen: you can read it, and programs")
    child.expect_exact("cannot (awsv file accept --older)")
    child.expect_exact(OTHER_ID)
    assert ended(child) == 0
    machine = home.spawn("exec", "-n", "-j", "other")  # an SDK's child has the terminal, too
    machine.expect_exact("no user would see this notice")
    assert ended(machine) == 4


def test_s8_older_copy_is_written_only_after_accept(home: Any, older: Any, path: Any) -> None:
    for words in (("remove", "--force", "work"), ("file", "rekey")):
        stderr = done(home.awsv(*words), code=4)
        assert "older copy" in stderr
        assert "awsv file accept --older" in stderr
        assert path.read_bytes() == older
    assert "OLDER" in done(home.awsv("file", "status"))
    assert "but older" in done(home.awsv("file", "accept", "--fork"), code=4)
    assert "recorded " in told(home.awsv("file", "accept", "--older"))
    assert told(home.awsv("list", "--credentials")) == ""
    done(home.awsv("remove", "--force", "work"))
    assert set(stored(home)) == {"other"}


def test_s8_different_store_is_refused_until_accepted(home: Any, path: Any, tmp_path: Path) -> None:
    done(home.awsv("file", "verify"))
    new = offline(tmp_path / "new")
    fill(new, {"work": KEYS["other"]})
    path.write_bytes(store_path(new).read_bytes())
    add = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    for words in (("list", "--unlock"), ("exec", "-n", "-j", "work"), ("add", "--env", "third"), ("slot", "list")):
        stderr = done(home.awsv(*words, env=add), code=4)
        assert "a different store" in stderr
        assert "awsv file accept --replaced" in stderr
    told(home.awsv("file", "accept", "--replaced"))
    assert done(home.awsv("list", "--credentials")) == "work\n"


def test_s8_missing_recorded_store_is_not_recreated(home: Any, path: Any, tmp_path: Path) -> None:
    done(home.awsv("file", "backup", tmp_path / "b.vlt"))
    done(home.awsv("file", "verify"))
    path.unlink()
    add = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    for words in (("add", "--env", "third"), ("file", "init"), ("list", "--unlock"), ("exec", "-n", "-j", "work")):
        stderr = done(home.awsv(*words, env=add), code=4)
        assert f"{path} is gone" in stderr
        assert "awsv file restore" in stderr
    assert not path.exists()
    assert "GONE" in done(home.awsv("file", "status"))
    done(home.awsv("file", "restore", tmp_path / "b.vlt"))
    assert stored(home) == KEYS
    path.unlink()
    assert "is forgotten" in told(home.awsv("file", "accept", "--replaced"))
    done(home.awsv("add", "--env", "third", env=add))
    assert done(home.awsv("list", "--credentials")) == "third\n"


def test_s8_anchor_off_records_nothing(home: Any, older: Any) -> None:
    off = {"AWS_VAULT_FILE_ANCHOR": "off"}
    assert told(home.awsv("list", "--credentials", env=off)) == ""
    done(home.awsv("remove", "--force", "work", env=off))
    assert '"off"' in done(home.awsv("file", "status", "--json", env=off))
    assert "not true or false" in done(home.awsv("list", "--unlock", env={"AWS_VAULT_FILE_ANCHOR": "maybe"}), code=2)


def test_accept_without_option_is_usage_error(home: Any) -> None:
    assert "--older, --fork or --replaced" in done(home.awsv("file", "accept"), code=2)
