"""The text of a recovery key: every mistake of one character is noticed, and what is not a recovery key."""

from __future__ import annotations

from typing import Any

import pytest

from vault_core.api import PassphraseError, Secret, WrongSecret
from vault_core.vlt import recovery

pytestmark = pytest.mark.security("S15")


def test_every_typo_of_one_character_is_caught(independent: Any) -> None:
    text = recovery.text_of(bytes(range(0x40, 0x60))).reveal_text()
    tried = 0
    for position, right in enumerate(text):
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" if right != "-" else "":
            if other == right:
                continue
            typed = text[:position] + other + text[position + 1 :]
            with pytest.raises(PassphraseError, match="mistyped: a character is wrong") as caught:
                recovery.key_of(Secret(typed))
            assert not isinstance(caught.value, WrongSecret)
            assert typed not in str(caught.value) + str(caught.value.hint)
            with pytest.raises(independent.Damaged):
                independent.recovery_bytes(typed)
            tried += 1
    assert tried == 56 * 31


def test_a_key_of_which_a_typo_would_pass_is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    good, weak = recovery.text_of(bytes(range(0x40, 0x60))), recovery.text_of(bytes(32))
    assert recovery.notices_typos(good)
    other = bytes([0x08, *bytes(31)])  # one character of the text differs
    honest = recovery._check
    monkeypatch.setattr(recovery, "_check", lambda key: honest(bytes(32) if key == other else key))
    assert not recovery.notices_typos(weak)
    drawn = iter([bytes(32), other, bytes(range(0x40, 0x60))])
    monkeypatch.setattr("os.urandom", lambda count: next(drawn))
    assert recovery.new() == good


def test_every_missing_doubled_and_exchanged_character_is_caught() -> None:
    text = recovery.text_of(bytes(range(0x40, 0x60))).reveal_text()
    for position in range(len(text) - 1):
        one, two = text[position], text[position + 1]
        if "-" in (one, two):
            continue
        changed = [text[:position] + text[position + 1 :], text[:position] + one + text[position:]]
        if one != two:
            changed.append(text[:position] + two + one + text[position + 2 :])
        for typed in changed:
            with pytest.raises(PassphraseError, match="mistyped"):
                recovery.key_of(Secret(typed))


@pytest.mark.parametrize(
    ("typed", "reason"), [("", "0 characters"), ("A" * 55 + "9", "no recovery key has"), (b"\xff" * 56, "not text")]
)
def test_what_is_no_recovery_key(typed: Any, reason: Any) -> None:
    with pytest.raises(PassphraseError, match=reason):
        recovery.key_of(Secret(typed))


def test_the_last_group() -> None:
    group = recovery.last_group(Secret("AAAA-OIB7"))
    assert all(recovery.same_group(group, Secret(typed)) for typed in ("OIB7", " 0187 ", "-oib7", "o i b 7"))
    assert not any(recovery.same_group(group, Secret(typed)) for typed in ("OIB", "OIB2", "", b"\xff", "AAAA-OIB7"))
