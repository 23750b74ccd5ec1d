"""One spelling for each value, any other refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault_core.vlt.encoding import canonical, fields, from_base64, integer, lp, parse_canonical, to_base64

LABELS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20)
VALUES = st.recursive(
    st.integers(min_value=0, max_value=2**64) | LABELS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LABELS, inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_is_read_back_and_both_implementations_write_the_same(independent: Any, value: Any) -> None:
    assert parse_canonical(canonical(value), "it") == value
    assert independent.cjson(value).encode() == canonical(value)


@given(VALUES)
def test_every_other_spelling_is_refused(value: Any) -> None:
    for other in (
        json.dumps(value, indent=1).encode() if isinstance(value, (dict, list)) and value else b" " + canonical(value),
        canonical(value) + b"\n",
        b"\xef\xbb\xbf" + canonical(value),
        canonical(value) + canonical(value) + b",",
    ):
        with pytest.raises(ValueError):
            parse_canonical(other, "it")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"b":1,"a":1}',
        '{"a":1.0}',
        '{"a":1e3}',
        '{"a":-0}',
        '{"a":01}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a": 1}',
        '{"a":"\\u0041"}',
        '{"a":"\\/"}',
        '{"a":"\\u00FC"}',
        '{"a":"ü"}',
        "",
        "{",
        "[" * 60_000,
        '{"a":' + "9" * 60_000 + "}",
    ],
)
def test_spellings_that_json_allows_or_not(text: Any) -> None:
    with pytest.raises(ValueError):
        parse_canonical(text.encode(), "it")


@given(st.binary(min_size=1, max_size=40), st.data())
def test_base64_has_one_spelling(data: Any, draw: Any) -> None:
    text = to_base64(data)
    assert from_base64(text, "it", least=len(data)) == data
    position = draw.draw(st.integers(0, len(text)))
    for other in (text[:position] + "\n" + text[position:], text[:position] + " " + text[position:], text + "="):
        with pytest.raises(ValueError):
            from_base64(other, "it", least=1, most=100)


@pytest.mark.parametrize("text", ["AB==", "AA-_", "AA", "A===", "====", "é===", 5, None, ["AA=="]])
def test_base64_other_bytes_than_the_canonical_ones(text: Any) -> None:
    with pytest.raises(ValueError):
        from_base64(text, "it", least=1, most=3)


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_lp_is_injective(one: Any, other: Any) -> None:
    assert (lp(*one) == lp(*other)) == (one == other)


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, [], -1, 11])
def test_integers(value: Any) -> None:
    with pytest.raises(ValueError):
        integer(value, "it", least=0, most=10)


@pytest.mark.parametrize(
    ("value", "reason"),
    [({"a": 1}, "no field 'b'"), ({"a": 1, "b": 2, "c": 3}, "unknown field 'c'"), ([], "not an object")],
)
def test_fields(value: Any, reason: Any) -> None:
    with pytest.raises(ValueError, match=reason):
        fields(value, ("a", "b"), "it")
