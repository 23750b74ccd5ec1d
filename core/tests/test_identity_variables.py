"""What a program that awsv starts does not get of its environment: secrets, and every other identity."""

from __future__ import annotations

import pytest

from vault_core.child_env import environment, is_identity

UNREAD = [
    "AMAZON_ACCESS_KEY_ID",
    "AMAZON_SECRET_ACCESS_KEY",
    "AMAZON_SESSION_TOKEN",
    "AWS_ACCESS_KEY",
    "AWS_IAM_ROLE_ARN",
    "AWS_IAM_ROLE_SESSION_NAME",
    "AWS_SDK_LOAD_CONFIG",
    "AWS_SECRET_KEY",
    "AWS_SESSION_EXPIRATION",
]
"""What aws-vault and the SDKs for Ruby, Java and Go read; the others: tests/servers/exec/test_sdk_variables.py."""


@pytest.mark.parametrize("name", UNREAD)
def test_a_variable_of_another_identity_is_taken_away(name: str) -> None:
    assert is_identity(name)
    assert environment({name: "x", "PATH": "/bin"}, ()) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "name", ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"]
)
def test_a_variable_that_says_where_and_how_stays(name: str) -> None:
    assert environment({name: "x"}, ()) == {name: "x"}


def test_a_secret_is_taken_away() -> None:
    assert environment({"PIN": "x", "PINK": "y"}, {"PIN"}) == {"PINK": "y"}
