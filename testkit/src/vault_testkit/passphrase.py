"""The contract of passphrase sources."""

import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from vault_core import api
from vault_testkit import canary
from vault_testkit.calls import call, nowhere
from vault_testkit.case import check
from vault_testkit.purity import Purity
from vault_testkit.setup import Setup
from vault_testkit.source import ANSWER, STORE, Ask, Asking, Opened, SourcePart

Wanted = Callable[..., api.PassphraseRequest]


class PassphrasePart(SourcePart):
    """A part of :class:`PassphraseContract`."""

    kind = "passphrase"
    method = "get"
    typed = "a typed passphrase"
    requests = tuple({"purpose": purpose} for purpose in api.Purpose)
    failures = (api.SourceUnavailable, api.PassphraseError, api.QuestionRefused)

    @pytest.fixture
    def expected(self) -> str | None:
        """The passphrase that the source gives for store ``contract`` under ``setup``; override it where there is one.

        Of an interactive source it is what the person types, and need not be overridden.
        """
        return None

    @pytest.fixture
    def wanted(self) -> Wanted:
        return partial(api.PassphraseRequest, store=STORE, key_id=f"{STORE}/passphrase")


class Answers(PassphrasePart):
    """What ``get`` returns or raises is what its docstring allows."""

    part = "Answers"

    def test_answers_with_the_passphrase(self, spec: api.PassphraseSourceSpec, ask: Ask, expected: str | None) -> None:
        if expected is None and not spec.interactive:
            pytest.skip(f"{spec.name} has no fixture 'expected' that says which passphrase it gives")
        text = expected or canary.make()
        for _ in range(2):
            outcome, _context = ask(*[text] * 3)
            outcome.one_of((api.Secret,), (), "get() of a source that is configured")
            check(outcome.result == api.Secret(text), "get() gave another passphrase than the expected one")

    @pytest.mark.parametrize("purpose", list(api.Purpose), ids=lambda purpose: purpose.value)
    @pytest.mark.parametrize("attempt", [1, 2, 3])
    def test_answers_as_allowed(self, ask: Ask, purpose: api.Purpose, attempt: int) -> None:
        outcome, _ = ask(*[self.typed] * 6, purpose=purpose, attempt=attempt)
        outcome.one_of(ANSWER, self.failures, f"get() for {purpose.value}, attempt {attempt},")
        if isinstance(outcome.result, api.Secret):
            check(outcome.result, "get() gave an empty passphrase")

    def test_answers_without_configuration(self, ask: Ask) -> None:
        """Nothing is set: it is not this source's turn, or it says what is wrong."""
        outcome, _ = ask(using=Setup())
        outcome.one_of(ANSWER, self.failures, "get() of a source that is not configured")

    def test_answers_before_the_deadline(self, ask: Ask) -> None:
        for ahead in (-1.0, 0.5):
            outcome, _ = ask(*[self.typed] * 2, deadline=time.monotonic() + ahead)
            outcome.one_of(ANSWER, (*self.failures, api.Cancelled), f"get() with {ahead:g} s left")


class Keeping(PassphrasePart):
    """``put`` and ``forget``, where the spec says ``writable``."""

    part = "Keeping"

    def test_keeping_and_forgetting(self, spec: api.PassphraseSourceSpec, opened: Opened, wanted: Wanted) -> None:
        if not spec.writable:
            pytest.skip(f"{spec.name} does not declare that it is writable")
        mine, others = (wanted(key_id=f"contract/{secrets.token_hex(8)}") for _ in range(2))
        try:
            self._keep(opened, mine, others)
        finally:
            for request in (mine, others):
                opened()[0].forget(request)

    def _keep(self, opened: Opened, mine: api.PassphraseRequest, others: api.PassphraseRequest) -> None:
        __tracebackhide__ = True
        source: api.PassphraseSource = opened()[0]
        check(source.forget(mine) is False, "forget() of what was never kept is not False")
        for value in (canary.make(), "replaced by this", " spaces, ümlauts and a newline\n"):
            source.put(mine, api.Secret(value))
            for who in (source, opened()[0]):
                check(who.get(mine) == api.Secret(value), "get() does not give what put() kept for this key_id")
        source.put(others, api.Secret("of another lock"))
        check(source.get(mine) != api.Secret("of another lock"), "put() for one key_id changed another's")
        renamed = api.PassphraseRequest(store="another-name", key_id=others.key_id)
        check(
            source.get(renamed) == api.Secret("of another lock"), "what is kept is not found again by its key_id alone"
        )
        check(source.forget(mine) is True, "forget() of what is kept is not True")
        left = call(lambda: source.get(mine), "get()").result
        check(left is None or left != api.Secret(value), "get() still gives what was forgotten")
        check(source.get(others) == api.Secret("of another lock"), "forget() for one key_id forgot another's")

    def test_keeping_is_refused(self, spec: api.PassphraseSourceSpec, opened: Opened, wanted: Wanted) -> None:
        if spec.writable:
            pytest.skip(f"{spec.name} declares that it is writable")
        source, _ = opened()
        for what, action in (
            ("put()", lambda: source.put(wanted(), api.Secret("x"))),
            ("forget()", lambda: source.forget(wanted())),
        ):
            call(action, what).one_of((), (api.PassphraseError,), f"{what} of a source that is not writable")


class PassphraseSecrecy(PassphrasePart):
    """No passphrase in messages, logs, questions, objects or files."""

    part = "Secrecy"

    def test_secrecy_of_the_passphrase(
        self, ask: Ask, expected: str | None, tmp_path: Path, setup: Setup, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = expected or canary.make()
        given = {path for path in canary.files([tmp_path]) if canary.holding([path], text)}  # what the setup put there
        with caplog.at_level(logging.DEBUG):
            for purpose in api.Purpose:
                outcome, context = ask(*[text] * 3, purpose=purpose)
                written = [path for path in canary.files([tmp_path, *setup.files]) if path not in given]
                nowhere([text], context, written, outcome.text(), caplog.text)

    def test_secrecy_of_a_refusal(self, spec: api.PassphraseSourceSpec, ask: Ask) -> None:
        """Two different answers where one is to be repeated: no answer is in the error."""
        if not spec.interactive:
            pytest.skip(f"{spec.name} is not interactive")
        typed = [canary.make() for _ in range(6)]
        outcome, context = ask(*typed, purpose=api.Purpose.CREATE)
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
