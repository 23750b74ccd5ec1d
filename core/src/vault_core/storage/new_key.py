"""AWS keys as a user gives them: pasted text, or the JSON of ``aws iam create-access-key``."""

import json
import re
from typing import Any

from vault_core.api import Credentials
from vault_core.errors import UsageError
from vault_core.secret import Secret

_KEY_ID = re.compile(r"(AKIA|ASIA)[A-Z2-7]{16}\Z")
"""An access key's ID (IAM user guide, "IAM identifiers": AKIA for users, ASIA for sessions)."""
_SECRET_LENGTH = 40
_VALID = re.compile(rb"[!-~]+")


def pasted(key_id: Secret, secret: Secret) -> Credentials:
    """The key, without the spaces around it that pasting adds.

    :raises UsageError: it contains characters that AWS keys never have.
    """
    parts = []
    for what, value in (("access key ID", key_id), ("secret access key", secret)):
        text = value.reveal().strip()
        if not text:
            raise UsageError(f"the {what} is empty; nothing was changed")
        if not _VALID.fullmatch(text):
            raise UsageError(
                f"the {what} contains spaces or invalid characters; nothing was changed", hint="paste it again"
            )
        parts.append(Secret(text))
    return Credentials(access_key_id=parts[0].reveal_text(), secret_access_key=parts[1])


def from_json(raw: bytes) -> tuple[Credentials, bool]:
    """The key in a JSON document, and whether a session token is beside it.

    :raises UsageError: it is not JSON, or there is no key in it.
    """
    try:
        document: Any = json.loads(raw)
        fields = document.get("AccessKey", document)
        key_id, secret = Secret(fields["AccessKeyId"]), Secret(fields["SecretAccessKey"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # The decoder's own exception would hold the document.
        raise UsageError(
            "standard input is not JSON with AccessKeyId and SecretAccessKey",
            hint="pipe the output of 'aws iam create-access-key' in, or run it in a terminal",
        ) from None
    return pasted(key_id, secret), bool(fields.get("SessionToken"))


def doubts(key: Credentials) -> list[str]:
    """The reasons why this may not be an AWS key. It can be stored all the same: AWS decides, not awsv."""
    reasons = []
    if not _KEY_ID.match(key.access_key_id):
        reasons.append("the access key ID does not look like one (AKIA and 16 capital letters and digits)")
    elif key.access_key_id.startswith("ASIA"):
        reasons.append(
            "this is the key of a session (ASIA…), which soon expires; the vault is for a user's own key (AKIA…)"
        )
    if len(key.secret_access_key.reveal()) != _SECRET_LENGTH:
        reasons.append(f"the secret access key does not have {_SECRET_LENGTH} characters")
    return reasons
