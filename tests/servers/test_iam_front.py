"""The front before moto refuses what IAM refuses: without that, the tests of rotation would show nothing."""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from support import quarantine
from support.iam_front import IamFront, Trouble
from support.moto import REGION, Key


def client(front: IamFront, service: str, key: Key, token: str | None = None) -> Any:
    return boto3.client(
        service,
        endpoint_url=front.url,
        region_name=REGION,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        aws_session_token=token,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    found: str = caught.value.response["Error"]["Code"]
    return found


def test_inactive_and_deleted_keys_are_refused(iam: IamFront) -> None:
    other = iam.key("bob")
    admin = client(iam, "iam", iam.bob)
    assert client(iam, "sts", other).get_caller_identity()["Arn"].endswith("user/bob")
    admin.update_access_key(UserName="bob", AccessKeyId=other.access_key_id, Status="Inactive")
    assert code(client(iam, "sts", other).get_caller_identity) == "InvalidClientTokenId"
    assert code(client(iam, "iam", other).list_access_keys) == "InvalidClientTokenId"
    admin.update_access_key(UserName="bob", AccessKeyId=other.access_key_id, Status="Active")
    client(iam, "sts", other).get_caller_identity()
    admin.delete_access_key(UserName="bob", AccessKeyId=other.access_key_id)
    assert code(client(iam, "sts", other).get_caller_identity) == "InvalidClientTokenId"
    assert iam.signed_by(other.access_key_id) == ["GetCallerIdentity"] * 2


def test_new_key_works_only_after_the_delay(iam: IamFront) -> None:
    iam.delay = 0.5
    made = client(iam, "iam", iam.bob).create_access_key(UserName="bob")["AccessKey"]
    new = Key(made["AccessKeyId"], made["SecretAccessKey"])
    assert code(client(iam, "sts", new).get_caller_identity) == "InvalidClientTokenId"
    state = iam.keys[new.access_key_id]
    state.born = time.monotonic() - 1
    client(iam, "sts", new).get_caller_identity()
    assert iam.works(new.access_key_id, new.secret_access_key)
    assert not iam.works(new.access_key_id, "another")


def test_named_action_is_denied_for_one_user(iam: IamFront) -> None:
    iam.denied.add(("bob", "ListAccessKeys"))
    assert code(client(iam, "iam", iam.bob).list_access_keys) == "AccessDenied"
    other = iam.user("carol")
    client(iam, "iam", other).list_access_keys(UserName="carol")


def test_session_without_mfa_may_not_call_iam(iam: IamFront) -> None:
    for arguments, allowed in (({}, False), ({"SerialNumber": "arn:aws:iam::1:mfa/b", "TokenCode": "123456"}, True)):
        made = client(iam, "sts", iam.bob).get_session_token(**arguments)["Credentials"]
        key = Key(made["AccessKeyId"], made["SecretAccessKey"])
        session = client(iam, "iam", key, made["SessionToken"])
        if allowed:
            session.list_access_keys(UserName="bob")
        else:
            assert code(session.list_access_keys, UserName="bob") == "InvalidClientTokenId"
        assert client(iam, "sts", key).get_caller_identity()["Arn"].endswith("user/bob")


@pytest.mark.parametrize(("how", "done"), [("lose-before", False), ("lose-after", True)])
def test_reply_is_lost_before_or_after_the_call_is_carried_out(iam: IamFront, how: str, done: bool) -> None:
    iam.arm(Trouble(0, how))
    with pytest.raises(HTTPClientError):
        client(iam, "iam", iam.bob).create_access_key(UserName="bob")
    assert len(iam.at_iam("bob")) == 1 + done
    client(iam, "sts", iam.bob).get_caller_identity()


def test_third_key_is_refused(iam: IamFront) -> None:
    iam.key("bob")
    assert code(client(iam, "iam", iam.bob).create_access_key, UserName="bob") == "LimitExceeded"


def test_quarantine_denies_what_the_policy_of_aws_denies_until_it_is_detached(iam: IamFront) -> None:
    own, admin, sts = client(iam, "iam", iam.bob), iam.user("admin"), client(iam, "sts", iam.bob)
    iam.quarantine("bob")
    for refused in (own.create_access_key, sts.get_session_token):
        with pytest.raises(ClientError, match=rf"explicit deny .*{quarantine.ARN}"):
            refused()
    assert sts.get_caller_identity()["Arn"].endswith("user/bob")
    [policy] = own.list_attached_user_policies(UserName="bob")["AttachedPolicies"]
    assert policy["PolicyArn"] == quarantine.ARN
    client(iam, "iam", admin).detach_user_policy(UserName="bob", PolicyArn=quarantine.ARN)
    assert sts.get_session_token()["Credentials"]
