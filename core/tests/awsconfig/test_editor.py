"""Editing without loss: whatever the file looks like, an edit changes its own bytes and its reverse restores all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vault_core.awsconfig import ini
from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.redacted_diff import patch
from vault_core.errors import ConfigError

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
HERE = Path("/home/someone/.aws/config")


def contents(raw: bytes) -> list[tuple[str, dict[str, str]]]:
    return ini.contents(Document(raw, HERE).every_block)


MARGINS = st.sampled_from(["", "", "", " ", "  ", "\t", "\u00a0"])
LINES = st.one_of(
    st.builds(
        "{}[{}]{}".format,
        MARGINS,
        st.sampled_from(["default", "profile a", "x", "DEFAULT"]),
        st.sampled_from(["", " #"]),
    ),
    st.builds(
        "{}{}{}{}".format,
        MARGINS,
        st.sampled_from(["Role_ARN", "region", "s3", "source_profile", "ä"]),
        st.sampled_from(["=", " = ", " : "]),
        st.sampled_from(["", "v", "v # w ", "arn:aws:iam::1:role/r"]),
    ),
    st.sampled_from(["", "  ", "# c", "   ; c", "    deep = 1", "      deeper", "\x0c"]),
)
ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Files that botocore reads, with all that people's editors leave in them."""
    lines = draw(st.lists(st.tuples(LINES, ENDS), max_size=12))
    text = "".join(line + end for line, end in [("[profile first]", draw(ENDS)), *lines])
    raw = (text.rstrip("\r\n") if draw(st.booleans()) else text).encode()
    try:
        Document(raw, HERE)
    except ConfigError:
        assume(False)
    return raw


@PATIENT
@given(raw=files(), data=st.data())
def test_add_and_remove_restore_every_byte(raw: bytes, data: st.DataObject) -> None:
    document = Document(raw, HERE)
    header = data.draw(st.sampled_from(sorted(document.blocks)))
    before = contents(raw)
    document.add(header, "credential_process", "/usr/bin/awsv exec -j a")
    after = document.edited()
    expected = [
        (name, {**pairs, "credential_process": "/usr/bin/awsv exec -j a"} if name == header else pairs)
        for name, pairs in before
    ]
    assert contents(after) == expected
    back = Document(after, HERE)
    back.remove(header, "credential_process")
    assert back.edited() == raw


@PATIENT
@given(raw=files(), data=st.data())
def test_rename_changes_the_bytes_of_the_name_alone(raw: bytes, data: st.DataObject) -> None:
    document = Document(raw, HERE)
    keys = [(header, key) for header, block in sorted(document.blocks.items()) for key in block.pairs]
    assume(keys)
    header, key = data.draw(st.sampled_from(keys))
    spelled = document.blocks[header].pairs[key].spelled
    document.rename(header, key, f"vault_{spelled}")
    after = document.edited()
    assert len(after) == len(raw) + len("vault_")
    assert after.replace(b"vault_", b"") == raw
    back = Document(after, HERE)
    back.rename(header, f"vault_{key}", spelled)
    assert back.edited() == raw


@PATIENT
@given(raw=st.one_of(files(), st.sampled_from([b"", b"\n", b"# c", b"\r\n\r\n", b"   "])))
def test_append_and_remove_a_section_restore_every_byte(raw: bytes) -> None:
    document = Document(raw, HERE)
    document.append_section("profile new", {"credential_process": "x", "region": "y"}, "ours")
    document.append_section("profile newer", {"credential_process": "z"}, "ours")
    after = document.edited()
    assert after.startswith(raw)
    assert contents(after)[-2:] == [
        ("profile new", {"credential_process": "x", "region": "y"}),
        ("profile newer", {"credential_process": "z"}),
    ]
    for header in ("profile new", "profile newer"):
        back = Document(after, HERE)
        assert back.is_appended(header, "ours")
        assert not back.is_appended("profile first", "ours") if "profile first" in back.blocks else True
        back.remove_appended(header)
        after = back.edited()
    assert after == raw


def edited_or_skip(document: Document) -> bytes:
    try:
        return document.edited()
    except ConfigError:  # refused whole, nothing is written
        assume(False)
        raise


@PATIENT
@given(raw=files(), data=st.data())
def test_replace_says_the_new_value_and_nothing_else(raw: bytes, data: st.DataObject) -> None:
    document = Document(raw, HERE)
    keys = [(header, key) for header, block in sorted(document.blocks.items()) for key in block.pairs]
    assume(keys)
    header, key = data.draw(st.sampled_from(keys))
    before = contents(raw)
    document.replace(header, key, "new")
    after = edited_or_skip(document)
    assert contents(after) == [(name, {**pairs, key: "new"} if name == header else pairs) for name, pairs in before]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"[a]\nx = 1\n\n# about b\n[b]\n", b"[a]\nx = 1\nk = v\n\n# about b\n[b]\n"),
        (b"[a]\r\n  x = 1\r\n   2\r\n[b]\r\n", b"[a]\r\n  x = 1\r\n   2\r\n  k = v\r\n[b]\r\n"),
        (b"[a]", b"[a]\nk = v"),
        (b"# c\r\n[a]", b"# c\r\n[a]\r\nk = v"),
        (b"[a]\n  [b]\n  x=1\n", b"[a]\n  k = v\n  [b]\n  x=1\n"),
        (b"[a]\ns3 =\n  p = q\n[b]\n", b"[a]\ns3 =\n  p = q\nk = v\n[b]\n"),
    ],
)
def test_where_a_new_line_goes(before: bytes, after: bytes) -> None:
    document = Document(before, HERE)
    document.add("a", "k", "v")
    assert document.edited() == after


def test_an_edit_with_a_side_effect_is_refused() -> None:
    document = Document(b"[a]\nx = 1\n", HERE)
    document.add("a", "k", "1\n  y")
    document.replace("a", "x", "1\n[b]")
    with pytest.raises(ConfigError, match="would change another"):
        document.edited()


def test_the_patch_shows_the_change_and_no_secret() -> None:
    before = (
        b"[profile a]\nregion = x\n[profile b]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
        b"aws_secret_access_key = CANARY1\n# aws_session_token: CANARY2\naws_security_token =\n  CANARY3\n"
    )
    document = Document(before, HERE)
    document.add("profile a", "k", "v")
    document.append_section("profile c", {}, "ours")
    shown = patch(before, document.edited(), HERE)
    assert "CANARY" not in shown
    assert shown.count("***") == 3
    assert f"--- {HERE}\n+++ {HERE}\n" in shown
    assert "\n+k = v\n" in shown
    assert patch(before, before, HERE) == ""
