"""The contract of MFA sources."""

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from vault_core.api import Cancelled, MfaError, MfaRequest, QuestionRefused, Secret, SourceUnavailable
from vault_testkit.calls import nowhere
from vault_testkit.case import check
from vault_testkit.purity import Purity
from vault_testkit.source import ANSWER, Ask, Asking, SourcePart

CODE_DIGITS = 6
"""AWS: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html, ``TokenCode``."""


class MfaPart(SourcePart):
    """A part of :class:`MfaContract`."""

    kind = "mfa"
    method = "code"
    typed = "135792"
    failures = (SourceUnavailable, MfaError, QuestionRefused)

    @pytest.fixture
    def serial(self) -> str:
        """A device that the source knows under ``setup``."""
        return "arn:aws:iam::123456789012:mfa/contract"

    @pytest.fixture
    def wanted(self, serial: str) -> Callable[..., MfaRequest]:
        return partial(MfaRequest, serial=serial, profile="contract")


class Codes(MfaPart):
    """What ``code`` returns or raises is what its docstring allows."""

    part = "Codes"

    @pytest.mark.parametrize("attempt", [1, 2, 3])
    def test_codes_have_six_digits(self, ask: Ask, attempt: int) -> None:
        outcome, _ = ask(self.typed, attempt=attempt)
        outcome.one_of((Secret,), (), "code() for a device that the source knows")
        code = outcome.result.reveal()
        check(
            code.isdigit() and len(code) == CODE_DIGITS, f"the code has {len(code)} characters: six digits are wanted"
        )

    def test_codes_of_an_unknown_device(self, ask: Ask) -> None:
        outcome, _ = ask(self.typed, serial="arn:aws:iam::999999999999:mfa/nobodys-device")
        outcome.one_of(ANSWER, self.failures, "code() for a device that the source does not know")

    def test_codes_before_the_deadline(self, ask: Ask) -> None:
        for ahead in (-1.0, 0.5):
            outcome, _ = ask(self.typed, deadline=time.monotonic() + ahead)
            outcome.one_of(ANSWER, (*self.failures, Cancelled), f"code() with {ahead:g} s left")


class MfaSecrecy(MfaPart):
    """No code in messages, logs or objects."""

    part = "Secrecy"

    def test_secrecy_of_the_code(self, ask: Ask, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            outcome, context = ask(self.typed)
        nowhere([outcome.result.reveal_text()], context, [tmp_path], outcome.text(), caplog.text)


class MfaContract(Codes, Asking, MfaSecrecy, Purity):
    """Everything that an MFA source promises, as tests; a plugin inherits them."""
