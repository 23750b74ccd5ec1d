"""Credentials as text, in aws-vault's formats: ``env``, ``export-env``, ``json``, ``ini``, and ``fish`` besides.

``json`` is the output of a ``credential_process`` (the AWS SDKs and Tools Reference Guide, "Process credential
provider").
"""

import json
import re
import shlex
from collections.abc import Callable
from datetime import datetime

from vault_core import output
from vault_core.api import Credentials
from vault_core.errors import SessionError, UsageError

_FOR_ALL = "DEFAULT"
"""The section whose keys every other section has, to botocore."""

_NO_SECTION = r"\]|\A\s|\s\Z|\s[#;]"
"""What some SDK reads as another name, or as no section: the keys are then those of the section before. ``]`` ends a
name, spaces around it are removed, and the SDK for JavaScript has a comment begin within it."""


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: ``2026-01-31T12:00:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def variables(credentials: Credentials, region: str | None) -> dict[str, str]:
    """The environment that the AWS tools read, in aws-vault's order."""
    found = {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key.reveal_text(),
    }
    if credentials.session_token:
        found["AWS_SESSION_TOKEN"] = credentials.session_token.reveal_text()
    if credentials.expires:
        found["AWS_CREDENTIAL_EXPIRATION"] = timestamp(credentials.expires)
    if region:
        found["AWS_REGION"] = found["AWS_DEFAULT_REGION"] = region
    return found


def _in_lines(credentials: Credentials, region: str | None) -> dict[str, str]:
    """The variables, for text in lines: quotes keep a shell from a value, but no terminal.

    :raises VaultError: a value holds control characters.
    """
    found = variables(credentials, region)
    for name, value in found.items():
        if output.printable(value) == value:
            continue
        if value == region:
            raise UsageError(
                f"the region {region!r} cannot be printed in one line", hint="check --region and AWS_REGION"
            )
        raise SessionError(f"the value of {name} cannot be printed in one line: it holds control characters")
    return found


def as_env(profile: str, credentials: Credentials, region: str | None) -> str:
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in _in_lines(credentials, region).items())


def as_export_env(profile: str, credentials: Credentials, region: str | None) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in _in_lines(credentials, region).items())


def as_fish(profile: str, credentials: Credentials, region: str | None) -> str:
    # Between single quotes fish knows only \\ and \'.
    quoted = {
        name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in _in_lines(credentials, region).items()
    }
    return "\n".join(f"set -gx {name} '{value}'" for name, value in quoted.items())


def as_json(profile: str, credentials: Credentials, region: str | None) -> str:
    fields: dict[str, str | int] = {
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.reveal_text(),
    }
    if credentials.session_token:
        fields["SessionToken"] = credentials.session_token.reveal_text()
    if credentials.expires:
        fields["Expiration"] = timestamp(credentials.expires)
    return json.dumps(fields, indent=2)


def as_ini(profile: str, credentials: Credentials, region: str | None) -> str:
    if output.printable(profile) != profile or profile == _FOR_ALL or re.search(_NO_SECTION, profile):
        raise UsageError(f"the profile name {profile!r} cannot be the name of a section", hint="use --format json")
    found = _in_lines(credentials, region)
    wanted = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION")
    lines = [f"[{profile}]", *(f"{name.lower()}={found[name]}" for name in wanted if name in found)]
    # aws-vault ends every section with an empty line.
    return "\n".join([*lines, *([f"region={region}"] if region else []), ""])


FORMATS: dict[str, Callable[[str, Credentials, str | None], str]] = {
    "env": as_env,
    "export-env": as_export_env,
    "json": as_json,
    "ini": as_ini,
    "fish": as_fish,
}
"""Format name to function of profile name, credentials and region; the text has no newline at its end."""
