"""What the programs that awsv starts get of its environment.

A program gets one identity: the credentials that it is given, and no other that an AWS SDK would find in a variable.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

IDENTITY = frozenset(
    (
        "AMAZON_ACCESS_KEY_ID",  # these three: Ruby's SDK
        "AMAZON_SECRET_ACCESS_KEY",
        "AMAZON_SESSION_TOKEN",
        "AWS_ACCESS_KEY",  # with AWS_SECRET_KEY: Java's and Ruby's SDK
        "AWS_ACCESS_KEY_ID",
        "AWS_ACCOUNT_ID",  # of other credentials than those that are set: it becomes part of endpoints
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_CREDENTIAL_FILE",
        "AWS_CREDENTIAL_SCOPE",
        "AWS_DEFAULT_PROFILE",
        "AWS_PROFILE",
        "AWS_SDK_LOAD_CONFIG",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_EXPIRATION",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    )
)
"""Variables by which a program could be somebody else than it is meant to be."""

IDENTITY_PREFIXES = (
    "AWS_BEARER_TOKEN_",  # one for each service; preferred to all credentials
    "AWS_CONTAINER_",
    "AWS_IAM_ROLE_",
    "AWS_ROLE_",
)
"""And how the names of more of them begin."""


def is_identity(name: str) -> bool:
    """Whether a variable says who a program is for AWS, or is part of the credentials of that identity."""
    return name in IDENTITY or name.startswith(IDENTITY_PREFIXES)


def environment(environ: Mapping[str, str], secret: Collection[str]) -> dict[str, str]:
    """The environment of a program that is given its credentials by us, or is to find its own.

    :param secret: the variables that hold secrets of awsv.
    """
    return {name: text for name, text in environ.items() if name not in secret and not is_identity(name)}
