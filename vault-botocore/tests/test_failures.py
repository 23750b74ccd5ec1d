"""What becomes of each exception of botocore: the error, its text, and whether the call may be made again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from vault_botocore import failures
from vault_botocore.failures import Attempt, Outcome, Refusal, explain
from vault_botocore.transport import TooLong
from vault_core.api import (
    AccessDenied,
    ConfigError,
    CredentialsRefused,
    PassphraseError,
    Secret,
    SessionError,
    VaultError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain(Attempt):
    """An attempt whose refusals repeat everything."""

    def refused(self, refusal: Refusal) -> VaultError:
        return PassphraseError(f"{refusal.action}, {refusal.is_denied}: {refusal.reason}")


ATTEMPT = Plain(host="sts", caller="AKIA", renew="renew it", secrets=(Secret("123456"), Secret("s3cr3t")))


def refused(code: str, status: int = 400, message: str = "m", **headers: str) -> ClientError:
    found = {"Error": {"Code": code, "Message": message}}
    return ClientError({**found, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers}}, "AssumeRole")


@pytest.mark.parametrize("code", sorted(failures.THROTTLED))
def test_throttled_call_may_be_repeated(code: str) -> None:
    assert explain(refused(code), ATTEMPT).outcome is Outcome.THROTTLED
    assert explain(refused("Any", 429), ATTEMPT).outcome is Outcome.THROTTLED
    assert explain(refused("Any", 428), ATTEMPT).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("codes", "kind", "text"),
    [
        (failures.SIGNATURE, AccessDenied, "AWS refused AKIA: the secret key does not match the access key"),
        (failures.UNKNOWN_KEY, CredentialsRefused, "AWS refused AKIA: the access key is deleted or inactive"),
        (failures.EXPIRED, SessionError, "AWS refused AKIA: the session has expired"),
        (failures.DENIED, PassphraseError, "AssumeRole, True: m ("),
    ],
)
def test_refusal_does_not_depend_on_status(codes: set[str], kind: type, text: str) -> None:
    assert len(codes) >= 2
    for code in codes:
        for status in (400, 403, 500):
            found = explain(refused(code, status), ATTEMPT)
            assert (type(found.error), found.outcome) == (kind, Outcome.REFUSED)
            assert found.error.message.startswith(text)
            assert found.error.hint == (None if kind is PassphraseError else "renew it")


@pytest.mark.parametrize("status", [499, 500, 503])
def test_failure_of_aws_is_uncertain_from_status_500(status: int) -> None:
    found = explain(refused("Other", status), ATTEMPT)
    if status < 500:
        assert (found.outcome, found.error.message) == (Outcome.REFUSED, "AssumeRole, False: m (Other)")
    else:
        assert (found.outcome, found.error.message) == (Outcome.UNCERTAIN, f"sts failed: Other (HTTP {status})")


def test_refusal_without_text_says_so() -> None:
    assert explain(refused("", 400, ""), ATTEMPT).error.message == "AssumeRole, False: no reason given (no code)"


@pytest.mark.parametrize(
    ("error", "outcome", "kind"),
    [
        (exceptions.SSLError(endpoint_url="u", error="s3cr3t"), "REFUSED", SessionError),
        (exceptions.ProxyConnectionError(proxy_url="http://me:s3cr3t@u"), "UNREACHABLE", SessionError),
        (exceptions.EndpointConnectionError(endpoint_url="u"), "UNREACHABLE", SessionError),
        (exceptions.ConnectTimeoutError(endpoint_url="u"), "UNREACHABLE", SessionError),
        (exceptions.ReadTimeoutError(endpoint_url="u"), "UNCERTAIN", SessionError),
        (exceptions.ConnectionClosedError(endpoint_url="u"), "UNCERTAIN", SessionError),
        (exceptions.ParamValidationError(report="s3cr3t"), "REFUSED", ConfigError),
        (exceptions.NoRegionError(), "REFUSED", ConfigError),
        (exceptions.InvalidRegionError(region_name="s3cr3t"), "REFUSED", ConfigError),
        (exceptions.CredentialRetrievalError(provider="p", error_msg="s3cr3t"), "UNREADABLE", SessionError),
        (ValueError("s3cr3t"), "UNREADABLE", SessionError),
        (TooLong("too long"), "UNREADABLE", SessionError),
        (ConfigError("ours"), "REFUSED", ConfigError),
        (ImportError(name="botocore.x"), "REFUSED", SessionError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exception_becomes_error_without_text_of_sdk(error: Exception, outcome: str, kind: type) -> None:
    found = explain(error, ATTEMPT)
    assert (found.outcome.name, type(found.error)) == (outcome, kind)
    assert "s3cr3t" not in f"{found.error.message} {found.error.hint}"


@pytest.mark.parametrize("outcome", Outcome)
def test_call_may_have_been_carried_out_if_aws_did_not_refuse_it(outcome: Outcome) -> None:
    assert outcome.is_open is (outcome.name in ("UNCERTAIN", "UNREADABLE"))


def test_unexpected_response_is_named_by_kind_and_place() -> None:
    def raises() -> None:
        raise ValueError("s3cr3t")

    with pytest.raises(ValueError) as caught:
        raises()
    message = explain(caught.value, ATTEMPT).error.message
    assert message.startswith("unexpected response from sts (ValueError at test_failures.py:")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (298, "does not match"),
        (-298, "does not match"),
        (310, "5 minutes behind"),
        (-310, "5 minutes ahead of"),
        (119 * 60, "119 minutes behind"),
        (120 * 60 + 9, "2 hours behind"),
        (47 * 3600, "47 hours behind"),
        (48 * 3600 + 9, "2 days behind"),
    ],
)
@pytest.mark.parametrize("hours", [0, 5])
def test_clock_is_reported_from_five_minutes_on(seconds: int, text: str, hours: int) -> None:
    date = datetime.now(timezone(timedelta(hours=hours))) + timedelta(seconds=seconds)
    found = explain(refused("SignatureDoesNotMatch", 403, date=format_datetime(date)), ATTEMPT)
    assert text in found.error.message


def test_date_that_cannot_be_read_is_ignored() -> None:
    found = explain(refused("SignatureDoesNotMatch", 403, date="s3cr3t"), ATTEMPT)
    assert found.error.message == "AWS refused AKIA: the secret key does not match the access key"


def test_secrets_are_masked_but_a_code_not_within_a_longer_number() -> None:
    text = ATTEMPT.clean("a 123456, 0123456 1234567 x123456y 1s3cr3t2\n\x1b[1m\u202eb\tc")
    assert text == "a ***, 0123456 1234567 x***y 1***2 [1m b c"


@pytest.mark.parametrize(("length", "shown"), [(500, 500), (501, 501), (9000, 501)])
def test_message_is_cut(length: int, shown: int) -> None:
    text = ATTEMPT.clean("x" * length)
    assert (len(text), text.endswith("…")) == (shown, length > 500)


def test_code_is_cleaned_as_well() -> None:
    for status in (400, 500):
        assert "s3cr3t" not in explain(refused("s3cr3t", status), ATTEMPT).error.message
