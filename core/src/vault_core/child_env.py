"""The environment of the programs that awsv starts.

A program has one AWS identity: the credentials that it is given. Every other variable in which an SDK would find one is
removed.
"""

TYPE_CHECKING = False  # the hot path imports this module, and nothing that it does not need
if TYPE_CHECKING:
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
"""Variables that give a program an AWS identity."""

IDENTITY_PREFIXES = (
    "AWS_BEARER_TOKEN_",  # one for each service; preferred to all credentials
    "AWS_CONTAINER_",
    "AWS_IAM_ROLE_",
    "AWS_ROLE_",
)
"""Prefixes of further such variables."""


_SECRETS = ("PASSPHRASE", "PASSPHRASE_FD", "PASSWORD", "TOKEN", "SECRET", "SECRET_ID")


def is_secret_variable(name: str) -> bool:
    """Whether the variable holds a secret, judging by its name. In doubt it does, so children do not get it."""
    return name in ("VAULT_TOKEN", "BAO_TOKEN") or (name.startswith("AWS_VAULT_") and name.endswith(_SECRETS))


def is_identity(name: str) -> bool:
    """Whether a variable names an AWS identity, or is a part of its credentials."""
    return name in IDENTITY or name.startswith(IDENTITY_PREFIXES)


def environment(environ: "Mapping[str, str]", secret: "Collection[str]") -> dict[str, str]:
    """The environment of a program that awsv gives credentials, or that finds its own.

    :param secret: the names of the variables that hold secrets of awsv.
    """
    return {name: text for name, text in environ.items() if name not in secret and not is_identity(name)}
