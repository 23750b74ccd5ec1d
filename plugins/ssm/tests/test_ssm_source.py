"""The source: what it answers, what it costs, and how it says no."""

from __future__ import annotations

import pytest

from support.front import Front

PASSPHRASE = "correct horse battery staple, canary"


def test_the_value_of_a_secure_string_by_one_call(ssm, front: Front) -> None:
    found = ssm.get()
    assert found is not None
    assert found.reveal_text() == PASSPHRASE
    assert front.actions == ["GetParameter"]
    [call] = front.calls
    assert (call.service, call.region, call.access_key_id) == ("ssm", "eu-west-1", ssm.moto.alice.access_key_id)


@pytest.mark.parametrize(
    ("value", "passphrase"), [("two words\n", "two words"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" ä ", " ä ")]
)
def test_one_line_end_is_removed_and_nothing_else(ssm, value: str, passphrase: str) -> None:
    ssm.put(value)
    assert ssm.get().reveal_text() == passphrase
