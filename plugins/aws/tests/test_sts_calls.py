"""What goes over the wire to a real moto, and what comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.moto import Key, MotoServer
from support.recording_proxy import RecordingProxy, deny_mfa, server_error, throttle
from vault_core.api import Credentials, MfaRejected, Secret, SessionError


def about(expires: datetime | None, seconds: float) -> bool:
    assert expires is not None
    assert expires.tzinfo is UTC
    return abs((expires - datetime.now(UTC)).total_seconds() - seconds) < 30


def identity(moto: MotoServer, found: Credentials) -> str:
    """Who the credentials are, as AWS sees them."""
    assert found.session_token
    client = moto.client("sts", Key(found.access_key_id, found.secret_access_key.reveal_text()))
    arn: str = client.get_caller_identity()["Arn"]
    return arn


def test_get_session_token(aws: Any, front: RecordingProxy, moto: MotoServer) -> None:
    found = aws.issue(duration_seconds="1800", region="eu-west-1")
    [call] = front.calls
    assert (call.action, call.service, call.region) == ("GetSessionToken", "sts", "eu-west-1")
    assert call.access_key_id == moto.alice.access_key_id
    assert call.parameters == {"DurationSeconds": "1800", "Version": "2011-06-15"}
    assert about(found.expires, 1800)
    assert found.session_token


def test_assume_role(aws: Any, front: RecordingProxy, moto: MotoServer) -> None:
    found = aws.assume(role_session_name="alice@laptop")
    [call] = front.calls
    assert (call.action, call.access_key_id) == ("AssumeRole", moto.alice.access_key_id)
    assert call.region == "us-east-1"
    assert about(found.expires, 3600)
    assert identity(moto, found) == "arn:aws:sts::123456789012:assumed-role/RoleA/alice@laptop"


def test_everything_of_a_role_is_on_the_wire(aws: Any, front: RecordingProxy) -> None:
    aws.assume(
        role_session_name="me",
        external_id="partner:7",
        duration_seconds="900",
        source_identity="alice",
        session_tags="team=core,stage=prod",
        transitive_session_tags="team",
        mfa_serial="arn:aws:iam::123456789012:mfa/phone",
    )
    [call] = front.calls
    assert call.parameters == {
        "Version": "2011-06-15",
        "RoleArn": aws.role,
        "RoleSessionName": "me",
        "ExternalId": "partner:7",
        "DurationSeconds": "900",
        "SourceIdentity": "alice",
        "Tags.member.1.Key": "team",
        "Tags.member.1.Value": "core",
        "Tags.member.2.Key": "stage",
        "Tags.member.2.Value": "prod",
        "TransitiveTagKeys.member.1": "team",
        "SerialNumber": "arn:aws:iam::123456789012:mfa/phone",
        "TokenCode": aws.code,
    }


def test_a_role_behind_a_role(aws: Any, front: RecordingProxy, moto: MotoServer) -> None:
    first = aws.assume()
    aws.source = first
    found = aws.issue(role_arn=moto.role_b)
    call = front.calls[-1]
    assert (call.access_key_id, call.session_token) == (first.access_key_id, first.session_token.reveal_text())
    assert identity(moto, found).startswith("arn:aws:sts::123456789012:assumed-role/RoleB/awsv-")


def test_session_names_of_our_own_differ(aws: Any, front: RecordingProxy) -> None:
    aws.assume()
    aws.assume()
    one, other = (call.parameters["RoleSessionName"] for call in front.calls)
    assert one != other
    assert len(one) <= 64


def test_mfa_is_asked_once(aws: Any, front: RecordingProxy) -> None:
    aws.code = " 918 273\n"
    aws.issue(mfa_serial="GAHTPHONE")
    [call] = front.calls
    assert (call.parameters["SerialNumber"], call.parameters["TokenCode"]) == ("GAHTPHONE", "918273")
    assert aws.asked == 1


def test_nobody_is_asked_without_mfa(aws: Any) -> None:
    aws.assume()
    assert aws.asked == 0


@pytest.mark.parametrize("code", ["12345", "1234567", "abcdef", "١٢٣٤٥٦"])
def test_what_is_no_code_is_not_sent(aws: Any, front: RecordingProxy, code: str) -> None:
    aws.code = code
    with pytest.raises(MfaRejected) as caught:
        aws.issue(mfa_serial="GAHTPHONE")
    assert "six digits" in caught.value.message
    assert code not in caught.value.message
    assert front.calls == []


def test_a_rejected_code_is_one_call(aws: Any, front: RecordingProxy) -> None:
    front.on("GetSessionToken", deny_mfa())
    with pytest.raises(MfaRejected, match="GAHTPHONE"):
        aws.issue(mfa_serial="GAHTPHONE")
    assert front.actions == ["GetSessionToken"]


@pytest.mark.usefixtures("quick")
def test_throttling_passes(aws: Any, front: RecordingProxy) -> None:
    front.on("AssumeRole", throttle(), times=2)
    assert aws.assume(mfa_serial="GAHTPHONE").session_token
    assert front.actions == ["AssumeRole"] * 3
    assert aws.asked == 1


@pytest.mark.usefixtures("quick")
def test_a_trouble_of_aws_passes_without_mfa(aws: Any, front: RecordingProxy) -> None:
    front.on("AssumeRole", server_error(), times=2)
    assert aws.assume().session_token
    assert front.actions == ["AssumeRole"] * 3


@pytest.mark.usefixtures("quick")
def test_a_code_is_not_sent_twice_to_a_service_that_may_have_seen_it(aws: Any, front: RecordingProxy) -> None:
    front.on("AssumeRole", server_error(), times=1)
    with pytest.raises(SessionError, match="503"):
        aws.assume(mfa_serial="GAHTPHONE")
    assert front.actions == ["AssumeRole"]


def test_a_dozen_at_a_time(aws: Any, front: RecordingProxy) -> None:
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: aws.assume(), range(12)))
    assert front.actions == ["AssumeRole"] * 12
    assert len({session.access_key_id for session in found}) == 12


def test_the_key_that_signs_is_the_given_one(aws: Any, front: RecordingProxy, moto: MotoServer) -> None:
    other = moto.create_key("alice")
    aws.source = Credentials(
        access_key_id=other.access_key_id,
        secret_access_key=Secret(other.secret_access_key),
        session_token=Secret("token"),
        expires=datetime.now(UTC) + timedelta(hours=1),
    )
    aws.assume()
    [call] = front.calls
    assert (call.access_key_id, call.session_token) == (other.access_key_id, "token")
