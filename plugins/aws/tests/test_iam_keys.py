"""The access keys of IAM users, at a real moto behind the recording front."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from support.moto import Key, MotoServer
from support.recording_proxy import (
    Fault,
    RecordingProxy,
    clock_skew,
    deny,
    drop,
    error,
    garbage,
    server_error,
    throttle,
    unknown_key,
)
from vault_core.api import (
    AccessDenied,
    Credentials,
    CredentialsRefused,
    KeyRequest,
    KeyUse,
    ManagesKeys,
    NoSuchKey,
    OutcomeUnknown,
    Profile,
    Secret,
    SessionError,
    TooManyKeys,
    VaultError,
)
from vault_plugin_aws import client, iam
from vault_plugin_aws.plugin import vault_session_providers
from vault_testkit.context import FakeContext

SPEC = next(spec for spec in vault_session_providers() if spec.name == "sts")
CHANGES = {
    "CreateAccessKey": lambda keys, request, key: keys.create_key(request),
    "UpdateAccessKey": lambda keys, request, key: keys.set_active(request, key, active=False),
    "DeleteAccessKey": lambda keys, request, key: keys.delete_key(request, key),
}


@pytest.fixture
def bob(moto: MotoServer) -> Iterator[Key]:
    """A user of one test, with one key."""
    key = moto.create_user("bob")
    yield key
    admin = moto.client("iam")
    for found in admin.list_access_keys(UserName="bob")["AccessKeyMetadata"]:
        admin.delete_access_key(UserName="bob", AccessKeyId=found["AccessKeyId"])
    for name in admin.list_user_policies(UserName="bob")["PolicyNames"]:
        admin.delete_user_policy(UserName="bob", PolicyName=name)
    for policy in admin.list_attached_user_policies(UserName="bob")["AttachedPolicies"]:
        admin.detach_user_policy(UserName="bob", PolicyArn=policy["PolicyArn"])
    admin.delete_user(UserName="bob")


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ManagesKeys:
    monkeypatch.setattr(iam, "PAUSES", (0.01, 0.01, 0.01))
    provider = SPEC.open(FakeContext(tmp_path))
    assert isinstance(provider, ManagesKeys)
    return provider


@pytest.fixture
def request_of(front: RecordingProxy, bob: Key) -> Callable[..., KeyRequest]:
    """A call signed by bob's key."""

    def made(user: str | None = None, *, seconds: float = 30, **profile: str) -> KeyRequest:
        keys = {"endpoint_url": front.url, **profile}
        return KeyRequest(
            parameters=SPEC.parameters({}, Profile(name="work", keys=keys)),
            source=Credentials(access_key_id=bob.access_key_id, secret_access_key=Secret(bob.secret_access_key)),
            deadline=time.monotonic() + seconds,
            user=user,
        )

    return made


def test_keys_are_listed_with_their_last_use_the_oldest_first(
    keys: ManagesKeys, request_of: Any, bob: Key, moto: MotoServer
) -> None:
    second = moto.create_key("bob")
    found = keys.list_keys(request_of())
    assert [(key.id, key.user, key.active) for key in found] == [
        (bob.access_key_id, "bob", True),
        (second.access_key_id, "bob", True),
    ]
    assert found[0].created <= found[1].created
    assert found[0].created.tzinfo is UTC
    assert found[0].last_use is not None  # moto notes each call
    assert found[1].last_use == KeyUse(at=None)


def test_last_use_that_is_denied_is_unknown(keys: ManagesKeys, request_of: Any, front: RecordingProxy) -> None:
    front.on("GetAccessKeyLastUsed", deny())
    [key] = keys.list_keys(request_of())
    assert key.last_use is None


def test_last_use_is_not_asked_for_where_it_does_not_matter(
    keys: ManagesKeys, request_of: Any, front: RecordingProxy
) -> None:
    keys.list_keys(request_of(), with_use=False)
    assert front.actions == ["ListAccessKeys"]


def test_list_that_does_not_end_is_an_error(keys: ManagesKeys, request_of: Any, front: RecordingProxy) -> None:
    page = (
        b"<ListAccessKeysResponse xmlns='https://iam.amazonaws.com/doc/2010-05-08/'><ListAccessKeysResult>"
        b"<AccessKeyMetadata/><IsTruncated>true</IsTruncated><Marker>m</Marker>"
        b"</ListAccessKeysResult></ListAccessKeysResponse>"
    )
    front.on("ListAccessKeys", Fault(200, page, {"Content-Type": "text/xml"}))
    with pytest.raises(SessionError, match="unexpected response"):
        keys.list_keys(request_of())
    assert {call.parameters.get("Marker") for call in front.calls} == {None, "m"}
    assert len(front.calls) == iam.MOST_PAGES


def test_key_is_made_deactivated_and_deleted(keys: ManagesKeys, request_of: Any, moto: MotoServer) -> None:
    made = keys.create_key(request_of())
    assert made.session_token is None
    keys.set_active(request_of(), made.access_key_id, active=False)
    states = {key.id: key.active for key in keys.list_keys(request_of(), with_use=False)}
    assert states[made.access_key_id] is False
    keys.delete_key(request_of("bob"), made.access_key_id)
    assert made.access_key_id not in {key.id for key in keys.list_keys(request_of(), with_use=False)}
    with pytest.raises(NoSuchKey, match=made.access_key_id):
        keys.delete_key(request_of(), made.access_key_id)


def test_owner_of_a_key_is_its_user(keys: ManagesKeys, request_of: Any, bob: Key, moto: MotoServer) -> None:
    assert keys.owner_of(request_of(), bob.access_key_id) == "bob"
    assert keys.owner_of(request_of(), moto.alice.access_key_id) == "alice"


def test_user_is_passed_on_only_if_it_is_given(keys: ManagesKeys, request_of: Any, front: RecordingProxy) -> None:
    keys.list_keys(request_of(), with_use=False)
    keys.list_keys(request_of("bob"), with_use=False)
    assert [call.parameters.get("UserName") for call in front.calls] == [None, "bob"]


def test_third_key_is_too_many(keys: ManagesKeys, request_of: Any) -> None:
    keys.create_key(request_of())
    with pytest.raises(TooManyKeys, match="user of AKIA"):
        keys.create_key(request_of())


def test_attached_policies_are_named_by_arn(keys: ManagesKeys, request_of: Any, moto: MotoServer) -> None:
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = moto.client("iam").create_policy(PolicyName="bobs", PolicyDocument=document)["Policy"]["Arn"]
    moto.client("iam").attach_user_policy(UserName="bob", PolicyArn=arn)
    assert keys.attached_policies(request_of("bob")) == (arn,)


def test_mfa_devices_are_named_by_serial(keys: ManagesKeys, request_of: Any) -> None:
    assert keys.mfa_devices(request_of("bob")) == ()


def test_revocation_denies_what_is_older(keys: ManagesKeys, request_of: Any, moto: MotoServer) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
    keys.revoke_sessions(request_of("bob"), at)
    keys.revoke_sessions(request_of(), at, role="RoleA")
    admin = moto.client("iam")
    found = [
        admin.get_user_policy(UserName="bob", PolicyName="AWSRevokeOlderSessions")["PolicyDocument"],
        admin.get_role_policy(RoleName="RoleA", PolicyName="AWSRevokeOlderSessions")["PolicyDocument"],
    ]
    for document in found:
        text = document if isinstance(document, dict) else json.loads(unquote(document))
        [statement] = text["Statement"]
        assert statement == {
            "Effect": "Deny",
            "Action": ["*"],
            "Resource": ["*"],
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-01-02T03:04:05.678Z"}},
        }


@pytest.mark.parametrize("action", [*CHANGES, "ListAccessKeys"])
def test_denied_call_names_its_permission(
    action: str, keys: ManagesKeys, request_of: Any, front: RecordingProxy, bob: Key
) -> None:
    front.on(action, deny())
    change = {**CHANGES, "ListAccessKeys": lambda keys, request, _: keys.list_keys(request)}[action]
    with pytest.raises(AccessDenied, match=f"iam:{action}") as caught:
        change(keys, request_of(), bob.access_key_id)
    assert type(caught.value) is AccessDenied
    assert front.actions == [action]


@pytest.mark.parametrize("action", CHANGES)
@pytest.mark.parametrize("fault", [drop(), server_error(), server_error(500)], ids=["drop", "503", "500"])
def test_lost_reply_is_an_unknown_outcome_and_only_a_creation_is_not_repeated(
    action: str, fault: Fault, keys: ManagesKeys, request_of: Any, front: RecordingProxy, bob: Key
) -> None:
    front.on(action, fault)
    with pytest.raises(OutcomeUnknown):
        CHANGES[action](keys, request_of(), bob.access_key_id)
    assert len(front.calls) == (1 if action == "CreateAccessKey" else 4)


def test_creation_whose_reply_makes_no_sense_is_an_unknown_outcome(
    keys: ManagesKeys, request_of: Any, front: RecordingProxy
) -> None:
    front.on("CreateAccessKey", garbage(b"<CreateAccessKeyResponse/>"))
    with pytest.raises(OutcomeUnknown):
        keys.create_key(request_of())


@pytest.mark.parametrize("action", CHANGES)
def test_throttled_call_is_repeated(
    action: str, keys: ManagesKeys, request_of: Any, front: RecordingProxy, bob: Key
) -> None:
    front.on(action, throttle(), times=2)
    CHANGES[action](keys, request_of(), bob.access_key_id)
    assert front.actions == [action] * 3


def test_creation_that_did_not_arrive_was_not_carried_out(keys: ManagesKeys, request_of: Any) -> None:
    with pytest.raises(SessionError, match="cannot be reached") as caught:
        keys.create_key(request_of(endpoint_url="http://127.0.0.1:9"))
    assert type(caught.value) is SessionError


def test_deadline_in_a_change_is_an_unknown_outcome(
    keys: ManagesKeys, request_of: Any, front: RecordingProxy, bob: Key
) -> None:
    front.on("DeleteAccessKey", Fault(delay=60, drop=True))
    with pytest.raises(OutcomeUnknown, match="in time"):
        keys.delete_key(request_of(seconds=0.5), bob.access_key_id)


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (unknown_key(), CredentialsRefused, "deleted or inactive"),
        (clock_skew(7200), SessionError, "clock"),
        (error(409, "EntityTemporarilyUnmodifiable", "later"), SessionError, "throttles"),
        (error(400, "Odd", "odd"), SessionError, "refused iam:DeleteAccessKey"),
    ],
)
def test_refusal_of_each_kind_is_explained(
    fault: Fault, kind: type[VaultError], says: str, keys: ManagesKeys, request_of: Any, front: RecordingProxy, bob: Key
) -> None:
    front.on("DeleteAccessKey", fault)
    with pytest.raises(kind, match=says) as caught:
        keys.delete_key(request_of(), bob.access_key_id)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("region", "host", "signs"),
    [
        (None, "iam.amazonaws.com", "us-east-1"),
        ("eu-west-1", "iam.amazonaws.com", "us-east-1"),
        ("cn-northwest-1", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("us-gov-east-1", "iam.us-gov.amazonaws.com", "us-gov-west-1"),
        ("eusc-de-east-1", "iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ],
)
@pytest.mark.parametrize("endpoint", [None, "https://iam.corp.example"])
def test_each_partition_has_its_endpoint_and_signing_region(
    region: str | None, host: str, signs: str, endpoint: str | None
) -> None:
    parameters = {
        name: value for name, value in {"region": region, "endpoint_url": endpoint}.items() if value is not None
    }
    with client.connect_iam(parameters, Credentials(access_key_id="AKIA", secret_access_key=Secret("x")), {}) as made:
        assert made.meta.endpoint_url == (endpoint or f"https://{host}")
        assert made._request_signer.region_name == signs
