"""What the options of the source mean: a parameter, an identity, a region."""

from __future__ import annotations

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
    """Who reads the parameter."""

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
    """The identity that a setting names.

    :raises ValueError: none.
    """
    kind, _, profile = text.strip().partition(":")
    if kind in _WORDS and not profile:
        return Identity(kind)
    if kind == "profile" and profile:
        return Identity(kind, profile)
    raise ValueError(f"not one of {IDENTITIES}")


def parameter_name(text: str) -> str:
    """A parameter's name or ARN, perhaps with a version.

    :raises ValueError: AWS has no such name.
    """
    found = _ARN.fullmatch(text)
    name = _SELECTOR.sub("", found["name"] if found else text)
    if not _NAME.fullmatch(name) or len(text) > _MAX_NAME:
        raise ValueError("a parameter is named by letters, digits and . - _ /, or by its ARN")
    return text


def region_of_arn(parameter: str) -> str | None:
    """The region in a parameter's ARN; None for a name."""
    found = _ARN.fullmatch(parameter)
    return found["region"] if found else None


def plain_name(parameter: str) -> str:
    """A parameter's name without ARN and version, as it stands in an ARN: without the first slash."""
    found = _ARN.fullmatch(parameter)
    return _SELECTOR.sub("", found["name"] if found else parameter).removeprefix("/")


def region_name(text: str) -> str:
    """The name of an AWS region.

    :raises ValueError: it looks like none.
    """
    if not _REGION.fullmatch(text):
        raise ValueError("not the name of an AWS region, such as eu-west-1")
    return text
