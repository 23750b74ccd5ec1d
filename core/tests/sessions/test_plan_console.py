"""Plans for the web console: which session AWS opens it for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vault_core.awsconfig.shared import AwsConfig
from vault_core.errors import UsageError
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.sessions.console import POLICY_LIMIT, read_policy
from vault_core.sessions.generations import Generations
from vault_core.sessions.plan import Plan, Planner, SessionStep
from vault_core.sessions.profiles import Profiles, SessionOptions
from vault_core.settings import Settings

MFA = "arn:aws:iam::123456789012:mfa/alice"
ROLE = "arn:aws:iam::123456789012:role/R"
POLICY = '{"Version":"2012-10-17","Statement":[]}'
CONFIG = f"""
[profile user]
mfa_serial = {MFA}
[profile plain]
role_arn = {ROLE}
source_profile = bare
[profile coded]
role_arn = {ROLE}
source_profile = user
mfa_serial = {MFA}
[profile quarter]
role_arn = {ROLE}
source_profile = user
mfa_serial = {MFA}
duration_seconds = 900
[profile behind]
role_arn = {ROLE}
source_profile = coded
duration_seconds = 7200
[profile short-behind]
role_arn = {ROLE}
source_profile = coded
duration_seconds = 900
[profile alias]
source_profile = coded
"""


class Plans:
    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, name: str, *, environ: dict[str, str] | None = None, console: bool = True, **asked: Any) -> Plan:
        variables = {"HOME": str(self._root), **(environ or {})}
        profiles = Profiles(AwsConfig.parse(CONFIG.encode(), b"", Path("c"), Path("d")), variables)
        options = SessionOptions(console=console, **asked)
        host = Host(Settings(variables), Plugins())
        return Planner(host, profiles, Generations(self._root / "generations"), options).plan(name)


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    return Plans(tmp_path)


def steps(plan: Plan) -> list[str]:
    """The actions of a plan, with their durations."""
    found = [step.parameters for step in plan.steps() if isinstance(step, SessionStep)]
    return [f"{step['action']} {step.get('duration_seconds', '-')}" for step in found]


MADE = {
    "user": ("user", {}, ["GetFederationToken 3600"], None),
    "user, two hours": ("user", {"duration": 7200}, ["GetFederationToken 7200"], None),
    "user, without session": ("user", {"no_session": True}, ["GetFederationToken 3600"], None),
    "role": ("plain", {}, ["AssumeRole 3600"], None),
    "role, twelve hours": ("plain", {"duration": 43200}, ["AssumeRole 3600"], 43200),
    "role with MFA": ("coded", {}, ["GetSessionToken 28800", "AssumeRole -"], None),
    "role with MFA, two hours": ("coded", {"duration": 7200}, ["AssumeRole 3600"], 7200),
    "role with MFA, without session": ("coded", {"no_session": True}, ["AssumeRole 3600"], None),
    "role with MFA, a quarter of an hour": ("quarter", {}, ["AssumeRole 900"], None),
    "role behind a role": ("behind", {}, ["GetSessionToken 28800", "AssumeRole 3600", "AssumeRole -"], None),
    "alias": ("alias", {}, ["GetSessionToken 28800", "AssumeRole -"], None),
}


@pytest.mark.parametrize(("name", "asked", "expected", "seconds"), MADE.values(), ids=MADE.keys())
def test_console_has_a_session_that_aws_opens_it_for(
    plans: Plans, name: str, asked: dict[str, Any], expected: list[str], seconds: int | None
) -> None:
    plan = plans(name, **asked)
    assert (steps(plan), plan.console_seconds) == (expected, seconds)


def test_federation_lasts_as_the_variable_says(plans: Plans) -> None:
    assert steps(plans("user", environ={"AWS_FEDERATION_TOKEN_TTL": "2h"})) == ["GetFederationToken 7200"]


def test_steps_before_the_last_are_those_of_exec(plans: Plans) -> None:
    ours, theirs = (plans("behind", console=console).steps() for console in (True, False))
    assert [one.cache_key for one in ours[:-1]] == [one.cache_key for one in theirs[:-1]]
    assert ours[-1].cache_key != theirs[-1].cache_key
    assert plans("plain").last.cache_key == plans("plain", console=False).last.cache_key


@pytest.mark.parametrize("name", ["behind", "short-behind"])
def test_duration_of_profile_that_aws_does_not_grant_is_told(plans: Plans, name: str) -> None:
    [note] = plans(name).notes
    assert name in note
    assert "AWS's limit behind a session" in note


def test_duration_of_a_chained_role_is_refused(plans: Plans) -> None:
    with pytest.raises(UsageError, match=r"console of profile 'behind' cannot have a duration"):
        plans("behind", duration=3600)


@pytest.mark.parametrize("seconds", [1, 899, 43201])
def test_duration_out_of_range_is_refused(plans: Plans, seconds: int) -> None:
    with pytest.raises(UsageError, match="15 minutes to 12 hours"):
        plans("plain", duration=seconds)


def test_policy_narrows_the_last_step_alone(plans: Plans) -> None:
    *before, last = (step for step in plans("behind", policy=POLICY).steps() if isinstance(step, SessionStep))
    assert last.parameters["policy"] == POLICY
    assert all("policy" not in step.parameters for step in before)
    user = plans("user", policy=POLICY).last
    assert isinstance(user, SessionStep)
    assert user.parameters["policy"] == POLICY
    assert plans("behind", policy=POLICY).last.cache_key != plans("behind").last.cache_key


def test_policy_that_no_step_applies_is_refused(plans: Plans) -> None:
    for no_session in (False, True):
        with pytest.raises(UsageError, match="session of profile 'user' takes no policy"):
            plans("user", console=False, policy=POLICY, no_session=no_session)


def test_policy_is_read_without_its_white_space(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"Statement": ["é" + " " * 10]}, indent=200))
    assert read_policy(path) == '{"Statement":["\\u00e9          "]}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON: it is not UTF-8"),
        (b'{"Statement": NaN}', "NaN is not JSON"),
        (b'{"Statement": [], "Statement": {}}', "a name is there twice"),
        (b"[" * 50_000, "nested too deeply"),
        (b"[]", "has no Statement"),
        (b"{}", "has no Statement"),
        (json.dumps({"Statement": "x" * POLICY_LIMIT}).encode(), "2064 characters without white space; AWS takes 2048"),
        (b" " * 70_000, "cannot read the policy"),
    ],
)
def test_file_that_is_no_policy_is_refused(tmp_path: Path, text: bytes, reason: str) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(text)
    with pytest.raises(UsageError, match=reason):
        read_policy(path)


def test_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UsageError, match="cannot read the policy"):
            read_policy(path)
