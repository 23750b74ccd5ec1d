"""A secret shows itself to nobody but who calls ``reveal``."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault_core.secret import Secret

CANARY = "s3cr3t-canary"


@pytest.mark.parametrize(
    "shown",
    [
        repr,
        str,
        "{}".format,
        "{!r}".format,
        "{:>40}".format,
        "%s".__mod__,
        "%r".__mod__,
        lambda secret: f"{secret}",
        lambda secret: repr([secret, {"a": secret}, (secret,)]),
        lambda secret: repr(vars(secret)) if hasattr(secret, "__dict__") else "",
    ],
)
def test_every_way_into_text_is_masked(shown: object) -> None:
    assert CANARY not in shown(Secret(CANARY))  # type: ignore[operator]  # each of them is a function


def test_in_a_dataclass_a_log_and_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    @dataclass
    class Holder:
        secret: Secret

    logging.getLogger("test").warning("%s %r", Holder(Secret(CANARY)), Secret(CANARY))
    try:
        raise ValueError(Secret(CANARY))
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "Secret(***)" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in text.replace(f'"{CANARY}"', "").replace("CANARY", "")


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_it_is_not_copied_or_written_down(leak: object) -> None:
    with pytest.raises(TypeError) as caught:
        leak(Secret(CANARY))  # type: ignore[operator]  # each of them is a function
    assert CANARY not in str(caught.value)


@given(st.binary())
def test_reveal_is_the_inverse(value: bytes) -> None:
    assert Secret(value).reveal() == value
    assert Secret(bytearray(value)).reveal() == value
    assert bool(Secret(value)) == bool(value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_is_kept_as_utf8(value: str) -> None:
    assert Secret(value).reveal_text() == value
    assert Secret(value) == Secret(value.encode())


def test_bytes_of_the_environment_survive_as_they_are() -> None:
    raw = b"p\xe4ss"
    assert Secret(raw.decode("utf-8", "surrogateescape")).reveal() == raw
    with pytest.raises(ValueError, match="not UTF-8") as caught:
        Secret(raw).reveal_text()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(ValueError, match="not text") as caught:
        Secret(f"{CANARY}\ud800")
    assert CANARY not in str(caught.value)


def test_equality_only_among_secrets() -> None:
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    with pytest.raises(TypeError):
        hash(Secret("a"))


@pytest.mark.parametrize("value", [1, None, ["a"], Secret("a")])
def test_it_is_made_of_text_or_bytes(value: object) -> None:
    with pytest.raises(TypeError, match="made of text or bytes"):
        Secret(value)  # type: ignore[arg-type]  # that is the point


def test_it_has_no_place_to_hide_more() -> None:
    with pytest.raises(AttributeError):
        Secret("a").note = "b"  # type: ignore[attr-defined]  # that is the point
