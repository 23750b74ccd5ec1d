"""The limit on the length of a response."""

from __future__ import annotations

import io

import pytest

from vault_botocore import transport


def test_response_that_is_too_long_is_refused_without_password_of_url() -> None:
    raw = io.BytesIO(b" " * (transport.MAX_BYTES + 1))
    with pytest.raises(transport.TooLong) as refused:
        transport._limited(raw, "https://me:hunter2@sts.example:1/?x=hunter2")
    assert str(refused.value) == "the response of sts.example:1 is longer than 1 MiB"


def test_response_of_maximal_length_is_complete() -> None:
    body = b"x" * transport.MAX_BYTES
    assert transport._limited(io.BytesIO(body), "https://sts.example") == body
