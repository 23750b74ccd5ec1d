"""Credentials as text: what programs read back, and what is refused because one would read something else."""

from __future__ import annotations

import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.configloader import raw_config_parse

from vault_core.api import Credentials, Secret
from vault_core.errors import SessionError, UsageError
from vault_core.sessions.formats import FORMATS, timestamp, variables

KEY = Credentials(access_key_id="AKIA1", secret_access_key=Secret("s/e+c"))
SESSION = Credentials(
    access_key_id="ASIA1",
    secret_access_key=Secret("s/e+c"),
    session_token=Secret("to=ken"),
    expires=datetime(2026, 1, 31, 12, 0, 7, 999_999, tzinfo=UTC),
)
IN_LINES = ("env", "export-env", "fish", "ini")
CONTROL = ["\x1b[2J", "a\nb", "a\rb", "\x9b", "\u202e", "\x7f", "\u2028"]


def test_a_moment_is_in_whole_seconds_of_utc() -> None:
    assert timestamp(datetime(2026, 1, 31, 12, 0, 7, 999_999, tzinfo=UTC)) == "2026-01-31T12:00:07Z"


def test_a_session_has_every_variable_in_order() -> None:
    assert list(variables(SESSION, "eu-west-1").items()) == [
        ("AWS_ACCESS_KEY_ID", "ASIA1"),
        ("AWS_SECRET_ACCESS_KEY", "s/e+c"),
        ("AWS_SESSION_TOKEN", "to=ken"),
        ("AWS_CREDENTIAL_EXPIRATION", "2026-01-31T12:00:07Z"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
    ]


def test_a_stored_key_without_region_has_two() -> None:
    assert variables(KEY, None) == {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s/e+c"}


def test_json_is_what_a_credential_process_prints() -> None:
    assert json.loads(FORMATS["json"]("p", SESSION, "eu-west-1")) == {
        "Version": 1,
        "AccessKeyId": "ASIA1",
        "SecretAccessKey": "s/e+c",
        "SessionToken": "to=ken",
        "Expiration": "2026-01-31T12:00:07Z",
    }
    assert list(json.loads(FORMATS["json"]("p", KEY, None))) == ["Version", "AccessKeyId", "SecretAccessKey"]


@pytest.mark.parametrize("form", ["env", "export-env"])
def test_a_shell_splits_a_value_with_quotes_into_one_word(form: str) -> None:
    region = 'it\'s "$(id)" `id` \\ ; & #'
    words = shlex.split(FORMATS[form]("p", SESSION, region))
    assert f"AWS_REGION={region}" in words
    assert words.count("export") == (6 if form == "export-env" else 0)


def test_fish_gets_its_two_escapes() -> None:
    assert r"set -gx AWS_REGION 'a\\b\'c'" in FORMATS["fish"]("p", KEY, r"a\b'c").splitlines()


@pytest.mark.parametrize("form", IN_LINES)
@pytest.mark.parametrize("text", CONTROL)
def test_a_control_character_stands_in_no_line(form: str, text: str) -> None:
    with pytest.raises(UsageError, match="cannot be printed in one line") as caught:
        FORMATS[form]("p", SESSION, text)
    assert caught.value.hint == "check --region and AWS_REGION"
    odd = Credentials(access_key_id="AKIA1", secret_access_key=Secret(f"canary{text}"))
    with pytest.raises(SessionError, match="AWS_SECRET_ACCESS_KEY") as refused:
        FORMATS[form]("p", odd, None)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_printed_is_lines_of_visible_characters(form: str) -> None:
    shown = FORMATS[form]("größe 🔑", SESSION, "eu-west-1")
    assert all(line.isprintable() for line in shown.split("\n"))


@pytest.mark.parametrize(
    "name",
    [
        *("DEFAULT", "a]b", "]", " a", "a ", "\u3000a", "a #b", "a ;b", "a\t#b"),
        *(f"a{text}" for text in CONTROL),
    ],
)
def test_a_name_that_some_sdk_reads_as_another_is_no_section(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a section") as caught:
        FORMATS["ini"](name, SESSION, None)
    assert caught.value.hint == "use --format json"


@pytest.mark.parametrize("name", ["work", "default", "Default", "a#b", ";a", "[a", "my work", "größe", "a=b", "%(x)s"])
def test_a_section_is_one_profile_and_speaks_for_no_other(tmp_path: Path, name: str) -> None:
    path = tmp_path / "credentials"
    path.write_text("[before]\nregion = a\n" + FORMATS["ini"](name, SESSION, "eu-west-1") + "\n[after]\nregion = a\n")
    found = raw_config_parse(os.fspath(path))
    assert found.pop(name) == {
        "aws_access_key_id": "ASIA1",
        "aws_secret_access_key": "s/e+c",
        "aws_session_token": "to=ken",
        "aws_credential_expiration": "2026-01-31T12:00:07Z",
        "region": "eu-west-1",
    }
    assert found == {"before": {"region": "a"}, "after": {"region": "a"}}
