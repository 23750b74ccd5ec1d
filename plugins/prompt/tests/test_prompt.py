"""The sources ``prompt`` and ``terminal``, with a user whose answers the test chooses."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from vault_core.api import (
    MfaError,
    MfaRequest,
    PassphraseError,
    PassphraseRequest,
    Purpose,
    QuestionRefused,
    Secret,
    SourceUnavailable,
)
from vault_plugin_prompt import plugin
from vault_testkit import FakeContext

SERIAL = "arn:aws:iam::123456789012:mfa/ana"
UNLOCK = "Passphrase to unlock store 'file': "
NEW = "New passphrase for store 'file': "
AGAIN = "Repeat passphrase: "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def person(folder: Path, *answers: str | None) -> FakeContext:
    return FakeContext(folder, store="file", answers=answers)


def passphrase(
    context: FakeContext, purpose: Purpose = Purpose.UNLOCK, *, attempt: int = 1, may_ask: bool = True
) -> Secret | None:
    [spec] = plugin.vault_passphrase_sources()
    request = PassphraseRequest(store="file", key_id="file/1", purpose=purpose, attempt=attempt, may_ask=may_ask)
    return spec.open(context).get(request)


def code(context: FakeContext, *, attempt: int = 1, may_ask: bool = True) -> Secret | None:
    [spec] = plugin.vault_mfa_sources()
    return spec.open(context).code(MfaRequest(serial=SERIAL, profile="prod", attempt=attempt, may_ask=may_ask))


def test_entry_points_name_specs() -> None:
    for group, specs in (
        ("vault.passphrase.v1", plugin.vault_passphrase_sources()),
        ("vault.mfa.v1", plugin.vault_mfa_sources()),
    ):
        [spec] = specs
        [entry] = entry_points(group=group, name=spec.name)
        assert entry.load() is plugin
        assert spec.interactive


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_unlock_asks_once(folder: Path, attempt: int) -> None:
    context = person(folder, "correct horse")
    assert passphrase(context, attempt=attempt) == Secret("correct horse")
    assert context.questions == [UNLOCK]
    assert context.notes == ([] if attempt == 1 else ["wrong passphrase, try again"])


@pytest.mark.parametrize("purpose", [Purpose.CREATE, Purpose.CHANGE])
def test_new_passphrase_is_asked_for_twice(folder: Path, purpose: Purpose) -> None:
    context = person(folder, "correct horse", "correct horse")
    assert passphrase(context, purpose) == Secret("correct horse")
    assert context.questions == [NEW, AGAIN]
    assert context.notes == []


def test_mistyped_new_passphrase_is_asked_for_again(folder: Path) -> None:
    context = person(folder, "correct horse", "correct house", "correct horse", "correct horse")
    assert passphrase(context, Purpose.CREATE) == Secret("correct horse")
    assert context.questions == [NEW, AGAIN] * 2
    assert context.notes == ["the two passphrases differ"]


def test_three_mistyped_new_passphrases_fail(folder: Path) -> None:
    context = person(folder, *("correct horse", "correct house") * 4)
    with pytest.raises(PassphraseError, match="no passphrase for store 'file': the two differed 3 times"):
        passphrase(context, Purpose.CREATE)
    assert context.questions == [NEW, AGAIN] * 3


def test_short_passphrase_is_accepted_with_warning(folder: Path) -> None:
    context = person(folder, "1234567", "1234567")
    assert passphrase(context, Purpose.CREATE) == Secret("1234567")
    assert context.notes == ["this passphrase is short: anyone who gets a copy of the store can guess it"]


@pytest.mark.parametrize(("typed", "warned"), [("1234567", True), ("12345678", False), ("üüüü", False)])
def test_passphrase_is_short_below_eight_bytes(folder: Path, typed: str, warned: bool) -> None:
    context = person(folder, typed, typed)
    assert passphrase(context, Purpose.CREATE) == Secret(typed)
    assert bool(context.notes) is warned


def test_code_is_echoed_and_passphrase_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = []
    real = FakeContext.ask

    def ask(self: FakeContext, question: str, *, secret: bool = True) -> Secret:
        hidden.append(secret)
        return real(self, question, secret=secret)

    monkeypatch.setattr(FakeContext, "ask", ask)
    code(person(folder, "123456"))
    passphrase(person(folder, "passphrase"))
    passphrase(person(folder, "passphrase", "passphrase"), Purpose.CREATE)
    assert hidden == [False, True, True, True]


@pytest.mark.parametrize("typed", ["123456", " 123 456 ", "123\t456"])
def test_code_of_six_digits_is_returned(folder: Path, typed: str) -> None:
    context = person(folder, typed)
    assert code(context) == Secret("123456")
    assert context.questions == [f"MFA code for {SERIAL}: "]
    assert context.notes == []


@pytest.mark.parametrize("typed", ["12345", "1234567", "12345a", "-12345", "\uff11" * 6])
def test_invalid_code_is_asked_for_again(folder: Path, typed: str) -> None:
    context = person(folder, typed, "123456")
    assert code(context) == Secret("123456")
    assert context.notes == ["an MFA code has 6 digits"]


def test_three_invalid_codes_fail(folder: Path) -> None:
    context = person(folder, *["hunter2"] * 4)
    with pytest.raises(MfaError, match=f"no MFA code for {SERIAL}: none of 3 answers had 6 digits") as caught:
        code(context)
    assert len(context.questions) == 3
    assert "hunter2" not in f"{caught.value!r} {context.notes}"


def test_rejected_code_warns_and_asks_again(folder: Path) -> None:
    context = person(folder, "123456")
    assert code(context, attempt=2) == Secret("123456")
    assert context.notes == ["AWS rejected the code; wait for the next one"]


def test_source_never_asks_if_not_allowed(folder: Path) -> None:
    context = person(folder, "an answer")
    assert passphrase(context, may_ask=False) is None
    assert passphrase(context, Purpose.CREATE, attempt=2, may_ask=False) is None
    assert code(context, attempt=2, may_ask=False) is None
    assert (context.questions, context.notes) == ([], [])


@pytest.mark.parametrize(("answers", "error"), [((None,), QuestionRefused), ((), SourceUnavailable)])
def test_refusal_and_missing_terminal_are_raised(folder: Path, answers: Iterable[None], error: type[Exception]) -> None:
    with pytest.raises(error):
        passphrase(person(folder, *answers))
    with pytest.raises(error):
        code(person(folder, *answers))


def test_refusal_at_repetition_is_raised(folder: Path) -> None:
    with pytest.raises(QuestionRefused):
        passphrase(person(folder, "correct horse", None), Purpose.CREATE)
