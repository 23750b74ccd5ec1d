"""What the contracts of passphrase sources and of MFA sources have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vault_core.api import QuestionRefused, Secret, SourceUnavailable, VaultError
from vault_testkit.calls import Outcome, call
from vault_testkit.case import check
from vault_testkit.context import FakeContext
from vault_testkit.part import Part
from vault_testkit.setup import Setup
from vault_testkit.store_under_test import host

STORE = "contract"
"""The name of the store for which a secret is wanted."""
ANSWER = (Secret, type(None))

Opened = Callable[..., tuple[Any, FakeContext]]
Ask = Callable[..., tuple[Outcome, FakeContext]]


class SourcePart(Part):
    """A part of the contract of a source, which gives one secret for one request."""

    method: ClassVar[str]
    """The method that gives the secret."""
    typed: ClassVar[str]
    """What a person types at its questions."""
    requests: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    """The kinds of requests, by the fields in which they differ."""
    failures: ClassVar[tuple[type[VaultError], ...]]
    """What it may raise."""

    @pytest.fixture
    def wanted(self) -> Callable[..., Any]:
        """Makes a request from the fields that a test is about."""
        raise NotImplementedError

    @pytest.fixture
    def opened(self, spec: Any, setup: Setup, tmp_path: Path) -> Opened:
        """Opens the source with a new host, at which a person types these answers."""

        def opened(answers: Iterable[str | None] = (), using: Setup = setup) -> tuple[Any, FakeContext]:
            context = host(spec, using, tmp_path, store=STORE, answers=answers)
            return spec.open(context), context

        return opened

    @pytest.fixture
    def ask(self, opened: Opened, wanted: Callable[..., Any], setup: Setup) -> Ask:
        """Asks a newly opened source once."""

        def ask(*answers: str | None, using: Setup = setup, **fields: Any) -> tuple[Outcome, FakeContext]:
            source, context = opened(answers, using)
            return call(lambda: getattr(source, self.method)(wanted(**fields)), f"{self.method}()"), context

        return ask


class Asking(SourcePart):
    """Who is asked, and who is not."""

    part = "Asking"

    def test_asking_nobody_who_may_not_be_asked(self, spec: Any, ask: Ask) -> None:
        outcome, context = ask(*[self.typed] * 2, may_ask=False)
        check(not context.questions, f"may_ask is False, and the source asked {context.questions}")
        if spec.interactive:
            outcome.one_of((type(None),), (), f"{self.method}() of an interactive source that may not ask")
        else:
            outcome.one_of(ANSWER, self.failures, f"{self.method}() that may not ask")

    def test_asking_only_if_it_says_so(self, spec: Any, ask: Ask) -> None:
        if spec.interactive:
            pytest.skip(f"{spec.name} declares that it is interactive")
        for fields in self.requests:
            _, context = ask(*[self.typed] * 2, **fields)
            check(not context.questions, f"the source is not declared interactive, and asked {context.questions}")

    def test_asking_somebody_who_declines(self, spec: Any, ask: Ask) -> None:
        if not spec.interactive:
            pytest.skip(f"{spec.name} is not interactive")
        outcome, _ = ask(None)
        outcome.one_of((), (QuestionRefused,), f"{self.method}() after the person declined")

    def test_asking_where_nobody_is(self, spec: Any, ask: Ask) -> None:
        if not spec.interactive:
            pytest.skip(f"{spec.name} is not interactive")
        outcome, _ = ask()
        outcome.one_of((type(None),), (SourceUnavailable,), f"{self.method}() where the user cannot be asked")
