"""Which calls each documented flow makes: counted, and read, at a recording front before a real STS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from support.home import PROGRAM, Home
from support.moto import ACCOUNT, Key, MotoServer
from support.recording_proxy import Call, RecordingProxy
from support.stored import CODE, MFA, UNLOCKED, add

OTHER_MFA = f"arn:aws:iam::{ACCOUNT}:mfa/other"
MOTO_TOKEN_KEY = "AKIAIOSFODNN7EXAMPLE"
"""The access key of moto's one and only session token."""


def arn(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


CONFIG = f"""
[profile work]
region = eu-west-1

[profile mfa]
region = eu-west-1
mfa_serial = {MFA}

[profile role]
role_arn = {arn("RoleA")}
source_profile = work
region = eu-central-1

[profile role-mfa]
role_arn = {arn("RoleA")}
source_profile = mfa
mfa_serial = {MFA}

[profile role-own-mfa]
role_arn = {arn("RoleA")}
source_profile = work
mfa_serial = {OTHER_MFA}

[profile behind]
role_arn = {arn("RoleB")}
source_profile = role-mfa

[profile behind-plain]
role_arn = {arn("RoleB")}
source_profile = role
duration_seconds = 7200

[profile long]
role_arn = {arn("RoleA")}
source_profile = mfa
mfa_serial = {MFA}
duration_seconds = 14400

[profile behind-long]
role_arn = {arn("RoleB")}
source_profile = long

[profile self]
role_arn = {arn("RoleA")}
source_profile = self

[profile alias]
region = us-west-2
source_profile = work

[profile sdk]
credential_process = "{PROGRAM}" exec -j role

[profile own-process]
credential_process = {PROGRAM} exec --json own-process

[profile renamed]
vault_role_arn = {arn("RoleA")}
vault_source_profile = mfa
vault_mfa_serial = {MFA}
credential_process = {PROGRAM} exec -j renamed

[profile detailed]
role_arn = {arn("RoleA")}
source_profile = work
external_id = partner-7
role_session_name = alice@laptop
source_identity = alice
session_tags = team=blue, cost=a=b
transitive_session_tags = team
"""


@pytest.fixture
def key(moto: MotoServer) -> Key:
    return moto.alice


@pytest.fixture
def logged_in(home: Home, key: Key) -> Home:
    home.configure(CONFIG)
    add(home, key, "work", "mfa", "self", "own-process", "bare")
    return home


Flow = Callable[..., list[Call]]


@pytest.fixture
def flow(logged_in: Home, front: RecordingProxy) -> Flow:
    """Runs ``awsv exec -j`` with more words; the calls that it made."""

    def run(*words: str, env: Mapping[str, str] | None = None) -> list[Call]:
        done = logged_in.awsv("exec", "-j", *words, "-t", CODE, env={**UNLOCKED, **(env or {})})
        assert done.returncode == 0, done.stderr
        run.answer = json.loads(done.stdout)  # type: ignore[attr-defined]  # what the last call printed
        run.stderr = done.stderr  # type: ignore[attr-defined]  # and what it told
        return front.calls

    return run


def told(call: Call) -> dict[str, Any]:
    """What a call asked for, without what is different in every run."""
    left = {name: value for name, value in call.parameters.items() if name not in ("Version", "RoleSessionName")}
    return {"action": call.action, **left}


def token(seconds: int, **more: str) -> dict[str, Any]:
    return {"action": "GetSessionToken", "DurationSeconds": str(seconds), **more}


def assume(role: str, seconds: int = 3600, **more: Any) -> dict[str, Any]:
    return {"action": "AssumeRole", "RoleArn": arn(role), "DurationSeconds": str(seconds), **more}


WITH_MFA: dict[str, Any] = {"SerialNumber": MFA, "TokenCode": CODE}

FLOWS: dict[str, tuple[list[str], dict[str, str], list[dict[str, Any]]]] = {
    "plain": (["work"], {}, [token(3600)]),
    "plain, without a section": (["bare"], {}, [token(3600)]),
    "plain, two hours": (["work", "-d", "2h"], {}, [token(7200)]),
    "plain, by the variable": (["work"], {"AWS_SESSION_TOKEN_TTL": "90m"}, [token(5400)]),
    "plain with MFA": (["mfa"], {}, [token(28800, **WITH_MFA)]),
    "plain with MFA, for an hour": (["mfa", "-d", "1h"], {}, [token(3600, **WITH_MFA)]),
    "plain with MFA, by the variable": (["mfa"], {"AWS_CHAINED_SESSION_TOKEN_TTL": "12h"}, [token(43200, **WITH_MFA)]),
    "MFA by AWS_MFA_SERIAL": (["work"], {"AWS_MFA_SERIAL": MFA}, [token(28800, **WITH_MFA)]),
    "role": (["role"], {}, [assume("RoleA")]),
    "role, two hours": (["role", "-d", "2h"], {}, [assume("RoleA", 7200)]),
    "role, by the variable": (["role"], {"AWS_ASSUME_ROLE_TTL": "15m"}, [assume("RoleA", 900)]),
    "role with MFA": (["role-mfa"], {}, [token(28800, **WITH_MFA), assume("RoleA")]),
    "role with MFA, its user has none": (
        ["role-own-mfa"],
        {},
        [token(28800, SerialNumber=OTHER_MFA, TokenCode=CODE), assume("RoleA")],
    ),
    "role with MFA, longer token": (
        ["role-mfa"],
        {"AWS_CHAINED_SESSION_TOKEN_TTL": "10h"},
        [token(36000, **WITH_MFA), assume("RoleA")],
    ),
    "role with MFA, without session": (["role-mfa", "--no-session"], {}, [assume("RoleA", **WITH_MFA)]),
    "role behind a role with MFA": (["behind"], {}, [token(28800, **WITH_MFA), assume("RoleA"), assume("RoleB")]),
    "role behind a role, without session": (["behind", "-n"], {}, [assume("RoleA", **WITH_MFA), assume("RoleB")]),
    "role behind a role, capped": (["behind-plain"], {}, [assume("RoleA"), assume("RoleB", 3600)]),
    "role for four hours": (["long"], {}, [assume("RoleA", 14400, **WITH_MFA)]),
    "role for half an hour of its four": (
        ["long", "-d", "30m"],
        {},
        [token(28800, **WITH_MFA), assume("RoleA", 1800)],
    ),
    "role behind a long role": (
        ["behind-long"],
        {},
        [token(28800, **WITH_MFA), assume("RoleA", 3600), assume("RoleB", 3600)],
    ),
    "role on its own key": (["self"], {}, [assume("RoleA")]),
    "role by AWS_ROLE_ARN": (["work"], {"AWS_ROLE_ARN": arn("RoleB")}, [assume("RoleB")]),
    "AWS_ROLE_ARN is the target's alone": (
        ["behind-plain"],
        {"AWS_ROLE_ARN": arn("RoleA")},
        [assume("RoleA"), assume("RoleA", 3600)],
    ),
    "source_profile without a role": (["alias"], {}, [token(3600)]),
    "credential_process of another profile": (["sdk"], {}, [assume("RoleA")]),
    "credential_process of its own": (["own-process"], {}, [token(3600)]),
    "renamed keys": (["renamed"], {}, [token(28800, **WITH_MFA), assume("RoleA")]),
    "details": (
        ["detailed"],
        {},
        [
            assume(
                "RoleA",
                3600,
                ExternalId="partner-7",
                SourceIdentity="alice",
                **{
                    "Tags.member.1.Key": "team",
                    "Tags.member.1.Value": "blue",
                    "Tags.member.2.Key": "cost",
                    "Tags.member.2.Value": "a=b",
                    "TransitiveTagKeys.member.1": "team",
                },
            )
        ],
    ),
}


@pytest.mark.parametrize(("words", "env", "expected"), FLOWS.values(), ids=FLOWS.keys())
def test_calls(flow: Flow, key: Key, words: list[str], env: dict[str, str], expected: list[dict[str, Any]]) -> None:
    calls = flow(*words, env=env)
    assert [told(call) for call in calls] == expected
    signers = [call.access_key_id for call in calls]
    assert signers[0] == key.access_key_id
    assert not calls[0].session_token
    assert key.access_key_id not in signers[1:]
    assert all(call.session_token for call in calls[1:])


def test_each_role_is_assumed_with_the_session_before_it(flow: Flow, logged_in: Home) -> None:
    _, role_a, role_b = flow("behind")
    assert role_a.access_key_id == MOTO_TOKEN_KEY
    first = logged_in.awsv("exec", "-j", "role-mfa")
    assert role_b.access_key_id == json.loads(first.stdout)["AccessKeyId"]


def test_sts_is_asked_in_the_region_of_the_step(flow: Flow, front: RecordingProxy) -> None:
    flow("role", "--region", "ap-south-1")
    flow("alias")
    flow("bare", env={"AWS_REGION": "sa-east-1"})
    assert [call.region for call in front.calls] == ["eu-central-1", "eu-west-1", "sa-east-1"]


def test_the_session_name(flow: Flow, front: RecordingProxy) -> None:
    flow("detailed")
    flow("role")
    flow("work", env={"AWS_ROLE_ARN": arn("R"), "AWS_ROLE_SESSION_NAME": "me"})
    first, second, named = front.calls
    assert first.parameters["RoleSessionName"] == "alice@laptop"
    assert second.parameters["RoleSessionName"].startswith("awsv-")
    assert named.parameters["RoleSessionName"] == "me"


def test_one_code_serves_the_user_and_every_role(flow: Flow, logged_in: Home, front: RecordingProxy) -> None:
    flow("role-mfa")
    for profile in ("mfa", "behind", "renamed", "role-mfa"):
        done = logged_in.awsv("exec", "-j", profile)
        assert done.returncode == 0, done.stderr
    assert [call.action for call in front.calls] == ["GetSessionToken", "AssumeRole", "AssumeRole"]


def test_a_shortened_role_is_told(flow: Flow) -> None:
    flow("behind-plain")
    told = "awsv: role of profile 'behind-plain': 7200 s shortened to 3600, AWS's limit behind a session\n"
    assert flow.stderr == told  # type: ignore[attr-defined]  # set by the fixture


def test_the_stored_key_is_handed_out_only_without_a_session(flow: Flow, key: Key, front: RecordingProxy) -> None:
    flow("work", "--no-session")
    expected = {
        "Version": 1,
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
    }
    assert flow.answer == expected  # type: ignore[attr-defined]  # set by the fixture
    assert front.calls == []


@pytest.mark.parametrize("profile", ["work", "mfa", "role", "role-mfa", "behind"])
def test_a_child_never_sees_the_stored_key(logged_in: Home, key: Key, profile: str) -> None:
    done = logged_in.awsv("exec", profile, "-t", CODE, "--", "env", env=UNLOCKED)
    assert done.returncode == 0, done.stderr
    assert f"AWS_VAULT={profile}\n" in done.stdout
    assert key.access_key_id not in done.stdout
    assert key.secret_access_key not in done.stdout


def test_a_long_token_has_its_own_question(flow: Flow, front: RecordingProxy) -> None:
    """A duration that somebody asks for is kept, though a session of another length is there."""
    flow("mfa")
    flow("mfa", "-d", "1h")
    assert [call.parameters["DurationSeconds"] for call in front.calls] == ["28800", "3600"]


BAD = {
    "cycle": ("[profile a]\nsource_profile = b\n[profile b]\nsource_profile = a\n", "source_profile cycle: a → b → a"),
    "missing source": ("[profile a]\nsource_profile = nobody\n", "unknown profile 'nobody', which profile 'a' ("),
    "duration": (
        f"[profile a]\nrole_arn = {arn('R')}\nsource_profile = work\nduration_seconds = long\n",
        "duration_seconds 'long' is not a number",
    ),
    "too long": (
        f"[profile a]\nrole_arn = {arn('R')}\nsource_profile = work\nduration_seconds = 50000\n",
        "duration_seconds is not a number of seconds from 900 to 43200",
    ),
    "sso": ("[profile a]\nsso_start_url = https://x\n", "profile 'a' needs sso_start_url"),
    "process": ("[profile a]\ncredential_process = /bin/other\n", "profile 'a' needs credential_process"),
    "mfa_process": ("[profile a]\nmfa_process = x\n", "profile 'a' needs mfa_process"),
    "unknown": ("[profile wrok]\n", "unknown profile 'a'"),
    "no role": ("[profile a]\nrole_arn = R\n", "role_arn is not the ARN of a role"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD.keys())
def test_a_profile_that_makes_no_sense(logged_in: Home, front: RecordingProxy, config: str, message: str) -> None:
    logged_in.configure(config)
    done = logged_in.awsv("exec", "-j", "a", env=UNLOCKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert front.calls == []


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"AWS_SESSION_TOKEN_TTL": "long"}, "AWS_SESSION_TOKEN_TTL: 'long' is not a duration"),
        ({"AWS_MIN_TTL": "1 day"}, "AWS_MIN_TTL: '1 day' is not a duration"),
        ({"AWS_VAULT_SESSION_CACHE": "disk"}, "AWS_VAULT_SESSION_CACHE: session_cache is 'runtime' or 'off'"),
        ({"AWS_VAULT_WAIT": "ever"}, "AWS_VAULT_WAIT: 'ever' is not a duration"),
        ({"AWS_VAULT_SESSION_PROVIDER": "nobody"}, "no session provider named 'nobody' is installed"),
    ],
)
def test_a_variable_that_makes_no_sense(logged_in: Home, env: dict[str, str], message: str) -> None:
    done = logged_in.awsv("exec", "work", "--", "true", env={**UNLOCKED, **env})
    assert (done.returncode, done.stdout) == (125, "")
    assert message in done.stderr
