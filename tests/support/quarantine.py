"""The policy that AWS attaches to a user whose key it found in public, as moto's copy of AWS's documents has it."""

from __future__ import annotations

import json
from functools import cache

NAME = "AWSCompromisedKeyQuarantineV3"
ARN = f"arn:aws:iam::aws:policy/{NAME}"


@cache
def denied() -> frozenset[str]:
    """The calls of IAM and STS that the policy denies, without the name of the service."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    found = json.loads(aws_managed_policies_data)[NAME]["Document"]["Statement"]
    actions = [action for statement in found if statement["Effect"] == "Deny" for action in statement["Action"]]
    return frozenset(action.partition(":")[2] for action in actions if action.startswith(("iam:", "sts:")))
