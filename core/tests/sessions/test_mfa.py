"""The chain of MFA sources, in process: who is asked for a code, how often, and what is done with it."""

from __future__ import annotations

import pytest

from support.scripted import SERIAL, Codes, Make
from vault_core.api import SourceUnavailable
from vault_core.errors import (
    AccessDenied,
    MfaError,
    MfaRejected,
    QuestionRefused,
    SessionError,
)
from vault_core.mfa import MfaRefused

# -- codes -------------------------------------------------------------------------------------------------------------


def test_a_person_is_asked_for_three_codes_at_most(make: Make) -> None:
    codes = Codes("111111", "222222", "333333", "444444")
    machine = make(ask=codes)
    machine.provider.outcomes = [MfaRejected("no")] * 4
    with pytest.raises(MfaRejected):
        machine.get("coded")
    assert machine.provider.codes == ["111111", "222222", "333333"]
    assert [request.attempt for request in codes.requests] == [1, 2, 3]
    assert {(request.serial, request.profile, request.may_ask) for request in codes.requests} == {
        (SERIAL, "coded", True)
    }


def test_a_code_that_is_accepted_ends_the_asking(make: Make) -> None:
    machine = make(ask=Codes("111111", "222222"))
    machine.provider.outcomes = [MfaRejected("no")]
    assert machine.get("coded") == "ASIA2"
    assert machine.provider.codes == ["111111", "222222"]


def test_a_rejected_code_is_not_tried_again_where_nobody_can_be_asked(make: Make) -> None:
    codes = Codes("111111", "222222", "333333")
    machine = make(person=False, device=codes)
    machine.provider.outcomes = [MfaRejected("no")] * 3
    with pytest.raises(MfaRejected):
        machine.get("coded")
    assert machine.provider.codes == ["111111"]
    assert [request.may_ask for request in codes.requests] == [False]


def test_the_given_code_is_used_once_and_then_a_person_is_asked(make: Make) -> None:
    codes = Codes("222222")
    machine = make(ask=codes)
    machine.provider.outcomes = [MfaRejected("no")]
    machine.get("coded", token="111111")
    assert machine.provider.codes == ["111111", "222222"]
    assert [request.attempt for request in codes.requests] == [2]


def test_the_given_code_goes_to_one_device_only(make: Make) -> None:
    codes = Codes("222222")
    machine = make(ask=codes)
    engine = machine.engine("111111")
    engine.credentials(machine.plan("coded"))
    engine.credentials(machine.plan("coded", duration=900))
    assert machine.provider.codes == ["111111", "222222"]


def test_other_failures_than_a_rejected_code_are_not_repeated(make: Make) -> None:
    machine = make(ask=Codes("111111", "222222"))
    machine.provider.outcomes = [AccessDenied("no")]
    with pytest.raises(AccessDenied):
        machine.get("coded")
    assert machine.provider.codes == ["111111"]


def test_sources_are_tried_in_order_until_one_knows_the_device(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    first, second, third = Codes(None), Codes(SourceUnavailable("its \x1b door is shut")), Codes("333333")
    machine = make(one=first, two=second, three=third, four=Codes())
    machine.get("coded")
    assert machine.provider.codes == ["333333"]
    assert capfd.readouterr().err == "awsv: MFA source 'two': its \\x1b door is shut\n"


def test_an_unavailable_person_is_not_told_of_as_a_fault(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    machine = make(ask=Codes(SourceUnavailable("there is no terminal")), device=Codes("111111"))
    machine.get("coded")
    assert capfd.readouterr().err == ""


def test_what_was_tried_is_named_where_nobody_has_a_code(make: Make) -> None:
    machine = make(person=False, ask=Codes(None), device=Codes(None), door=Codes(SourceUnavailable("it is shut")))
    with pytest.raises(MfaError) as caught:
        machine.get("coded")
    assert caught.value.message == (
        f"profile 'coded' needs an MFA code of {SERIAL}: tried ask (there is no terminal),"
        " device (does not know the device), door (it is shut)"
    )
    assert caught.value.hint == "run 'awsv ready coded' in a terminal, then repeat"
    assert machine.provider.requests == []


def test_who_declines_is_asked_by_no_other_source(make: Make) -> None:
    other = Codes("111111")
    machine = make(ask=Codes(QuestionRefused("no answer: interrupted")), other=other)
    with pytest.raises(MfaRefused, match="no MFA code was given for profile 'coded'") as caught:
        machine.get("coded")
    assert caught.value.exit_code == 6
    assert other.requests == []


def test_a_provider_gets_no_code_that_its_parameters_do_not_name(make: Make) -> None:
    machine = make(ask=Codes("111111"))
    machine.provider.always_asks = True
    with pytest.raises(SessionError, match="asks for an MFA code, and its parameters name no mfa_serial"):
        machine.get("user")
