"""What the options of the source mean: a parameter, an identity, a region."""

import re
from dataclasses import dataclass

IDENTITIES = "profile:NAME, environment, imds or web-identity"

_NAME = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
"""A parameter's name (SSM API reference, PutParameter)."""
_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):ssm:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):parameter/?(?P<name>\S+)"
)
_SELECTOR = re.compile(r":[A-Za-z0-9_.-]+\Z")
"""``:3`` or ``:label``: a version of it (SSM API reference, GetParameter)."""
_MAX_NAME = 1011
"""Characters of a name (SSM API reference, PutParameter)."""
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity that reads or writes the parameter."""

    kind: str
    """``profile``, ``environment``, ``imds`` or ``web-identity``."""
    profile: str = ""
    """The AWS profile's name, for the first kind."""

    def __str__(self) -> str:
        return f"profile {self.profile!r}" if self.profile else _WORDS[self.kind]


_WORDS = {
    "environment": "the keys in the environment",
    "imds": "this machine's instance role",
    "web-identity": "the web identity",
}


def identity(text: str) -> Identity:
    """The identity in a setting.

    :raises ValueError: it is not an identity.
    """
    kind, _, profile = text.strip().partition(":")
    if kind in _WORDS and not profile:
        return Identity(kind)
    if kind == "profile" and profile:
        return Identity(kind, profile)
    raise ValueError(f"not one of {IDENTITIES}")


def parameter_name(text: str) -> str:
    """A parameter's name or ARN, with or without a version.

    :raises ValueError: no parameter can have this name.
    """
    found = _ARN.fullmatch(text)
    name = _SELECTOR.sub("", found["name"] if found else text)
    if not _NAME.fullmatch(name) or len(text) > _MAX_NAME:
        raise ValueError("not a parameter's name (letters, digits and . - _ /) or ARN")
    return text


def region_of_arn(parameter: str) -> str | None:
    """The region in a parameter's ARN; None for a name."""
    found = _ARN.fullmatch(parameter)
    return found["region"] if found else None


def plain_name(parameter: str) -> str:
    """A parameter's name as a part of an ARN: without version and first slash."""
    found = _ARN.fullmatch(parameter)
    return _SELECTOR.sub("", found["name"] if found else parameter).removeprefix("/")


def region_name(text: str) -> str:
    """The name of an AWS region.

    :raises ValueError: it does not look like one.
    """
    if not _REGION.fullmatch(text):
        raise ValueError("not the name of an AWS region, such as eu-west-1")
    return text
