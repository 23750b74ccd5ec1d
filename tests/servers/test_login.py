"""``awsv login`` at a federation endpoint that checks what it is asked as AWS does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from support import browsers
from support.federation import Federation, standing_in
from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import CODE, MFA, UNLOCKED, add


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

[profile long]
role_arn = {arn("RoleA")}
source_profile = mfa
mfa_serial = {MFA}
duration_seconds = 14400

[profile behind]
role_arn = {arn("RoleB")}
source_profile = role-mfa

[profile alias]
source_profile = role-mfa
"""


@pytest.fixture
def aws(front: RecordingProxy) -> Iterator[Federation]:
    with standing_in(front) as federation:
        yield federation


@pytest.fixture
def person(home: Home, moto: MotoServer, aws: Federation) -> Home:
    home.configure(CONFIG)
    add(home, moto.alice, "work", "mfa")
    home.env.update({**UNLOCKED, "AWS_VAULT_STS_SIGNIN_URL": aws.url})
    return home


def printed(home: Home, *words: str, **env: str) -> dict[str, str]:
    """The parts of the URL that ``login --stdout`` prints."""
    done = home.awsv("login", "--stdout", "-t", CODE, *words, env=env)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    return {name: value[0] for name, value in parse_qs(urlsplit(line).query, strict_parsing=True).items()}


FLOWS: dict[str, tuple[list[str], list[str], str | None]] = {
    "user": (["work"], ["GetCallerIdentity", "GetFederationToken"], None),
    "user, two hours": (["work", "-d", "2h"], ["GetCallerIdentity", "GetFederationToken"], None),
    "user with MFA": (["mfa"], ["GetCallerIdentity", "GetFederationToken"], None),
    "role": (["role"], ["AssumeRole"], None),
    "role, twelve hours": (["role", "-d", "12h"], ["AssumeRole"], "43200"),
    "role with MFA": (["role-mfa"], ["GetSessionToken", "AssumeRole"], None),
    "role with MFA, two hours": (["role-mfa", "-d", "2h"], ["AssumeRole"], "7200"),
    "role with MFA, without session": (["role-mfa", "-n"], ["AssumeRole"], None),
    "role for four hours": (["long"], ["AssumeRole"], None),
    "role behind a role": (["behind"], ["GetSessionToken", "AssumeRole", "AssumeRole"], None),
    "alias of a role": (["alias"], ["GetSessionToken", "AssumeRole"], None),
}


@pytest.mark.parametrize(("words", "actions", "seconds"), FLOWS.values(), ids=FLOWS.keys())
def test_console_opens_for_every_kind_of_profile(
    person: Home, front: RecordingProxy, aws: Federation, words: list[str], actions: list[str], seconds: str | None
) -> None:
    asked = printed(person, *words)
    assert front.actions == actions
    assert [form.get("SessionDuration") for form in aws.exchanges] == [seconds]
    assert asked["SigninToken"] in aws.tokens
    assert aws.refusals == []


def opened(home: Home, aws: Federation, *words: str, env: dict[str, str] | None = None, more: str = "") -> Any:
    """What a browser saw that ``login`` started."""
    log = home.root / "browser.log"
    script = browsers.script(home.root / "chromium", log, more=more)
    done = home.awsv("login", "--browser", script, "-t", CODE, *words, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(log.read_text().splitlines()[-1]), done


def test_browser_gets_the_console_by_an_address_of_this_machine(person: Home, aws: Federation) -> None:
    seen, done = opened(person, aws, "role")
    assert done.stdout == ""
    assert len(aws.logins) == 1
    [address] = seen["argv"]
    assert urlsplit(address).hostname == "127.0.0.1"
