"""The article's day with SSM: the passphrase in a SecureString, one vault, the AWS CLI as the client. No wrapper."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.moto import ACCOUNT, REGION, Key, MotoServer
from support.recording_proxy import RecordingProxy
from support.vaults import KEY_ID, SECRET, fill, store_path

PARAMETER = "/laptop/aws-vault/password"


@pytest.fixture(scope="module")
def reader(moto: MotoServer) -> Key:
    """The one user that may read the parameter."""
    return moto.create_user(f"ssm-reader-{secrets.token_hex(4)}")


@pytest.fixture
def day(home: Home, moto: MotoServer, reader: Key) -> Mapping[str, str]:
    """The settings of the day. Two plain profiles: who writes the parameter, and who reads it."""
    moto.client("ssm").delete_parameters(Names=[PARAMETER])
    home.credentials.write_text(
        f"[admin]\naws_access_key_id = {moto.alice.access_key_id}\n"
        f"aws_secret_access_key = {moto.alice.secret_access_key}\n"
        f"[reader]\naws_access_key_id = {reader.access_key_id}\naws_secret_access_key = {reader.secret_access_key}\n"
    )
    home.configure(
        f"[default]\nregion = {REGION}\n[profile admin]\nregion = {REGION}\n[profile reader]\nregion = {REGION}\n"
        f"[profile work]\nregion = {REGION}\n"
        f"[profile work-sdk]\nregion = {REGION}\ncredential_process = {PROGRAM} exec -j work\n"
    )
    redefined = home.path / ".aws/models/ssm/2014-11-06/service-2.json"  # where the AWS CLI looks for new services
    redefined.parent.mkdir(parents=True)
    redefined.write_text("nothing that AWS wrote")
    return {
        "AWS_VAULT_PASSPHRASE_SOURCE": "ssm",
        "AWS_VAULT_SSM_PARAMETER": PARAMETER,
        "AWS_VAULT_SSM_CREDENTIALS": "profile:reader",
    }


@pytest.mark.slow
def test_the_day(
    home: Home, day: Mapping[str, str], moto: MotoServer, front: RecordingProxy, reader: Key, aws_v1: Path
) -> None:
    key = moto.client("kms").create_key()["KeyMetadata"]
    put = home.awsv(
        "ssm", "put-passphrase", "--kms-key", key["KeyId"], "--credentials", "profile:admin", "--json", env=day
    )
    assert put.returncode == 0, put.stderr
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{PARAMETER}"
    assert json.loads(put.stdout)["policy"]["Statement"] == [
        {"Sid": "GetPassphrase", "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arn},
        {
            "Sid": "DecryptPassphrase",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": key["Arn"],
            "Condition": {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": arn}},
        },
    ]
    passphrase = moto.client("ssm").get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"]
    assert re.fullmatch(r"[\w-]{43}", passphrase)
    assert passphrase not in put.stdout + put.stderr

    stored = json.dumps({"AccessKeyId": moto.alice.access_key_id, "SecretAccessKey": moto.alice.secret_access_key})
    added = home.awsv("add", "work", input=stored, env=day)
    assert added.returncode == 0, added.stderr
    assert passphrase.encode() not in store_path(home).read_bytes()

    front.forget()
    done = home.awsv("exec", "work", "--", aws_v1, "sts", "get-caller-identity", "--query", "Account", env=day)
    assert (done.returncode, json.loads(done.stdout)) == (0, ACCOUNT), done.stderr
    assert [(call.action, call.access_key_id) for call in front.calls[:2]] == [
        ("GetParameter", reader.access_key_id),
        ("GetSessionToken", moto.alice.access_key_id),
    ]
    front.forget()
    command = (aws_v1, "sts", "get-caller-identity", "--profile", "work-sdk", "--query", "Account")
    done = home.run(*command, env=day)
    assert (done.returncode, json.loads(done.stdout)) == (0, ACCOUNT), done.stderr
    assert front.actions == ["GetCallerIdentity"]  # a live session costs no passphrase

    assert home.awsv("clear").returncode == 0
    front.forget()
    done = home.run(*command, env=day)
    assert (done.returncode, json.loads(done.stdout)) == (0, ACCOUNT), done.stderr
    assert front.actions == ["GetParameter", "GetSessionToken", "GetCallerIdentity"]


def test_one_read_opens_the_store_for_many(
    home: Home, day: Mapping[str, str], moto: MotoServer, front: RecordingProxy
) -> None:
    moto.client("ssm").put_parameter(Name=PARAMETER, Value="the passphrase", Type="SecureString")
    key = (moto.alice.access_key_id, moto.alice.secret_access_key)
    fill(home, {"work": key, "home": key}, passphrase="the passphrase")
    home.configure(f"{home.config.read_text()}[profile home]\nregion = {REGION}\n")
    done = home.awsv("ready", "work", "home", env=day)
    assert done.returncode == 0, done.stderr
    assert sorted(front.actions) == ["GetParameter", "GetSessionToken", "GetSessionToken"]


def test_the_articles_loop_is_named_before_any_call(home: Home, day: Mapping[str, str], front: RecordingProxy) -> None:
    """Its wrapper reads the parameter as profile ``default``, whose key is in the vault that the wrapper opens."""
    wrapper = home.path / "call-aws-vault.sh"
    wrapper.write_text(
        "#!/bin/bash\nexport AWS_VAULT_BACKEND=file\n"
        f"export AWS_VAULT_FILE_PASSPHRASE=$(aws ssm get-parameter --with-decryption --name {PARAMETER})\n"
        "/usr/local/bin/aws-vault exec -j $1\n"
    )
    wrapper.chmod(0o755)
    fill(home, {"work": (KEY_ID, SECRET)})
    for line in (f"credential_process = {PROGRAM} exec -j default", f"credential_process = {wrapper} default"):
        home.configure(f"[default]\nregion = {REGION}\n{line}\n")
        done = home.awsv("exec", "-j", "work", env={**day, "AWS_VAULT_SSM_CREDENTIALS": "profile:default"})
        assert (done.returncode, done.stdout) == (2, "")
        assert f"would run awsv again: {home.config}:3: {line}" in done.stderr
        assert front.calls == []
