"""Settings in the credentials file count as for the AWS CLI and boto3; its keys stay where they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import UNLOCKED, add, key_of
from support.vaults import KEY_ID, SECRET, data, stores

KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/RoleA"
CONFIG = """\
[default]
region = eu-central-1
[profile work]
region = eu-west-1
output = json
[profile bare]
"""
CREDENTIALS = f"""\
[default]
region = ap-south-1
[work]
region = eu-west-3
[bare]
output = text
[late]
role_arn = {ROLE}
source_profile = work
region = sa-east-1
[keyed]
aws_access_key_id = AKIACANARYCANARYCANA
aws_secret_access_key = canary-of-a-secret
region = us-west-2
[keys]
aws_access_key_id = AKIACANARYCANARYCANA
aws_secret_access_key = canary-of-a-secret
aws_session_token = canary-of-a-token
"""


@pytest.fixture
def logged_in(home: Home, moto: MotoServer) -> Home:
    home.configure(CONFIG)
    home.credentials.write_text(CREDENTIALS)
    add(home, moto.alice, "work")
    return home


def explained(home: Home, profile: str) -> dict[str, Any]:
    done = home.awsv("explain", "--json", profile)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def line_of(path: Path, text: str) -> str:
    return f"{path}:{path.read_text().splitlines().index(text) + 1}"


@pytest.mark.parametrize("profile", ["default", "work", "bare", "late", "keyed", "keys"])
def test_the_region_is_the_one_of_the_cli_and_boto3(
    profile: str, logged_in: Home, aws_v1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(logged_in.config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(logged_in.credentials))
    region = explained(logged_in, profile)["region"]
    assert (region or "") == logged_in.run(aws_v1, "configure", "get", "region", "--profile", profile).stdout.strip()
    assert region == boto3.Session(profile_name=profile).region_name


def test_every_value_has_its_file_and_line(logged_in: Home) -> None:
    values = {one["key"]: (one["value"], one["from"]) for one in explained(logged_in, "work")["values"]}
    assert values["region"] == ("eu-west-3", line_of(logged_in.credentials, "region = eu-west-3"))
    assert values["output"] == ("json", line_of(logged_in.config, "output = json"))


def test_a_role_that_only_the_credentials_file_has(logged_in: Home, front: RecordingProxy) -> None:
    assert [step["step"] for step in explained(logged_in, "late")["steps"]] == ["stored key", "sts.AssumeRole"]
    done = logged_in.awsv("exec", "late", "--", "/usr/bin/env", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert "AWS_REGION=sa-east-1" in done.stdout.splitlines()
    assert "AWS_REGION=sa-east-1" in logged_in.awsv("export", "--format=env", "late", env=UNLOCKED).stdout
    assert [call.action for call in front.calls] == ["AssumeRole"]


def test_a_role_that_only_the_credentials_file_has_needs_no_key(logged_in: Home) -> None:
    done = logged_in.awsv("add", "--env", "late", env={**UNLOCKED, **KEYS})
    assert done.returncode == 2
    assert "profile 'late' uses the credentials of 'work'" in done.stderr


def test_a_session_is_another_one_when_a_setting_changes(logged_in: Home, front: RecordingProxy) -> None:
    first = key_of(logged_in, "late", env=UNLOCKED)
    assert key_of(logged_in, "late") == first
    logged_in.credentials.write_text(CREDENTIALS.replace("[late]\n", "[late]\nrole_session_name = other\n"))
    assert key_of(logged_in, "late", env=UNLOCKED) != first
    logged_in.credentials.write_text(CREDENTIALS)
    assert key_of(logged_in, "late") == first
    assert len(front.calls) == 2


def test_its_keys_are_neither_used_nor_shown(logged_in: Home) -> None:
    for profile, told in (("keyed", "no key is stored for profile 'keyed'"), ("keys", "unknown profile 'keys'")):
        done = logged_in.awsv("exec", "-j", profile, env=UNLOCKED)
        assert (done.returncode, done.stdout) == (4 if profile == "keyed" else 2, "")
        assert told in done.stderr
        for words in (
            ["explain", profile],
            ["explain", "--json", profile],
            ["list", "--json"],
            ["exec", "-j", profile],
        ):
            told_of = logged_in.awsv(*words, env=UNLOCKED)
            assert "canary" not in (told_of.stdout + told_of.stderr).lower()


def test_which_profiles_are_listed_and_matched(logged_in: Home) -> None:
    assert logged_in.awsv("list", "--profiles").stdout.splitlines() == ["default", "work", "bare", "late"]
    listed = json.loads(logged_in.awsv("list", "--json").stdout)
    assert [one["profile"] for one in listed if one["in_config"]] == ["default", "work", "bare", "late"]
    done = logged_in.awsv("ready", "--json", "la*", "wor*", env=UNLOCKED)
    assert [(one["profile"], one["ready"]) for one in json.loads(done.stdout)] == [("late", True), ("work", True)]
    assert "no profile matches 'key*'" in logged_in.awsv("ready", "key*", env=UNLOCKED).stderr


def test_the_store_that_it_names_is_written_and_read(home: Home) -> None:
    second = home.path / "second"
    stores(home, second=second)
    home.configure("[profile work]\n")
    home.credentials.write_text("[work]\nvault_backend = second\n")
    done = home.awsv("add", "--env", "work", env={"AWS_VAULT_SECOND_PASSPHRASE": "a passphrase", **KEYS})
    assert done.returncode == 0, done.stderr
    assert second.is_dir()
    assert data(home) == {}
    assert explained(home, "work")["steps"][0]["place"].startswith(str(second))


def test_a_file_that_botocore_rejects_is_named(logged_in: Home) -> None:
    logged_in.credentials.write_text("[work]\nregion\n")
    done = logged_in.awsv("exec", "-j", "work", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{logged_in.credentials}:2: neither a section" in done.stderr
