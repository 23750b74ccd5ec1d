"""The contract of MFA sources."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vault_core.api import (
    Cancelled,
    MfaError,
    MfaRequest,
    MfaSourceSpec,
    QuestionRefused,
    Secret,
    SourceUnavailable,
)
from vault_testkit.calls import Listener, Outcome, call, nowhere
from vault_testkit.case import check
from vault_testkit.context import FakeContext
from vault_testkit.part import Part
from vault_testkit.purity import Purity
from vault_testkit.setup import Setup
from vault_testkit.store_under_test import load, parsed, shown

CODE_DIGITS = 6
"""AWS: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html, ``TokenCode``."""
_TYPED = "135792"
_NONE = (Secret, type(None))
_FAILURES = (SourceUnavailable, MfaError, QuestionRefused)

Ask = Callable[..., tuple[Outcome, FakeContext]]


class MfaPart(Part):
    """A part of :class:`MfaContract`."""

    kind = "mfa"

    @pytest.fixture
    def serial(self) -> str:
        """A device that the source knows under ``setup``."""
        return "arn:aws:iam::123456789012:mfa/contract"

    @pytest.fixture
    def spec(self) -> MfaSourceSpec:
        """The source's spec."""
        spec: MfaSourceSpec = load("mfa", self.entry_point)
        return spec

    @pytest.fixture
    def ask(self, spec: MfaSourceSpec, setup: Setup, tmp_path: Path, serial: str) -> Ask:
        """Asks a newly opened source once."""

        def ask(*answers: str | None, **more: object) -> tuple[Outcome, FakeContext]:
            options = parsed(spec.options, setup.options)
            context = FakeContext(tmp_path, options=options, environ=shown(setup.environ, spec), answers=answers)
            request = MfaRequest(**{"serial": serial, "profile": "contract", **more})  # type: ignore[arg-type]  # the caller's names are the request's
            source = spec.open(context)
            return call(lambda: source.code(request), "code()"), context

        return ask


class Codes(MfaPart):
    """What ``code`` returns or raises is what its docstring allows."""

    part = "Codes"

    @pytest.mark.parametrize("attempt", [1, 2, 3])
    def test_codes_have_six_digits(self, ask: Ask, attempt: int) -> None:
        outcome, _ = ask(_TYPED, attempt=attempt)
        outcome.one_of((Secret,), (), "code() for a device that the source knows")
        code = outcome.result.reveal()
        check(
            code.isdigit() and len(code) == CODE_DIGITS, f"the code has {len(code)} characters: six digits are wanted"
        )

    def test_codes_of_an_unknown_device(self, ask: Ask) -> None:
        outcome, _ = ask(_TYPED, serial="arn:aws:iam::999999999999:mfa/nobodys-device")
        outcome.one_of(_NONE, _FAILURES, "code() for a device that the source does not know")

    def test_codes_before_the_deadline(self, ask: Ask) -> None:
        for ahead in (-1.0, 0.5):
            outcome, _ = ask(_TYPED, deadline=time.monotonic() + ahead)
            outcome.one_of(_NONE, (*_FAILURES, Cancelled), f"code() with {ahead:g} s left")


class MfaAsking(MfaPart):
    """Who is asked, and who is not."""

    part = "Asking"

    def test_asking_nobody_who_may_not_be_asked(self, spec: MfaSourceSpec, ask: Ask) -> None:
        outcome, context = ask(_TYPED, may_ask=False)
        check(not context.questions, f"may_ask is False, and the source asked {context.questions}")
        if spec.interactive:
            outcome.one_of((type(None),), (), "code() of an interactive source that may not ask")

    def test_asking_only_if_it_says_so(self, spec: MfaSourceSpec, ask: Ask) -> None:
        if spec.interactive:
            pytest.skip(f"{spec.name} declares that it is interactive")
        _, context = ask(_TYPED)
        check(not context.questions, f"the source is not declared interactive, and asked {context.questions}")

    def test_asking_somebody_who_declines(self, spec: MfaSourceSpec, ask: Ask) -> None:
        if not spec.interactive:
            pytest.skip(f"{spec.name} is not interactive")
        outcome, _ = ask(None)
        outcome.one_of((), (QuestionRefused,), "code() after the person declined")

    def test_asking_where_nobody_is(self, spec: MfaSourceSpec, ask: Ask) -> None:
        if not spec.interactive:
            pytest.skip(f"{spec.name} is not interactive")
        outcome, _ = ask()
        outcome.one_of((type(None),), (SourceUnavailable,), "code() where the user cannot be asked")


class MfaSecrecy(MfaPart):
    """No code in messages, logs or objects."""

    part = "Secrecy"

    def test_secrecy_of_the_code(self, ask: Ask, tmp_path: Path) -> None:
        with Listener() as log:
            outcome, context = ask(_TYPED)
        nowhere([outcome.result.reveal_text()], context, [tmp_path], outcome.text(), *log.lines)


class MfaContract(Codes, MfaAsking, MfaSecrecy, Purity):
    """Everything that an MFA source promises, as tests; a plugin inherits them."""

    kind = "mfa"
