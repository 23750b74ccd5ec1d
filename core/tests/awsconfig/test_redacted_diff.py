"""The change of a config file as it is shown: no secret in it, whatever plugin it is for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from vault_core.awsconfig.redacted_diff import patch
from vault_core.awsconfig.shared import may_be_shown

HERE = Path("/home/someone/.aws/config")


def shown(line: str) -> str:
    """A line as the diff shows it that is not changed itself."""
    before = f"[profile a]\n{line}\n"
    rows = patch(before.encode(), f"{before}x = y\n".encode(), HERE).splitlines()
    return next(row for row in rows[4:] if row.startswith(" "))[1:]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("aws_secret_access_key = CANARY", "aws_secret_access_key = ***"),
        ("# old: aws_secret_access_key: CANARY = x", "# old: aws_secret_access_key: ***"),
        ("Smtp_Password=CANARY", "Smtp_Password=***"),
        ("vault_xstore_pin = CANARYpin4711", "vault_xstore_pin = ***"),
        ("VAULT_XStore_Pin=CANARYpin4711", "VAULT_XStore_Pin=***"),
        ("; vault_xstore_pin = CANARYpin4711", "; vault_xstore_pin = ***"),
        ("vault_hashicorp_address = https://user:CANARY@host", "vault_hashicorp_address = ***"),
        ("region = x # vault_xstore_pin = CANARY", "region = x # vault_xstore_pin = ***"),
        ("vault_prompt = a # vault_xstore_pin = CANARY", "vault_prompt = a # vault_xstore_pin = ***"),
        ("vault_passphrase_source = env,prompt", "vault_passphrase_source = env,prompt"),
        ("vault_backend = second", "vault_backend = second"),
        ("vault_role_arn = arn:aws:iam::1:role/x", "vault_role_arn = arn:aws:iam::1:role/x"),
        ("role_arn = arn:aws:iam::1:role/x", "role_arn = arn:aws:iam::1:role/x"),
        ("vault_xstore_pin =", "vault_xstore_pin ="),
        ("# a secret", "# a secret"),
        ("# the password is CANARY", "# the password ***"),
        ("[profile secret-team]", "[profile secret-team]"),
        ("credential_process = /bin/keys --password CANARY", "credential_process = /bin/keys --password ***"),
        ("credential_process = /bin/keys --token=CANARY x", "credential_process = /bin/keys --token=***"),
        ("# passphrase = CANARY", "# passphrase = ***"),
        ("key_passphrase = CANARY", "key_passphrase = ***"),
        ("some_private_key = CANARY", "some_private_key = ***"),
        ("# proxy http://user:CANARY@proxy:3128", "# proxy http://***@proxy:3128"),
        ("endpoint_url = https://CANARY@host/@x", "endpoint_url = https://***@host/@x"),
    ],
)
def test_what_may_be_a_secret_is_left_out(line: str, expected: str) -> None:
    assert shown(line) == expected
    assert "CANARY" not in shown(line)


def test_the_other_lines_of_a_value_are_left_out_too() -> None:
    before = b"[profile a]\nvault_xstore_pin = x\n  CANARY\n  = CANARY\n"
    assert "CANARY" not in patch(before, before + b"[b]\n", HERE)


@pytest.mark.parametrize("word", ["secret", "vault_a ", "vault_", "vault_prompt ", "=secret", "secret:", " "])
def test_a_long_line_takes_no_longer_than_it_is_long(word: str) -> None:
    """96 kB of ``secret`` in one comment took 35 seconds."""
    line = f"# {word * (200_000 // len(word))}"
    began = time.process_time()
    shown(line)
    assert time.process_time() - began < 2


def test_what_a_plugin_vouches_for_is_shown() -> None:
    assert may_be_shown("vault_saml_url", {"vault_saml_url"})
    assert not may_be_shown("vault_saml_pin", {"vault_saml_url"})
    assert not may_be_shown("my_token")
    assert may_be_shown("external_id")
