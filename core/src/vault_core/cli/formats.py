"""Credentials as text, in aws-vault's formats: ``env``, ``export-env``, ``json``, ``ini``, and ``fish`` besides.

``json`` is the output of a ``credential_process`` (the AWS SDKs and Tools Reference Guide, "Process credential
provider").
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import datetime

from vault_core import output
from vault_core.api import Credentials
from vault_core.errors import UsageError


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


def as_env(profile: str, credentials: Credentials, region: str | None) -> str:
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in variables(credentials, region).items())


def as_export_env(profile: str, credentials: Credentials, region: str | None) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables(credentials, region).items())


def as_fish(profile: str, credentials: Credentials, region: str | None) -> str:
    # Between single quotes fish knows only \\ and \'.
    quoted = {
        name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in variables(credentials, region).items()
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
    if output.printable(profile) != profile or "]" in profile:
        raise UsageError(f"the profile name {profile!r} cannot be the name of a section", hint="use --format json")
    if region and output.printable(region) != region:
        raise UsageError(f"the region {region!r} cannot stand in a file", hint="check --region and AWS_REGION")
    found = variables(credentials, region)
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
