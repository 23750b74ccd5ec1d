"""The ``credential_process`` lines of aws-vault that run awsv after an import."""

from __future__ import annotations

import shlex

import pytest

from vault_core.api import ConfigError
from vault_plugin_aws_vault.config_lines import profile_of


@pytest.mark.parametrize(
    "line",
    [
        "aws-vault exec -j work",
        "/opt/aws-vault exec --json work",
        "aws-vault exec work --json",
        "aws-vault export --format=json work",
        "aws-vault export --format json -- work",
    ],
)
def test_profile_of_line_that_only_prints_credentials(line: str) -> None:
    assert profile_of(shlex.split(line)) == "work"


@pytest.mark.parametrize("name", ["my profile", "exec", "json", "export", "naïve-ü"])
def test_profile_of_unusual_name(name: str) -> None:
    assert profile_of(["aws-vault", "export", "--format", "json", name]) == name
    assert profile_of(["aws-vault", "exec", "-j", name]) == name


@pytest.mark.parametrize(
    "line",
    [
        "aws-vault exec -j --mfa-token 1 work",
        "aws-vault exec work -- env",
        "aws-vault",
        "aws-vault exec -j",
        "aws-vault x",
    ],
)
def test_profile_of_line_with_other_options_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=r"^runs aws-vault with other options"):
        profile_of(shlex.split(line))


@pytest.mark.parametrize("line", ["other exec -j work", "/bin/awsv exec -j work", "aws-vault2 exec -j work"])
def test_profile_of_other_program_is_none(line: str) -> None:
    assert profile_of(shlex.split(line)) is None
