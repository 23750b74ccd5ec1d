"""What the terminal module does without a terminal: text made printable, and Ctrl-C around a question."""

from __future__ import annotations

import signal

import pytest

from vault_core.errors import QuestionRefused
from vault_core.output import printable
from vault_core.terminal import _Signals


def test_printable_leaves_ordinary_text_alone() -> None:
    assert printable("größe 🔑 C:\\n 'x'") == "größe 🔑 C:\\n 'x'"
    assert printable("a\tb\x7f\u2028") == "a\\tb\\x7f\\u2028"


def test_ctrl_c_that_arrives_after_the_answer_ends_the_process() -> None:
    """The answer was read already; what it was for is not to go on."""
    with pytest.raises(KeyboardInterrupt), _Signals():
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_that_ended_a_question_does_not_count_twice() -> None:
    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        raise QuestionRefused("no answer: interrupted")

    with pytest.raises(QuestionRefused), _Signals():
        interrupted()
