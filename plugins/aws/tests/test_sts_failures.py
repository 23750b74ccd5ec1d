"""What can go wrong at STS: which error, what it says, and how often AWS was asked."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest

from support import recording_proxy as fault
from support.busy import seconds
from support.recording_proxy import Fault, RecordingProxy
from vault_core.api import (
    AccessDenied,
    Cancelled,
    ConfigError,
    CredentialsRefused,
    MfaRejected,
    SessionError,
    VaultError,
)
from vault_plugin_aws import call, sts

pytestmark = pytest.mark.usefixtures("quick")
MFA = "arn:aws:iam::123456789012:mfa/phone"


def failure(aws: Any, **keys: str) -> VaultError:
    with pytest.raises(VaultError) as caught:
        aws.assume(**keys)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind", "says", "hint"),
    [
        (fault.deny(), AccessDenied, "is not authorized to perform this", "trust policy"),
        (fault.deny_mfa(), MfaRejected, f"did not accept the MFA code for {MFA}", "next code"),
        (fault.deny_mfa_serial(), AccessDenied, f"does not accept codes of {MFA}", "mfa_serial"),
        (fault.unknown_key(), CredentialsRefused, "deleted or inactive", "awsv add"),
        (fault.bad_signature(), AccessDenied, "the secret key does not match", "awsv add"),
        (fault.clock_skew(7200), SessionError, "clock is 2 hours behind AWS's", "set the clock"),
        (fault.clock_skew(-600), SessionError, "clock is 10 minutes ahead of AWS's", "set the clock"),
        (fault.error(400, "RequestExpired", "late", date_shift=9e5), SessionError, "10 days behind", "set the clock"),
        (fault.expired_token(), SessionError, "has expired", "awsv add"),
        (fault.error(400, "RegionDisabledException", "off"), SessionError, "off", "activate STS"),
        (
            fault.error(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration"),
            SessionError,
            "exceeds the MaxSessionDuration",
            "lower duration_seconds",
        ),
        (fault.error(400, "MalformedInput", "odd"), SessionError, "odd (MalformedInput)", ""),
        (fault.server_error(), SessionError, "failed: ServiceUnavailable (HTTP 503)", "repeat"),
        (fault.garbage(b"<html>", 502), SessionError, "(HTTP 502)", "repeat"),
        (fault.garbage(), SessionError, "unexpected response from", "endpoint URL"),
        (fault.garbage(b""), SessionError, "unexpected response from", "endpoint URL"),
        (fault.garbage(b"{}", 403), SessionError, "unexpected response from", "endpoint URL"),
        (fault.garbage(b"<AssumeRoleResponse/>"), SessionError, "unexpected response from", "endpoint URL"),
        (Fault(302, b"", {"Location": "http://portal.test/"}), SessionError, "unexpected response from", "proxy"),
        (fault.drop(), SessionError, "broke the connection", "network"),
        (fault.hang(), SessionError, "does not answer in time", "network"),
    ],
)
def test_with_a_code_each_failure_is_one_call(
    aws: Any, front: RecordingProxy, expect: Any, answer: Fault, kind: type[VaultError], says: str, hint: str
) -> None:
    expect(answer)
    error = failure(aws, mfa_serial=MFA)
    assert type(error) is kind
    assert says in error.message
    assert hint in (error.hint or "")
    assert front.actions == ["AssumeRole"]


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        (fault.deny(), 1),
        (fault.unknown_key(), 1),
        (fault.bad_signature(), 1),
        (fault.clock_skew(7200), 1),
        (fault.expired_token(), 1),
        (fault.garbage(), 1),
        (fault.throttle(), 3),
        (fault.server_error(500), 3),
        (fault.drop(), 3),
        (fault.hang(), 3),
    ],
)
def test_what_is_denied_is_never_repeated(
    aws: Any, front: RecordingProxy, expect: Any, answer: Fault, calls: int
) -> None:
    expect(answer)
    failure(aws)
    assert front.actions == ["AssumeRole"] * calls


def test_a_session_that_is_unknown_to_aws_is_cleared(aws: Any, front: RecordingProxy) -> None:
    aws.source = aws.assume()
    front.on("AssumeRole", fault.unknown_key())
    assert "awsv clear" in (failure(aws).hint or "")
    front.forget()
    front.on("AssumeRole", fault.bad_signature())
    assert "awsv clear" in (failure(aws).hint or "")


def test_a_denied_session_token_names_its_key(aws: Any, front: RecordingProxy) -> None:
    front.on("GetSessionToken", fault.deny("Cannot call GetSessionToken with session credentials"))
    with pytest.raises(AccessDenied) as caught:
        aws.issue()
    assert f"a session token to {aws.source.access_key_id}: Cannot call" in caught.value.message


def test_a_role_without_mfa_serial_is_told_about_it(aws: Any, front: RecordingProxy) -> None:
    front.on("AssumeRole", fault.deny())
    assert "mfa_serial" in (failure(aws).hint or "")
    assert "mfa_serial" not in (failure(aws, mfa_serial=MFA).hint or "")


def test_an_answer_cannot_steer_the_terminal_or_flood_it(aws: Any, front: RecordingProxy) -> None:
    front.on("AssumeRole", fault.deny("first\nsecond \u009b31m\u202e red " + "x" * 10_000))
    message = failure(aws).message
    assert "first second 31m red xxx" in message
    assert message.isprintable()
    assert len(message) < 700


def answer(*, secret: str = "s", expires: str = "2040-01-01T00:00:00Z") -> Fault:
    body = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        f"<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>t</SessionToken>"
        f"<Expiration>{expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    return fault.garbage(body.encode())


def test_a_session_that_has_expired_is_none(aws: Any, front: RecordingProxy) -> None:
    front.on("AssumeRole", answer(expires="2020-01-01T00:00:00Z"))
    assert "a session that has expired" in failure(aws).message


@pytest.mark.parametrize("secret", ["", "é", "a\nb"])
def test_credentials_that_are_none(aws: Any, front: RecordingProxy, secret: str) -> None:
    front.on("AssumeRole", answer(), times=1)
    assert aws.assume().access_key_id == "ASIA"
    front.on("AssumeRole", answer(secret=secret))
    assert "unexpected response from" in failure(aws).message


def test_nothing_listens(aws: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = failure(aws, endpoint_url=f"http://127.0.0.1:{port}")
    assert error.message == f"127.0.0.1:{port} cannot be reached"


def test_a_name_that_is_none(aws: Any) -> None:
    error = failure(aws, endpoint_url="https://sts.nowhere.invalid")
    assert error.message == "sts.nowhere.invalid cannot be reached"
    assert type(error) is SessionError


def test_not_tls(aws: Any, front: RecordingProxy) -> None:
    error = failure(aws, endpoint_url=front.url.replace("http:", "https:"))
    assert "certificate" in error.message
    assert front.calls == []


def test_no_such_ca_bundle_is_said_before_a_code_is_asked(aws: Any, front: RecordingProxy) -> None:
    with pytest.raises(ConfigError, match=r"no such CA bundle: /nowhere/ca\.pem"):
        aws.assume(mfa_serial=MFA, ca_bundle="/nowhere/ca.pem")
    assert (aws.asked, front.calls) == (0, [])


def test_the_deadline_holds_while_the_network_does_not_answer(aws: Any, front: RecordingProxy) -> None:
    front.on("AssumeRole", fault.trickle(0.1))
    start = time.monotonic()
    with pytest.raises(SessionError, match="did not answer in time"):
        aws.issue(role_arn=aws.role, seconds=0.8)
    assert time.monotonic() - start < seconds(5)  # the whole answer would take half a minute at least


def test_the_time_for_the_code_is_not_the_network_s(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is put on an hour while somebody looks for the code: nobody waits here."""
    answer, late = aws._answer, [0.0]

    def slowly() -> object:
        late[0] = 3600.0
        return answer()

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late[0], time_ns=time.time_ns)
    for module in (sts, call):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(aws, "_answer", slowly)
    assert aws.issue(mfa_serial=MFA).session_token
    assert late == [3600.0]


def test_cancelled_while_waiting(aws: Any, front: RecordingProxy) -> None:
    front.on("AssumeRole", fault.slow(30))
    start = time.monotonic()

    def check() -> None:
        if time.monotonic() - start > 0.2:
            raise Cancelled("interrupted")

    aws.check = check
    with pytest.raises(Cancelled):
        aws.assume()
    assert time.monotonic() - start < seconds(5)


def test_who_gave_up_asks_no_more(aws: Any, front: RecordingProxy) -> None:
    """The thread that is left behind does not go on to its second attempt."""
    front.on("AssumeRole", fault.hang(0.4))

    def check() -> None:
        if front.calls:
            raise Cancelled("interrupted")

    aws.check = check
    with pytest.raises(Cancelled):
        aws.assume()
    time.sleep(0.8)
    assert front.actions == ["AssumeRole"]
