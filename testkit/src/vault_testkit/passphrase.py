"""The contract of passphrase sources."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from vault_core.api import (
    Cancelled,
    PassphraseError,
    PassphraseRequest,
    PassphraseSource,
    PassphraseSourceSpec,
    Purpose,
    QuestionRefused,
    Secret,
    SourceUnavailable,
)
from vault_testkit import canary
from vault_testkit.calls import Listener, Outcome, call, nowhere
from vault_testkit.case import check
from vault_testkit.context import FakeContext
from vault_testkit.part import Part
from vault_testkit.purity import Purity
from vault_testkit.setup import Setup
from vault_testkit.store_under_test import load, parsed, shown

STORE = "contract"
"""The name of the store for which a passphrase is wanted."""
_NONE = (Secret, type(None))
_FAILURES = (SourceUnavailable, PassphraseError, QuestionRefused)

Ask = Callable[..., tuple[Outcome, FakeContext]]


class PassphrasePart(Part):
    """A part of :class:`PassphraseContract`."""

    kind = "passphrase"

    @pytest.fixture
    def expected(self) -> str | None:
        """The passphrase that the source gives for store ``contract`` under ``setup``; override it where there is one.

        Of an interactive source it is what the person types, and need not be overridden.
        """
        return None

    @pytest.fixture
    def spec(self) -> PassphraseSourceSpec:
        """The source's spec."""
        spec: PassphraseSourceSpec = load("passphrase", self.entry_point)
        return spec

    @pytest.fixture
    def opened(
        self, spec: PassphraseSourceSpec, setup: Setup, tmp_path: Path
    ) -> Callable[..., tuple[PassphraseSource, FakeContext]]:
        """Opens the source with a new host, at which a person types these answers."""

        def opened(answers: Iterable[str | None] = (), using: Setup = setup) -> tuple[PassphraseSource, FakeContext]:
            options = parsed(spec.options, using.options)
            context = FakeContext(
                tmp_path, store=STORE, options=options, environ=shown(using.environ, spec), answers=answers
            )
            return spec.open(context), context

        return opened

    @pytest.fixture
    def ask(self, opened: Callable[..., tuple[PassphraseSource, FakeContext]]) -> Ask:
        """Asks a newly opened source once."""

        def ask(request: PassphraseRequest, *answers: str | None, **more: Setup) -> tuple[Outcome, FakeContext]:
            source, context = opened(answers, **more)
            return call(lambda: source.get(request), "get()"), context

        return ask


def wanted(purpose: Purpose = Purpose.UNLOCK, **more: object) -> PassphraseRequest:
    """A request for store ``contract``."""
    given = {"key_id": f"{STORE}/passphrase", **more}
    return PassphraseRequest(store=STORE, purpose=purpose, **given)  # type: ignore[arg-type]  # the caller's names are the request's


class Answers(PassphrasePart):
    """What ``get`` returns or raises is what its docstring allows."""

    part = "Answers"

    def test_answers_with_the_passphrase(self, spec: PassphraseSourceSpec, ask: Ask, expected: str | None) -> None:
        if expected is None and not spec.interactive:
            pytest.skip(f"{spec.name} has no fixture 'expected' that says which passphrase it gives")
        text = expected or canary.make()
        for _ in range(2):
            outcome, _context = ask(wanted(), *[text] * 3)
            outcome.one_of((Secret,), (), "get() of a source that is configured")
            check(outcome.result == Secret(text), "get() gave another passphrase than the expected one")

    @pytest.mark.parametrize("purpose", list(Purpose), ids=lambda purpose: purpose.value)
    @pytest.mark.parametrize("attempt", [1, 2, 3])
    def test_answers_as_allowed(self, ask: Ask, purpose: Purpose, attempt: int) -> None:
        outcome, _ = ask(wanted(purpose, attempt=attempt), *["a typed passphrase"] * 6)
        outcome.one_of(_NONE, _FAILURES, f"get() for {purpose.value}, attempt {attempt},")
        if isinstance(outcome.result, Secret):
            check(outcome.result, "get() gave an empty passphrase")

    def test_answers_without_configuration(self, ask: Ask) -> None:
        """Nothing is set: it is not this source's turn, or it says what is wrong."""
        outcome, _ = ask(wanted(), using=Setup())
        outcome.one_of(_NONE, _FAILURES, "get() of a source that is not configured")

    def test_answers_before_the_deadline(self, ask: Ask) -> None:
        for ahead in (-1.0, 0.5):
            outcome, _ = ask(wanted(deadline=time.monotonic() + ahead), "a typed passphrase", "a typed passphrase")
            outcome.one_of(_NONE, (*_FAILURES, Cancelled), f"get() with {ahead:g} s left")


class Asking(PassphrasePart):
    """Who is asked, and who is not."""

    part = "Asking"

    def test_asking_nobody_who_may_not_be_asked(self, spec: PassphraseSourceSpec, ask: Ask) -> None:
        outcome, context = ask(wanted(may_ask=False), "a typed passphrase", "a typed passphrase")
        check(not context.questions, f"may_ask is False, and the source asked {context.questions}")
        if spec.interactive:
            outcome.one_of((type(None),), (), "get() of an interactive source that may not ask")
        else:
            outcome.one_of(_NONE, _FAILURES, "get() that may not ask")

    def test_asking_only_if_it_says_so(self, spec: PassphraseSourceSpec, ask: Ask) -> None:
        if spec.interactive:
            pytest.skip(f"{spec.name} declares that it is interactive")
        for purpose in Purpose:
            _, context = ask(wanted(purpose), "a typed passphrase", "a typed passphrase")
            check(not context.questions, f"the source is not declared interactive, and asked {context.questions}")

    def test_asking_somebody_who_declines(self, spec: PassphraseSourceSpec, ask: Ask) -> None:
        if not spec.interactive:
            pytest.skip(f"{spec.name} is not interactive")
        outcome, _ = ask(wanted(), None)
        outcome.one_of((), (QuestionRefused,), "get() after the person declined")

    def test_asking_where_nobody_is(self, spec: PassphraseSourceSpec, ask: Ask) -> None:
        if not spec.interactive:
            pytest.skip(f"{spec.name} is not interactive")
        outcome, _ = ask(wanted())
        outcome.one_of((type(None),), (SourceUnavailable,), "get() where the user cannot be asked")


class Keeping(PassphrasePart):
    """``put`` and ``forget``, where the spec says ``writable``."""

    part = "Keeping"

    def test_keeping_and_forgetting(
        self, spec: PassphraseSourceSpec, opened: Callable[..., tuple[PassphraseSource, FakeContext]]
    ) -> None:
        if not spec.writable:
            pytest.skip(f"{spec.name} does not declare that it is writable")
        mine, others = (wanted(key_id=f"contract/{secrets.token_hex(8)}") for _ in range(2))
        source, _ = opened()
        try:
            self._keep(source, mine, others, lambda: opened()[0])
        finally:
            for request in (mine, others):
                source.forget(request)

    def _keep(
        self,
        source: PassphraseSource,
        mine: PassphraseRequest,
        others: PassphraseRequest,
        anew: Callable[[], PassphraseSource],
    ) -> None:
        __tracebackhide__ = True
        check(source.forget(mine) is False, "forget() of what was never kept is not False")
        for value in (canary.make(), "replaced by this", " spaces, ümlauts and a newline\n"):
            source.put(mine, Secret(value))
            for who in (source, anew()):
                check(who.get(mine) == Secret(value), "get() does not give what put() kept for this key_id")
        source.put(others, Secret("of another lock"))
        check(source.get(mine) != Secret("of another lock"), "put() for one key_id changed another's")
        renamed = PassphraseRequest(store="another-name", key_id=others.key_id)
        check(source.get(renamed) == Secret("of another lock"), "what is kept is not found again by its key_id alone")
        check(source.forget(mine) is True, "forget() of what is kept is not True")
        left = call(lambda: source.get(mine), "get()").result
        check(left is None or left != Secret(value), "get() still gives what was forgotten")
        check(source.get(others) == Secret("of another lock"), "forget() for one key_id forgot another's")

    def test_keeping_is_refused(
        self, spec: PassphraseSourceSpec, opened: Callable[..., tuple[PassphraseSource, FakeContext]]
    ) -> None:
        if spec.writable:
            pytest.skip(f"{spec.name} declares that it is writable")
        source, _ = opened()
        for what, action in (
            ("put()", lambda: source.put(wanted(), Secret("x"))),
            ("forget()", lambda: source.forget(wanted())),
        ):
            call(action, what).one_of((), (PassphraseError,), f"{what} of a source that is not writable")


class PassphraseSecrecy(PassphrasePart):
    """No passphrase in messages, logs, questions, objects or files."""

    part = "Secrecy"

    def test_secrecy_of_the_passphrase(
        self, spec: PassphraseSourceSpec, ask: Ask, expected: str | None, tmp_path: Path, setup: Setup
    ) -> None:
        text = expected or canary.make()
        given = {path for path in canary.files([tmp_path]) if canary.holding([path], text)}  # what the setup put there
        with Listener() as log:
            for purpose in Purpose:
                outcome, context = ask(wanted(purpose), *[text] * 3)
                written = [path for path in canary.files([tmp_path, *setup.files]) if path not in given]
                nowhere([text], context, written, outcome.text(), *log.lines)

    def test_secrecy_of_a_refusal(self, spec: PassphraseSourceSpec, ask: Ask) -> None:
        """Two different answers where one is to be repeated: no answer is in the error."""
        if not spec.interactive:
            pytest.skip(f"{spec.name} is not interactive")
        typed = [canary.make() for _ in range(6)]
        outcome, context = ask(wanted(Purpose.CREATE), *typed)
        nowhere(typed, context, [], outcome.text())


class PassphraseContract(Answers, Asking, Keeping, PassphraseSecrecy, Purity):
    """Everything that a passphrase source promises, as tests; a plugin inherits them.

    ::

        class TestSsm(PassphraseContract):
            entry_point = "ssm"

            @pytest.fixture
            def setup(self, …) -> Setup:
                return Setup(options={"parameter": "/laptop/passphrase"}, environ={…})

            @pytest.fixture
            def expected(self) -> str:
                return "what the parameter holds"
    """

    kind = "passphrase"
