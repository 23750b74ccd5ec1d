"""The policy is enough to read the parameter, and for nothing else: moto's evaluation of IAM policies says so."""

from __future__ import annotations

import json

import pytest

from support.moto import ACCOUNT, REGION, MotoServer
from vault_plugin_ssm.put_parameter import Put

ARN = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/laptop/vault"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CONTEXT = "kms:EncryptionContext:PARAMETER_ARN"
POLICY = json.dumps(Put("/laptop/vault", ARN, REGION, 1, KEY).policy)


@pytest.mark.parametrize(
    ("action", "resource", "context", "permitted"),
    [
        ("ssm:GetParameter", ARN, {}, True),
        ("kms:Decrypt", KEY, {CONTEXT: ARN}, True),
        ("kms:Decrypt", KEY, {CONTEXT: f"{ARN}-of-somebody-else"}, False),
        ("kms:Decrypt", KEY.replace("1234", "4321"), {CONTEXT: ARN}, False),
        ("kms:Encrypt", KEY, {CONTEXT: ARN}, False),
        ("ssm:GetParameter", f"{ARN}-of-somebody-else", {}, False),
        ("ssm:GetParameter", f"{ARN}/below", {}, False),
        ("ssm:GetParameter", ARN.replace(REGION, "us-east-1"), {}, False),
        ("ssm:GetParameters", ARN, {}, False),
        ("ssm:GetParameterHistory", ARN, {}, False),
        ("ssm:PutParameter", ARN, {}, False),
    ],
)
def test_enough_and_no_more(action: str, resource: str, context: dict[str, str], permitted: bool) -> None:
    from moto.iam.access_control import IAMPolicy, PermissionResult

    found = IAMPolicy(POLICY).is_action_permitted(action, resource, incoming_condition_values=context)
    assert (found is PermissionResult.PERMITTED) == permitted


def test_iam_takes_it(moto: MotoServer) -> None:
    from botocore.exceptions import ClientError

    moto.create_user("policy-reader")
    iam = moto.client("iam")
    iam.put_user_policy(UserName="policy-reader", PolicyName="vault", PolicyDocument=POLICY)
    kept = iam.get_user_policy(UserName="policy-reader", PolicyName="vault")["PolicyDocument"]
    assert kept == json.loads(POLICY)
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        iam.put_user_policy(UserName="policy-reader", PolicyName="bad", PolicyDocument=POLICY.replace("Allow", "May"))
