"""The least permissions that an identity needs to read one parameter: statements of an IAM policy."""

from typing import Any


def may_get(arn: str) -> dict[str, Any]:
    """Permission to get the parameter."""
    return {"Sid": "GetPassphrase", "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arn}


def may_decrypt(arn: str, key: str) -> dict[str, Any]:
    """Permission to decrypt the parameter, and nothing else that the key encrypts.

    :param key: the KMS key's ARN; ``*`` where it is not known: the condition still names the parameter.
    """
    return {
        "Sid": "DecryptPassphrase",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": key,
        # SSM gives KMS the parameter's ARN as encryption context (KMS developer guide, "How Parameter Store uses KMS").
        "Condition": {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": arn}},
    }
