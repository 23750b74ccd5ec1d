"""``awsv ssm put-passphrase``: what it writes, what it says who can read, and what it refuses."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from support.home import Home
from support.moto import ACCOUNT, REGION, MotoServer
from support.recording_proxy import Fault, RecordingProxy, json_error
from support.vaults import ended

_numbers = itertools.count(1)
MANAGED = "--aws-managed-key"


@pytest.fixture(scope="module", autouse=True)
def _warm(moto: MotoServer) -> None:
    moto.warm_parameters()


@pytest.fixture
def env(moto: MotoServer) -> dict[str, str]:
    """Alice writes and reads, by the keys in the environment."""
    return {
        "AWS_VAULT_SSM_PARAMETER": f"/put/vault-{next(_numbers)}",
        "AWS_VAULT_SSM_CREDENTIALS": "environment",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": moto.alice.access_key_id,
        "AWS_SECRET_ACCESS_KEY": moto.alice.secret_access_key,
    }


def value(moto: MotoServer, name: str) -> str:
    found: str = moto.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    return found


def made(moto: MotoServer, name: str) -> dict[str, Any]:
    """The parameter as SSM describes it."""
    filters = [{"Key": "Name", "Values": [name]}]
    found: list[dict[str, Any]] = moto.client("ssm").describe_parameters(ParameterFilters=filters)["Parameters"]
    return found[0] if found else {}


def test_the_table_for_programs(home: Home, env: dict[str, str], moto: MotoServer, front: RecordingProxy) -> None:
    name = env["AWS_VAULT_SSM_PARAMETER"]
    done = home.awsv("ssm", "put-passphrase", MANAGED, "--json", env=env)
    assert done.returncode == 0, done.stderr
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"
    assert json.loads(done.stdout) == {
        "parameter": name,
        "arn": arn,
        "region": REGION,
        "version": 1,
        "kms_key": None,
        "generated": True,
        "policy": {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "GetPassphrase", "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arn},
            ],
        },
    }
    assert moto.client("ssm").get_parameter(Name=name)["Parameter"]["ARN"] == arn
    assert (
        f"with the AWS managed key, anyone in the account allowed to ssm:GetParameter {name} can read the passphrase"
        in " ".join(done.stderr.split())
    )
    assert (made(moto, name)["Type"], made(moto, name)["KeyId"]) == ("SecureString", "alias/aws/ssm")
    assert front.actions == ["GetCallerIdentity", "PutParameter"]
    assert value(moto, name) not in done.stdout + done.stderr


def test_what_the_command_is_told_comes_before_the_settings(home: Home, env: dict[str, str]) -> None:
    name = f"/put/vault-{next(_numbers)}"
    env |= {"AWS_VAULT_SSM_REGION": "eu-west-3", "AWS_VAULT_SSM_CREDENTIALS": "profile:missing"}
    words = (name, "--region", "eu-north-1", "--credentials", "environment")
    done = home.awsv("ssm", "put-passphrase", *words, MANAGED, "--json", env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["parameter"], told["region"]) == (name, "eu-north-1")


def test_each_time_another_passphrase(home: Home, env: dict[str, str], moto: MotoServer) -> None:
    found = set()
    for _ in range(2):
        assert home.awsv("ssm", "put-passphrase", MANAGED, "--overwrite", env=env).returncode == 0
        found.add(value(moto, env["AWS_VAULT_SSM_PARAMETER"]))
    assert len(found) == 2
    assert {len(one) for one in found} == {43}


@pytest.mark.parametrize("named", ["KeyId", "Arn", "alias"])
def test_a_key_of_ones_own_by_any_name(home: Home, env: dict[str, str], moto: MotoServer, named: str) -> None:
    key = moto.client("kms").create_key()["KeyMetadata"]
    alias = f"alias/awsv-{next(_numbers)}"
    moto.client("kms").create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    done = home.awsv("ssm", "put-passphrase", "--kms-key", key.get(named, alias), "--json", env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kms_key"] == key["Arn"]
    assert told["policy"]["Statement"][1]["Resource"] == key["Arn"]
    assert made(moto, env["AWS_VAULT_SSM_PARAMETER"])["KeyId"] == key["Arn"]


def test_a_person_reads_the_policy_and_what_to_set(home: Home, env: dict[str, str]) -> None:
    name = env.pop("AWS_VAULT_SSM_PARAMETER")
    del env["AWS_VAULT_SSM_CREDENTIALS"]
    done = home.awsv("ssm", "put-passphrase", name, MANAGED, "--credentials", "environment", env=env)
    assert done.returncode == 0, done.stderr
    first, second, *policy = done.stdout.splitlines()
    assert first == f"Put a generated passphrase into arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name} (version 1)"
    assert second == "The policy for the identity that reads it:"
    assert json.loads("\n".join(policy))["Statement"][0]["Action"] == "ssm:GetParameter"
    assert f"set AWS_VAULT_SSM_PARAMETER={name}" in done.stderr
    assert "set AWS_VAULT_SSM_CREDENTIALS=" in done.stderr


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), (MANAGED, "--kms-key", "alias/x")])
def test_who_can_read_it_is_said_before_a_key_is_taken(
    home: Home, env: dict[str, str], front: RecordingProxy, words: tuple[str, ...]
) -> None:
    done = home.awsv("ssm", "put-passphrase", *words, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "anyone in the account allowed to get the parameter can read it" in done.stderr
    assert front.calls == []


def test_nothing_is_overwritten_by_chance(home: Home, env: dict[str, str], moto: MotoServer) -> None:
    name = env["AWS_VAULT_SSM_PARAMETER"]
    assert home.awsv("ssm", "put-passphrase", MANAGED, env=env).returncode == 0
    before = value(moto, name)
    done = home.awsv("ssm", "put-passphrase", MANAGED, env=env)
    assert (done.returncode, done.stdout) == (5, "")
    assert f"parameter {name} in {REGION} exists already; nothing was changed" in done.stderr
    assert "--overwrite" in done.stderr
    assert value(moto, name) == before
    done = home.awsv("ssm", "put-passphrase", MANAGED, "--overwrite", env=env)
    assert done.returncode == 0, done.stderr
    assert f"the previous passphrase can still be read as {name}:1" in done.stderr
    assert value(moto, f"{name}:1") == before
    assert value(moto, name) != before


def _disabled(moto: MotoServer) -> str:
    key: str = moto.client("kms").create_key()["KeyMetadata"]["KeyId"]
    moto.client("kms").disable_key(KeyId=key)
    return key


def _asymmetric(moto: MotoServer) -> str:
    key: str = moto.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    return key


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        (_disabled, 2, "cannot encrypt it: it is disabled"),
        (_asymmetric, 2, "cannot encrypt it: it is enabled, RSA_2048"),
        (lambda _: "alias/nothing", 6, "KMS does not describe alias/nothing: Alias"),
    ],
)
def test_keys_that_will_not_do(
    home: Home,
    env: dict[str, str],
    moto: MotoServer,
    front: RecordingProxy,
    key: Callable[[MotoServer], str],
    code: int,
    words: str,
) -> None:
    done = home.awsv("ssm", "put-passphrase", "--kms-key", key(moto), env=env)
    assert (done.returncode, done.stdout, words in done.stderr) == (code, "", True), done.stderr
    assert "PutParameter" not in front.actions


def test_a_key_that_may_not_be_looked_at_is_taken_by_its_arn(
    home: Home, env: dict[str, str], moto: MotoServer, front: RecordingProxy
) -> None:
    key = moto.client("kms").create_key()["KeyMetadata"]
    front.on("DescribeKey", json_error("AccessDeniedException", "no"))
    done = home.awsv("ssm", "put-passphrase", "--kms-key", key["KeyId"], env=env)
    assert done.returncode == 6
    assert f"KMS does not describe {key['KeyId']}: no" in done.stderr
    assert "name the key by its ARN" in done.stderr
    done = home.awsv("ssm", "put-passphrase", "--kms-key", key["Arn"], "--json", env=env)
    assert (done.returncode, json.loads(done.stdout)["kms_key"]) == (0, key["Arn"])


SETUPS: Mapping[str, tuple[dict[str, str | None], tuple[str, ...], int, str]] = {
    "no name": ({"AWS_VAULT_SSM_PARAMETER": None}, (), 2, "no parameter is named"),
    "nobody": ({"AWS_VAULT_SSM_CREDENTIALS": None}, (), 5, "no identity is set to write parameter"),
    "nowhere": ({"AWS_REGION": None}, (), 2, "no region is set"),
    "somebody odd": ({}, ("--credentials", "ambient"), 2, "not one of profile:NAME"),
    "an odd name": ({}, ("a b",), 2, "not a parameter's name"),
    "no key": ({"AWS_ACCESS_KEY_ID": None}, (), 5, "AWS_ACCESS_KEY_ID is not set"),
}


@pytest.mark.parametrize("name", SETUPS)
def test_what_is_missing_is_named_before_anything_is_written(
    home: Home, env: dict[str, str], front: RecordingProxy, name: str
) -> None:
    changes, words, code, text = SETUPS[name]
    done = home.awsv("ssm", "put-passphrase", *words, MANAGED, env={**env, **changes})
    assert (done.returncode, done.stdout, text in done.stderr) == (code, "", True), done.stderr
    assert front.calls == []


def test_the_loop_is_named_here_too(home: Home, env: dict[str, str], front: RecordingProxy) -> None:
    home.configure(f"[profile admin]\nregion = {REGION}\ncredential_process = awsv exec -j admin\n")
    done = home.awsv("ssm", "put-passphrase", MANAGED, "--credentials", "profile:admin", env=env)
    assert (done.returncode, f"{home.config}:3: credential_process" in done.stderr) == (2, True), done.stderr
    assert front.calls == []


def test_denied(home: Home, env: dict[str, str], front: RecordingProxy) -> None:
    front.on("PutParameter", json_error("AccessDeniedException", "no"))
    done = home.awsv("ssm", "put-passphrase", MANAGED, env=env)
    assert (done.returncode, done.stdout) == (6, "")
    assert "AWS does not let the keys in the environment write parameter" in done.stderr
    assert "its policy must allow ssm:PutParameter" in done.stderr


def test_an_answer_that_is_lost_is_no_refusal(
    home: Home, env: dict[str, str], front: RecordingProxy, moto: MotoServer
) -> None:
    """The parameter may hold a passphrase now that nobody has seen."""
    name = env["AWS_VAULT_SSM_PARAMETER"]
    front.on("PutParameter", Fault(drop=True))
    done = home.awsv("ssm", "put-passphrase", MANAGED, "--overwrite", env=env)
    assert (done.returncode, done.stdout) == (6, "")
    assert f"it is not known whether parameter {name} in {REGION} was written: AWS in {REGION} broke" in done.stderr
    assert f"hint: look at its versions: aws ssm get-parameter-history --name {name}" in done.stderr
    front.on("GetCallerIdentity", Fault(drop=True))
    assert "it is not known" not in home.awsv("ssm", "put-passphrase", MANAGED, "--overwrite", env=env).stderr


def test_what_aws_repeats_is_not_shown(home: Home, env: dict[str, str], front: RecordingProxy) -> None:
    front.on("PutParameter", json_error("ValidationException", "1 validation error: Value '{0}' at 'value'"))
    child = home.spawn("ssm", "put-passphrase", MANAGED, "--ask", env=env)
    for question in ("New passphrase: ", "Repeat passphrase: "):
        child.expect(question)
        child.sendline("validation error")
    assert ended(child) == 5
    assert "1 *** : Value" not in child.before
    assert "1 ***: Value" in child.before


# -- asked -------------------------------------------------------------------------------------------------------------


def test_a_passphrase_of_ones_own_is_asked_twice(home: Home, env: dict[str, str], moto: MotoServer) -> None:
    for again, code in (("another", 5), ("my own passphrase", 0)):
        child = home.spawn("ssm", "put-passphrase", MANAGED, "--ask", "--json", env=env)
        child.expect("New passphrase: ")
        child.sendline("my own passphrase")
        child.expect("Repeat passphrase: ")
        child.sendline(again)
        assert ended(child) == code
        assert "my own passphrase" not in child.before
        assert ("the two passphrases differ; nothing was changed" in child.before) == bool(code)
        assert bool(made(moto, env["AWS_VAULT_SSM_PARAMETER"])) == (not code)
    assert '"generated": false' in child.before
    assert value(moto, env["AWS_VAULT_SSM_PARAMETER"]) == "my own passphrase"


def test_nobody_to_ask(home: Home, env: dict[str, str], front: RecordingProxy) -> None:
    done = home.awsv("ssm", "put-passphrase", MANAGED, "--ask", env=env)
    assert (done.returncode, done.stdout) == (5, "")
    assert front.calls == []


def test_help_has_no_secret_option(home: Home) -> None:
    done = home.awsv("ssm", "put-passphrase", "--help")
    assert done.returncode == 0
    assert {word for word in done.stdout.split() if word.startswith(("--pass", "--value"))} == set()
