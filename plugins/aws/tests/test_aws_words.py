"""Which errors come from STS's refusals, which calls are repeated, and the limits of STS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vault_botocore.failures import Failure, Outcome, Refusal
from vault_core.api import AccessDenied, ConfigError, Credentials, MfaRejected, Profile, Secret, SessionError
from vault_plugin_aws import client, sts
from vault_plugin_aws.call import Call
from vault_plugin_aws.failures import StsAttempt
from vault_plugin_aws.parameters import parameters
from vault_testkit.context import FakeContext

ROLE = "arn:aws:iam::123456789012:role/A"


def denied(message: str, *, mfa_serial: str | None = None) -> SessionError:
    """The error for a denied AssumeRole."""
    attempt = StsAttempt(host="sts", caller="AKIA", renew="", role=ROLE, mfa_serial=mfa_serial)
    return attempt.refused(Refusal("AssumeRole", "AccessDenied", message, 403))


@pytest.mark.parametrize("has_code", [True, False])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_call_is_repeated_unless_aws_refused_it_or_has_the_code(
    outcome: Outcome, has_code: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sts, "PAUSES", (0.0, 0.0))
    source = Credentials(access_key_id="AKIA", secret_access_key=Secret("s"))
    call = sts._call({"action": "AssumeRole"}, source, Secret("123456") if has_code else None, {})
    made = []
    monkeypatch.setattr(call, "_once", lambda: (made.append(1), Failure(SessionError("x"), outcome))[1])
    with monkeypatch.context() as patch:
        pauses: list[float] = []
        patch.setattr(call._over, "wait", lambda pause: pauses.append(pause) or False)
        Call._attempts(call)
    again = outcome.name in ("THROTTLED", "UNREACHABLE") or (outcome is Outcome.UNCERTAIN and not has_code)
    assert len(made) == (3 if again else 1)
    assert pauses == ([0.0, 0.0] if again else [])
    made.clear()
    call._over.set()
    Call._attempts(call)
    assert len(made) == 1


@pytest.mark.parametrize(("serial", "hint"), [(None, "needs mfa_serial in the profile"), ("arn", "caller's policies")])
def test_denied_role_names_missing_mfa_serial(serial: str | None, hint: str) -> None:
    error = denied("", mfa_serial=serial)
    assert error.message == f"AWS refused to assume {ROLE}: access denied"
    assert (error.hint or "").endswith(hint)


def test_rejected_code_and_foreign_device_are_different_errors() -> None:
    failed = "MultiFactorAuthentication failed"
    assert type(denied(f"{failed} with invalid MFA one time pass code.")) is MfaRejected
    error = denied(f"{failed}, unable to validate serial number")
    assert (type(error), error.hint) == (AccessDenied, "correct mfa_serial")


# -- responses --------------------------------------------------------------------------------------------------------


def answer(**changes: Any) -> dict[str, Any]:
    expires = datetime.now(UTC) + timedelta(hours=1)
    fields = {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expires}
    return {"Credentials": {**fields, **changes}}


def test_response_becomes_credentials() -> None:
    found = sts._credentials(answer())
    assert (found.access_key_id, found.secret_access_key, found.session_token) == ("ASIA", Secret("s"), Secret("t"))


@pytest.mark.parametrize("name", ["AccessKeyId", "SecretAccessKey", "SessionToken"])
@pytest.mark.parametrize("text", ["", "a\nb", "\u00e9", 1, None])
def test_credentials_of_other_characters_are_refused(name: str, text: Any) -> None:
    with pytest.raises(ValueError, match="empty or unprintable"):
        sts._credentials(answer(**{name: text}))


def test_session_that_ends_now_is_refused() -> None:
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
def test_malformed_identity_is_refused(account: str, arn: str) -> None:
    with pytest.raises(ValueError, match="not an identity"):
        sts._identity({"Account": account, "Arn": arn})
    assert sts._identity({"Account": "123456789012", "Arn": "arn:x"}).account == "123456789012"


# -- before a call -----------------------------------------------------------------------------------------------------


def test_endpoint_without_tls_is_refused_before_a_question() -> None:
    for endpoint in ("http://sts.example.test", "http://192.0.2.7"):
        with pytest.raises(ConfigError):
            client.check({"endpoint_url": endpoint}, {})
    for endpoint in ("https://sts.example.test", "http://127.0.0.1:1"):
        client.check({"endpoint_url": endpoint}, {})
    client.check({"endpoint_url": "http://localstack:4566"}, {"AWS_VAULT_PLAIN_HTTP": "localstack"})


def test_call_without_source_is_refused(tmp_path: Path) -> None:
    from vault_core.api import SessionRequest

    request = SessionRequest(parameters={"action": "GetSessionToken"}, source=None, mfa=lambda: Secret(""), deadline=0)
    provider = sts.StsProvider(FakeContext(tmp_path))
    for ask in (provider.issue, provider.identify):
        with pytest.raises(SessionError, match="STS needs a key"):
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
def test_limits_of_each_key(key: str, good: str, bad: str) -> None:
    parameters({}, Profile(name="p", keys={"role_arn": ROLE, key: good}))
    with pytest.raises(ConfigError, match=f": {key} is not "):
        parameters({}, Profile(name="p", keys={"role_arn": ROLE, key: bad}))
