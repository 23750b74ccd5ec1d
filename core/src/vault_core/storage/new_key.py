"""AWS keys as a user gives them: pasted text, or the JSON of ``aws iam create-access-key``."""

import json
import re
from typing import Any

from vault_core.api import Credentials
from vault_core.errors import UsageError
from vault_core.secret import Secret

_KEY_ID = re.compile(r"AKIA[A-Z2-7]{16}\Z")
_OF_A_SESSION = "ASIA"
"""How the ID of a user's access key looks, and how that of a session begins (IAM user guide, "IAM identifiers")."""
_SECRET_LENGTH = 40
_VALID = re.compile(rb"[!-~]+")


def pasted(key_id: Secret, secret: Secret) -> Credentials:
    """The key, without the spaces around it that pasting adds.

    :raises UsageError: it contains characters that AWS keys never have, or is the key of a session.
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
    access_key_id = parts[0].reveal_text()
    if access_key_id.startswith(_OF_A_SESSION):
        raise session_refused(f"{access_key_id} is the key of a session")
    return Credentials(access_key_id=access_key_id, secret_access_key=parts[1])


def session_refused(what: str) -> UsageError:
    """The refusal of a session's key: it would soon be of no use.

    :param what: the first clause of the message, which says how a session is recognised.
    """
    return UsageError(
        f"{what}, which expires, and the vault stores the long-term keys of users; nothing was changed",
        hint="give an access key of an IAM user (AKIA…); a role needs no key, but role_arn in the AWS config",
    )


def from_json(raw: bytes) -> Credentials:
    """The key in a JSON document.

    :raises UsageError: it is not JSON, there is no key in it, or there is a session token beside the key.
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
    if fields.get("SessionToken"):
        raise session_refused("with the SessionToken beside it, this is the key of a session")
    return pasted(key_id, secret)


def doubts(key: Credentials) -> list[str]:
    """The reasons why this may not be an AWS key. It can be stored all the same: AWS decides, not awsv."""
    reasons = []
    if not _KEY_ID.match(key.access_key_id):
        reasons.append("the access key ID does not look like one (AKIA and 16 capital letters and digits)")
    if len(key.secret_access_key.reveal()) != _SECRET_LENGTH:
        reasons.append(f"the secret access key does not have {_SECRET_LENGTH} characters")
    return reasons
