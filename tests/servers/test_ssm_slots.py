"""A store's ways in, when one of them is AWS: made, used, and named where nothing else is left."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from support.home import PROGRAM, Home
from support.moto import REGION, MotoServer
from support.recording_proxy import RecordingProxy, json_error
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, store_path
from support.ways import table

PARAMETER = "/slots/vault"
PASSPHRASE = "the passphrase that AWS keeps"
SHOW = ("exec", "--no-session", "work", "--", "printenv", "AWS_ACCESS_KEY_ID")
ALONE = "opens only with ssm: while that cannot be reached, it stays locked"


@pytest.fixture
def aws(home: Home, moto: MotoServer) -> dict[str, str]:
    """A store with a passphrase of its own; the settings of another one, which AWS keeps."""
    moto.client("ssm").put_parameter(Name=PARAMETER, Value=PASSPHRASE, Type="SecureString", Overwrite=True)
    fill(home, {"work": (KEY_ID, SECRET)})
    return {
        "AWS_VAULT_SSM_PARAMETER": PARAMETER,
        "AWS_VAULT_SSM_CREDENTIALS": "environment",
        "AWS_VAULT_SSM_REGION": REGION,
        "AWS_ACCESS_KEY_ID": moto.alice.access_key_id,
        "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key,
    }


def only(source: str, aws: Mapping[str, str]) -> dict[str, str]:
    return {**aws, "AWS_VAULT_PASSPHRASE_SOURCE": source}


def test_a_source_that_keeps_no_key_opens_the_store_with_its_passphrase(
    home: Home, aws: dict[str, str], front: RecordingProxy
) -> None:
    assert home.awsv(*SHOW, env=only("ssm", aws)).returncode == 125
    front.forget()
    done = home.awsv("slot", "add", "--source", "ssm", env={**aws, **UNLOCKED})
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert front.actions == ["GetParameter"]
    assert [(slot.type, slot.label) for slot in table(home).slots] == [("passphrase", ""), ("passphrase", "ssm")]
    front.forget()
    done = home.awsv(*SHOW, env=only("ssm", aws))
    assert (done.returncode, done.stdout) == (0, f"{KEY_ID}\n"), done.stderr
    assert front.actions == ["GetParameter"]
    assert home.awsv(*SHOW, env=UNLOCKED).returncode == 0

    before = store_path(home).read_bytes()
    again = home.awsv("slot", "add", "--source", "ssm", env={**aws, **UNLOCKED})
    assert (again.returncode, "the passphrase of source 'ssm' opens store 'file' already" in again.stderr) == (5, True)
    assert store_path(home).read_bytes() == before


def test_nothing_changes_where_aws_says_no(home: Home, aws: dict[str, str], front: RecordingProxy) -> None:
    before = store_path(home).read_bytes()
    front.on("GetParameter", json_error("AccessDeniedException", "no"))
    done = home.awsv("slot", "add", "--source", "ssm", env={**aws, **UNLOCKED})
    assert done.returncode == 5
    assert 'missing policy statement: {"Sid": "GetPassphrase"' in done.stderr
    assert f"does not let the keys in the environment read parameter {PARAMETER}" in done.stderr
    assert store_path(home).read_bytes() == before


def test_both_factors_are_needed_and_the_last_other_way_is_told(
    home: Home, aws: dict[str, str], front: RecordingProxy
) -> None:
    both = only("ssm,env", {**aws, **UNLOCKED})
    done = home.awsv("slot", "add", "--composite", "ssm,env", env={**aws, **UNLOCKED})
    assert done.returncode == 0, done.stderr
    [first] = table(home).of_type("passphrase")
    assert "warning" not in done.stderr  # the passphrase alone still opens it
    done = home.awsv("slot", "remove", first.id, "--force", env={**aws, **UNLOCKED})
    assert done.returncode == 0, done.stderr
    assert f"warning: store 'file' {ALONE}" in done.stderr
    assert home.awsv(*SHOW, env=both).stdout == f"{KEY_ID}\n"
    front.on("GetParameter", json_error("AccessDeniedException", "no"))
    assert home.awsv(*SHOW, env=both).returncode == 125


def test_the_only_way_in_is_told_when_a_store_is_made_and_not_when_it_has_another(
    home: Home, aws: dict[str, str]
) -> None:
    store_path(home).unlink()
    key = f'{{"AccessKeyId": "{KEY_ID}", "SecretAccessKey": "{SECRET}"}}'
    env = only("ssm", {**aws, "AWS_VAULT_FILE_ANCHOR": "off"})
    done = home.awsv("add", "work", input=key, env=env)
    assert done.returncode == 0, done.stderr
    assert (
        f"warning: store 'file' {ALONE} ('awsv recovery' makes a recovery key, which needs no network)" in done.stderr
    )
    done = home.run("/bin/sh", "-c", "umask 077; exec awsv slot add --recovery --recovery-fd 3 3>key", env=on_path(env))
    assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
    second = home.awsv("slot", "add", "--composite", "ssm,env", env={**env, "AWS_VAULT_FILE_PASSPHRASE": "x"})
    assert (second.returncode, "warning" in second.stderr) == (0, False), second.stderr


def test_a_passphrase_that_somebody_chose_is_another_way(home: Home, aws: dict[str, str]) -> None:
    [first] = table(home).slots
    assert home.awsv("slot", "add", "--source", "ssm", env={**aws, **UNLOCKED}).returncode == 0
    env = only("ssm", aws)
    done = home.awsv("slot", "remove", first.id, "--force", env=env)
    assert (done.returncode, ALONE in done.stderr) == (0, True), done.stderr
    done = home.awsv("slot", "add", "--passphrase", "--new-passphrase-fd", "0", input="known by heart", env=env)
    assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr


def on_path(env: Mapping[str, str]) -> dict[str, str]:
    return {**env, "PATH": f"{PROGRAM.parent}:/usr/bin:/bin"}


def test_while_aws_is_away_the_next_source_opens_the_store(home: Home, aws: dict[str, str]) -> None:
    away = {**only("ssm,env", {**aws, **UNLOCKED}), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = home.awsv(*SHOW, env=away)
    assert (done.returncode, done.stdout) == (0, f"{KEY_ID}\n")
    assert done.stderr.startswith("awsv: passphrase source 'ssm': AWS in eu-west-1 cannot be reached")
    alone = home.awsv(*SHOW, env={**away, "AWS_VAULT_PASSPHRASE_SOURCE": "ssm"})
    assert (alone.returncode, alone.stdout) == (125, "")
    assert "no passphrase for store 'file': tried ssm (AWS in eu-west-1 cannot be reached" in alone.stderr


def test_a_new_passphrase_is_a_persons(home: Home, aws: dict[str, str]) -> None:
    done = home.awsv("slot", "add", "--passphrase", env={**only("env", aws), **UNLOCKED})
    assert done.returncode == 5
    assert "hint: give --passphrase-source env,prompt, or --new-passphrase-fd" in done.stderr


def test_listing_asks_neither_a_person_nor_aws(home: Home, aws: dict[str, str], front: RecordingProxy) -> None:
    assert home.awsv("slot", "add", "--source", "ssm", env={**aws, **UNLOCKED}).returncode == 0
    home.configure(f"[profile work]\nregion = {REGION}\n")
    front.forget()
    for words, shown in ((("list",), "locked"), (("explain", "work"), "not checked: locked")):
        done = home.awsv(*words, env=only("ssm", aws))
        assert (done.returncode, shown in done.stdout, done.stderr) == (0, True, "")
    assert front.calls == []
    done = home.awsv("list", "--unlock", env=only("ssm", aws))
    assert (done.returncode, "locked" in done.stdout, front.actions) == (0, False, ["GetParameter"])


def test_a_profile_names_the_source_and_the_users_settings_say_where_it_looks(
    home: Home, aws: dict[str, str], front: RecordingProxy
) -> None:
    assert home.awsv("slot", "add", "--source", "ssm", env={**aws, **UNLOCKED}).returncode == 0
    home.configure(f"[profile work]\nregion = {REGION}\nvault_passphrase_source = ssm\n")
    done = home.awsv(*SHOW, env=aws)
    assert (done.returncode, done.stdout) == (0, f"{KEY_ID}\n"), done.stderr
    front.forget()
    for key, value in (("parameter", "/of/others"), ("credentials", "profile:evil"), ("region", "eu-north-1")):
        home.configure(f"[profile work]\nregion = {REGION}\nvault_passphrase_source = ssm\nvault_ssm_{key} = {value}\n")
        done = home.awsv(*SHOW, env=aws)
        assert (done.returncode, done.stdout) == (125, "")
        assert f"vault_ssm_{key} ({home.config}:4): an AWS profile cannot set option {key!r} of ssm" in done.stderr
    assert front.calls == []
