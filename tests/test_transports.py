"""Two distributions that talk to AWS have one way of doing it, although neither may import the other."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from vault_plugin_aws import transport
from vault_plugin_ssm import transport as other


def test_the_two_transports_are_the_same_to_the_letter() -> None:
    """Make it so: cp plugins/aws/src/vault_plugin_aws/transport.py plugins/ssm/src/vault_plugin_ssm/"""
    assert Path(transport.__file__).read_text() == Path(other.__file__).read_text()


def test_a_password_in_a_url_is_not_repeated_by_who_answers_too_much() -> None:
    raw = io.BytesIO(b" " * (transport.MOST_BYTES + 1))
    with pytest.raises(transport.TooLong) as refused:
        transport._limited(raw, "https://me:hunter2@sts.example:1/?x=hunter2")
    assert str(refused.value) == "sts.example:1 answers with more than 1 MiB"


def test_an_answer_of_as_much_as_there_may_be_is_whole() -> None:
    body = b"x" * transport.MOST_BYTES
    assert transport._limited(io.BytesIO(body), "https://sts.example") == body
