"""What the identifiers of AWS look like: text from a file is checked before it is sent or shown."""

from __future__ import annotations

import re

_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")
"""IAM's API: ``[\\w]+`` of 16 to 128 characters; AWS itself uses capital letters and digits."""
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_USER = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
"""IAM's API, ``existingUserNameType``: 128 at the most, and 64 for a new one."""
_ARN = r"arn:aws[a-z0-9-]{0,20}:iam::\d{12}"
_PATH = r"/(?:[\x21-\x7e]{1,510}/)?"
"""IAM's API, ``pathType``."""
_ROLE = re.compile(rf"{_ARN}:role{_PATH}[\w+=,.@-]{{1,64}}", re.ASCII)
_USER_ARN = re.compile(rf"{_ARN}:(?:root|user{_PATH}[\w+=,.@-]{{1,64}})", re.ASCII)


def is_key_id(text: str) -> bool:
    """Whether this can be the id of a long-term access key; ``ASIA…`` is one of a session."""
    return bool(_KEY_ID.fullmatch(text)) and not text.startswith("ASIA")


def is_account(text: str) -> bool:
    """Whether this can be the number of an account."""
    return bool(_ACCOUNT.fullmatch(text))


def is_user(text: str) -> bool:
    """Whether this can be the name of an IAM user."""
    return bool(_USER.fullmatch(text))


def is_user_arn(text: str) -> bool:
    """Whether this can be the ARN of an IAM user, or of the root user."""
    return bool(_USER_ARN.fullmatch(text))


def is_role(text: str) -> bool:
    """Whether this can be the ARN of a role."""
    return bool(_ROLE.fullmatch(text))
