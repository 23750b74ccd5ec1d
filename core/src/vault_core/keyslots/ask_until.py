"""Prompt for a secret until it is accepted, three times at most."""

from collections.abc import Callable
from typing import TypeVar

from vault_core.errors import PassphraseError
from vault_core.secret import Secret

_Result = TypeVar("_Result")

TRIES = 3


def ask_until(
    question: Callable[[], Secret], accept: Callable[[Secret], _Result], rejected: Callable[[str], None]
) -> _Result:
    """The result of ``accept`` for the first answer that it accepts.

    :param question: prompts for an answer; what it raises ends the loop.
    :param accept: raises :class:`PassphraseError` for a wrong answer.
    :param rejected: shows the message of that error, before the next prompt.
    :raises PassphraseError: the last answer was wrong, too.
    """
    for _ in range(TRIES - 1):
        answer = question()
        try:
            return accept(answer)
        except PassphraseError as error:
            rejected(error.message)
    return accept(question())
