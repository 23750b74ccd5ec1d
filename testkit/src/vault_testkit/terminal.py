"""A terminal at which a test has typed everything beforehand."""

from collections.abc import Iterable

from vault_core.errors import QuestionRefused, SourceUnavailable
from vault_core.secret import Secret


class FakeTerminal:
    """Stands in for the host's terminal.

    :param answers: what the person types at the questions, in order; None is Ctrl-C. At a question beyond the last one
        nobody is there.
    """

    def __init__(self, answers: Iterable[str | None] = ()) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []
        """Every question that was shown."""
        self.hidden: list[bool] = []
        """Of each question, whether what is typed was hidden."""

    def why_not(self) -> str | None:
        """The reason why the user cannot be asked, or None."""
        return None if self.answers else "this test has no user to ask"

    def ask(self, question: str, *, secret: bool = True, asker: str = "", deadline: float | None = None) -> Secret:
        """The next answer.

        :raises QuestionRefused: it is None, or empty.
        :raises SourceUnavailable: there is none.
        """
        self.questions.append(question)
        self.hidden.append(secret)
        reason = self.why_not()
        if reason:
            raise SourceUnavailable(reason)
        answer = self.answers.pop(0)
        if not answer:
            raise QuestionRefused("declined")
        return Secret(answer)

    def confirm(self, question: str, *, asker: str = "", default: bool = False) -> bool:
        """Whether the next answer is ``y``; False where there is none."""
        self.questions.append(question)
        self.hidden.append(False)
        return bool(self.answers) and self.answers.pop(0) == "y"
