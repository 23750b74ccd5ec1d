"""Prompting until an answer is accepted."""

from __future__ import annotations

import pytest

from vault_core.errors import PassphraseError, QuestionRefused, WrongSecret
from vault_core.keyslots.ask_until import ask_until
from vault_core.secret import Secret


class Prompt:
    """A user who gives these answers, and what was shown to them."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.shown: list[str] = []

    def ask(self) -> Secret:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Secret(answer)

    def run(self) -> str:
        return ask_until(self.ask, accept, self.shown.append)


def accept(answer: Secret) -> str:
    if answer != Secret("right"):
        raise WrongSecret(f"{answer.reveal_text()} is wrong")
    return "opened"


@pytest.mark.parametrize(
    ("answers", "shown"), [(("right",), []), (("a", "right"), ["a"]), (("a", "b", "right"), ["a", "b"])]
)
def test_ask_until_accepted_answer_returns_its_result(answers: tuple[str, ...], shown: list[str]) -> None:
    prompt = Prompt(*answers)
    assert prompt.run() == "opened"
    assert (prompt.answers, prompt.shown) == ([], [f"{answer} is wrong" for answer in shown])


def test_ask_until_third_wrong_answer_raises() -> None:
    prompt = Prompt("a", "b", "c", "right")
    with pytest.raises(PassphraseError, match="c is wrong"):
        prompt.run()
    assert (prompt.answers, prompt.shown) == (["right"], ["a is wrong", "b is wrong"])


def test_ask_until_refused_question_ends_at_once() -> None:
    prompt = Prompt("a", QuestionRefused("cancelled"), "right")
    with pytest.raises(QuestionRefused):
        prompt.run()
    assert prompt.answers == ["right"]
