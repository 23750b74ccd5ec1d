"""Writes a parameter, and makes the policy that allows an identity to read it."""

import threading
from dataclasses import dataclass, replace
from typing import Any

from vault_botocore.failures import Failure
from vault_core.api import ConfigError, Secret, SessionError
from vault_plugin_ssm import policy
from vault_plugin_ssm.aws_call import AwsCalls, Clients
from vault_plugin_ssm.choices import plain_name
from vault_plugin_ssm.failures import SsmAttempt

_SECONDS = 20.0
"""For the three calls together; the user waits for them."""


@dataclass(frozen=True, slots=True)
class Put:
    """What was written."""

    parameter: str
    arn: str
    region: str
    version: int
    kms_key: str | None
    """The key's ARN; None: the account's AWS managed key."""

    @property
    def policy(self) -> dict[str, Any]:
        """The least that a reader needs. The AWS managed key allows every reader of the account to decrypt."""
        decrypt = [] if self.kms_key is None else [policy.may_decrypt(self.arn, self.kms_key)]
        return {"Version": "2012-10-17", "Statement": [policy.may_get(self.arn), *decrypt]}

    def to_json(self, *, generated: bool) -> dict[str, Any]:
        """For programs; the passphrase is not in it."""
        return {
            "parameter": self.parameter,
            "arn": self.arn,
            "region": self.region,
            "version": self.version,
            "kms_key": self.kms_key,
            "generated": generated,
            "policy": self.policy,
        }


def put(calls: AwsCalls, passphrase: Secret, kms_key: str | None, *, overwrite: bool) -> Put | Failure:
    """Write the parameter, unless the key or the account cannot be found first.

    :param kms_key: None: the account's AWS managed key.
    """
    calls.attempt = replace(calls.attempt, secrets=(passphrase,))
    sent = threading.Event()

    def work(clients: Clients) -> Put:
        caller = clients("sts").get_caller_identity()
        partition, account = caller["Arn"].split(":")[1], caller["Account"]
        key = _key_arn(clients, kms_key, calls.attempt) if kms_key else None
        more = {"KeyId": key} if key else {}
        sent.set()
        answer = clients("ssm").put_parameter(
            Name=calls.parameter,
            Value=passphrase.reveal_text(),
            Type="SecureString",
            Overwrite=overwrite,
            Description="Passphrase of an awsv store",
            **more,
        )
        arn = f"arn:{partition}:ssm:{calls.attempt.region}:{account}:parameter/{plain_name(calls.parameter)}"
        return Put(calls.parameter, arn, calls.attempt.region, answer["Version"], key)

    done = calls.run(work, _SECONDS)
    if not (isinstance(done, Failure) and sent.is_set() and done.outcome.is_open):
        return done
    text = f"it is not known whether {calls.attempt.what} was written: {done.error.message}"
    hint = f"look at its versions: aws ssm get-parameter-history --name {calls.parameter}"
    return Failure(SessionError(text, hint=hint), done.outcome)


def _key_arn(clients: Clients, key: str, attempt: SsmAttempt) -> str:
    """The ARN that a policy needs: an alias has no effect there.

    :raises ConfigError: the key cannot encrypt the parameter.
    :raises SessionError: KMS refuses to describe the key.
    """
    from botocore.exceptions import ClientError

    try:
        found = clients("kms").describe_key(KeyId=key)["KeyMetadata"]
    except ClientError as error:
        denied = error.response["Error"]["Code"] == "AccessDeniedException"
        if denied and ":key/" in key:
            return key
        message = attempt.clean(error.response["Error"].get("Message") or "no reason given")
        hint = (
            "name the key by its ARN, or allow kms:DescribeKey" if denied else "look for it in the parameter's region"
        )
        raise SessionError(f"KMS does not describe {key}: {message}", hint=hint) from None
    arn: str = found["Arn"]
    spec = found.get("KeySpec", "SYMMETRIC_DEFAULT")
    if found["KeyState"] != "Enabled" or spec != "SYMMETRIC_DEFAULT":
        raise ConfigError(
            f"KMS key {key} cannot encrypt it: it is {found['KeyState'].lower()}, {spec}",
            hint="name an enabled symmetric key",
        )
    if found.get("KeyManager") == "AWS":
        raise ConfigError(f"KMS key {key} is the account's AWS managed key", hint="use --aws-managed-key")
    return arn
