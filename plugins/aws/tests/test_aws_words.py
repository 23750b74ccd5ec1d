"""What is made of an answer of STS without asking it: codes, clocks, limits, and which calls may be made again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from vault_core.api import AccessDenied, ConfigError, MfaRejected, Profile, Secret, SessionError
from vault_plugin_aws import client, failures, sts
from vault_plugin_aws.failures import Attempt, Failure, Repeat, explain
from vault_plugin_aws.parameters import parameters
from vault_testkit.context import FakeContext

ROLE = "arn:aws:iam::123456789012:role/A"


def attempt(**changes: Any) -> Attempt:
    fields: dict[str, Any] = {"host": "sts", "key_id": "AKIA", "session": False, "role": ROLE, "mfa_serial": None}
    return Attempt(**{**fields, "secrets": (Secret("123456"), Secret("s3cr3t")), **changes})


def refused(code: str, status: int = 400, message: str = "m", **headers: str) -> ClientError:
    found = {"Error": {"Code": code, "Message": message}}
    return ClientError({**found, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers}}, "AssumeRole")


@pytest.mark.parametrize("code", sorted(failures.THROTTLED))
def test_what_is_throttled_is_asked_again_in_any_case(code: str) -> None:
    assert explain(refused(code), attempt()).repeat is Repeat.ALWAYS
    assert explain(refused("Any", 429), attempt()).repeat is Repeat.ALWAYS
    assert explain(refused("Any", 428), attempt()).repeat is Repeat.NEVER


@pytest.mark.parametrize(
    ("codes", "kind", "says"),
    [
        (failures.SIGNATURE, AccessDenied, "does not accept the signature"),
        (failures.UNKNOWN_KEY, AccessDenied, "does not know the access key"),
        (failures.EXPIRED, SessionError, "has expired"),
        (failures.DENIED, AccessDenied, "AWS refused to assume"),
    ],
)
def test_what_is_refused_is_not_asked_again_whatever_its_status(codes: set[str], kind: type, says: str) -> None:
    assert len(codes) >= 2
    for code in codes:
        for status in (400, 403, 500):
            found = explain(refused(code, status), attempt())
            assert (type(found.error), found.repeat) == (kind, Repeat.NEVER)
            assert says in found.error.message


@pytest.mark.parametrize(("status", "repeat"), [(499, "NEVER"), (500, "WITHOUT_CODE"), (503, "WITHOUT_CODE")])
def test_a_trouble_of_aws_is_one_from_500_on(status: int, repeat: str) -> None:
    assert explain(refused("Other", status), attempt()).repeat.name == repeat


@pytest.mark.parametrize(
    ("error", "repeat"),
    [
        (exceptions.SSLError(endpoint_url="u", error="e"), "NEVER"),
        (exceptions.ProxyConnectionError(proxy_url="u"), "ALWAYS"),
        (exceptions.EndpointConnectionError(endpoint_url="u"), "ALWAYS"),
        (exceptions.ConnectTimeoutError(endpoint_url="u"), "ALWAYS"),
        (exceptions.ReadTimeoutError(endpoint_url="u"), "WITHOUT_CODE"),
        (exceptions.ConnectionClosedError(endpoint_url="u"), "WITHOUT_CODE"),
        (exceptions.ParamValidationError(report="s3cr3t"), "NEVER"),
        (ValueError("s3cr3t"), "NEVER"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_aws_may_have_seen_is_not_sent_again_with_a_code(error: Exception, repeat: str) -> None:
    found = explain(error, attempt())
    assert found.repeat.name == repeat
    assert "s3cr3t" not in f"{found.error.message} {found.error.hint}"


@pytest.mark.parametrize("has_code", [True, False])
@pytest.mark.parametrize("repeat", list(Repeat))
def test_how_often_a_call_is_made(repeat: Repeat, has_code: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "PAUSES", (0.0, 0.0))
    from vault_core.api import Credentials

    source = Credentials(access_key_id="AKIA", secret_access_key=Secret("s"))
    call = sts._Call({"action": "AssumeRole"}, source, Secret("123456") if has_code else None, {})
    made = []
    monkeypatch.setattr(call, "_once", lambda _: (made.append(1), Failure(SessionError("x"), repeat))[1])
    pauses: list[float] = []
    monkeypatch.setattr(call.over, "wait", lambda pause: pauses.append(pause) or False)
    call._repeat(None)
    monkeypatch.undo()
    monkeypatch.setattr(call, "_once", lambda _: (made.append(1), Failure(SessionError("x"), repeat))[1])
    again = repeat is Repeat.ALWAYS or (repeat is Repeat.WITHOUT_CODE and not has_code)
    assert len(made) == (3 if again else 1)
    assert pauses == ([0.0, 0.0] if again else [])
    made.clear()
    call.over.set()
    call._repeat(None)
    assert len(made) == 1


@pytest.mark.parametrize(("serial", "hint"), [(None, "needs mfa_serial"), ("arn:mfa", "the caller's policies")])
def test_a_role_that_is_denied(serial: str | None, hint: str) -> None:
    found = explain(refused("AccessDenied", 403, ""), attempt(mfa_serial=serial))
    assert found.error.message == f"AWS refused to assume {ROLE}: access denied"
    assert (found.error.hint or "").endswith(hint if serial else f"{hint} in the profile")


def test_a_rejected_code_and_a_device_of_somebody_else_are_two_things() -> None:
    words = "MultiFactorAuthentication failed"
    found = explain(refused("AccessDenied", 403, f"{words} with invalid MFA one time pass code."), attempt())
    assert type(found.error) is MfaRejected
    found = explain(refused("AccessDenied", 403, f"{words}, unable to validate serial number"), attempt())
    assert (type(found.error), found.error.hint) == (AccessDenied, "correct mfa_serial")


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (298, "signature"),
        (-298, "signature"),
        (310, "5 minutes behind"),
        (-310, "5 minutes ahead of"),
        (119 * 60, "119 minutes behind"),
        (120 * 60 + 9, "2 hours behind"),
        (47 * 3600, "47 hours behind"),
        (48 * 3600 + 9, "2 days behind"),
    ],
)
@pytest.mark.parametrize("hours", [0, 5])
def test_a_clock_is_wrong_from_five_minutes_on(seconds: int, says: str, hours: int) -> None:
    date = datetime.now(timezone(timedelta(hours=hours))) + timedelta(seconds=seconds)
    found = explain(refused("SignatureDoesNotMatch", 403, date=format_datetime(date)), attempt())
    assert says in found.error.message


def test_a_secret_is_starred_out_but_not_within_a_longer_number() -> None:
    text = attempt().clean("a 123456, 0123456 1234567 x123456y s3cr3t\n\x1b[1m\u202eb\tc")
    assert text == "a ***, 0123456 1234567 x***y *** [1m b c"


@pytest.mark.parametrize(("length", "shown"), [(500, 500), (501, 501), (9000, 501)])
def test_a_message_is_bounded(length: int, shown: int) -> None:
    text = attempt().clean("x" * length)
    assert (len(text), text.endswith("…")) == (shown, length > 500)


def test_only_a_key_that_is_stored_is_to_be_stored_again() -> None:
    for code in ("SignatureDoesNotMatch", "InvalidClientTokenId"):
        assert "awsv add" in (explain(refused(code), attempt()).error.hint or "")
        assert "awsv clear" in (explain(refused(code), attempt(session=True)).error.hint or "")


# -- the answer --------------------------------------------------------------------------------------------------------


def answer(**changes: Any) -> dict[str, Any]:
    expires = datetime.now(UTC) + timedelta(hours=1)
    fields = {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expires}
    return {"Credentials": {**fields, **changes}}


def test_the_answer_is_taken_as_it_is() -> None:
    found = sts._credentials(answer())
    assert (found.access_key_id, found.secret_access_key, found.session_token) == ("ASIA", Secret("s"), Secret("t"))


@pytest.mark.parametrize("name", ["AccessKeyId", "SecretAccessKey", "SessionToken"])
@pytest.mark.parametrize("text", ["", "a\nb", "\u00e9", 1, None])
def test_what_is_no_text_of_a_key_is_none(name: str, text: Any) -> None:
    with pytest.raises(ValueError, match="empty or unprintable"):
        sts._credentials(answer(**{name: text}))


def test_a_session_that_ends_now_is_over() -> None:
    for late in (timedelta(0), timedelta(days=1)):
        with pytest.raises(SessionError, match="has expired"):
            sts._credentials(answer(Expiration=datetime.now(UTC) - late))


@pytest.mark.parametrize(
    ("account", "arn"),
    [
        ("12345678901", "arn:aws:iam::1:user/a"),
        ("1234567890123", "arn:aws:iam::1:user/a"),
        ("12345678901x", "arn:aws:iam::1:user/a"),
        ("123456789012", "user/a"),
        ("123456789012", "arn:aws:iam::1:user/a\n"),
        ("", ""),
    ],
)
def test_what_is_no_identity(account: str, arn: str) -> None:
    with pytest.raises(ValueError, match="no identity"):
        sts._identity({"Account": account, "Arn": arn})
    assert sts._identity({"Account": "123456789012", "Arn": "arn:x"}).account == "123456789012"


# -- the way -----------------------------------------------------------------------------------------------------------


def test_no_session_travels_in_the_clear_unless_it_stays_here() -> None:
    for endpoint in ("http://sts.example.test", "http://192.0.2.7"):
        with pytest.raises(ConfigError):
            client.check({"endpoint_url": endpoint}, {})
    for endpoint in ("https://sts.example.test", "http://127.0.0.1:1"):
        client.check({"endpoint_url": endpoint}, {})
    client.check({"endpoint_url": "http://localstack:4566"}, {"AWS_VAULT_PLAIN_HTTP": "localstack"})


def test_without_a_source_nothing_is_asked(tmp_path: Path) -> None:
    from vault_core.api import SessionRequest

    request = SessionRequest(parameters={"action": "GetSessionToken"}, source=None, mfa=lambda: Secret(""), deadline=0)
    provider = sts.StsProvider(FakeContext(tmp_path))
    for ask in (provider.issue, provider.identify):
        with pytest.raises(SessionError, match="needs a key to work with"):
            ask(request)


# -- the limits of STS -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("role_arn", f"{ROLE}{'x' * 575}", f"{ROLE}{'x' * 576}"),
        ("role_session_name", "x" * 2, "x"),
        ("role_session_name", "x" * 64, "x" * 65),
        ("source_identity", "x" * 64, "x" * 65),
        ("external_id", "x" * 2, "x"),
        ("external_id", "x" * 1224, "x" * 1225),
        ("mfa_serial", "x" * 9, "x" * 8),
        ("mfa_serial", "x" * 256, "x" * 257),
        ("duration_seconds", "900", "899"),
        ("duration_seconds", "43200", "43201"),
        ("region", "x" * 63, "x" * 64),
        ("region", "eu-1", "eu-1-"),
        ("session_tags", "a" * 128 + "=" + "b" * 256, "a" * 129 + "=b"),
        ("session_tags", ",".join(f"k{n}=" for n in range(50)), ",".join(f"k{n}=" for n in range(51))),
        ("endpoint_url", "https://sts.example.test/x", "https://sts.example.test/?x"),
        ("endpoint_url", "https://sts.example.test:1", "https://me@sts.example.test"),
        ("sts_regional_endpoints", "legacy", "Legacy"),
    ],
)
def test_the_last_value_that_is_good_and_the_first_that_is_not(key: str, good: str, bad: str) -> None:
    parameters({}, Profile(name="p", keys={"role_arn": ROLE, key: good}))
    with pytest.raises(ConfigError, match=f": {key} is not "):
        parameters({}, Profile(name="p", keys={"role_arn": ROLE, key: bad}))
