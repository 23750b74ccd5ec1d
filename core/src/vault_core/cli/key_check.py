"""``awsv add --check``: ask AWS who a key belongs to, before the key is stored."""

from __future__ import annotations

import time

from vault_core.api import Credentials
from vault_core.cli.app import App
from vault_core.errors import AccessDenied, Cancelled, SessionError
from vault_core.sessions.identify import KeyCheck, identify

NEW_KEY_SECONDS = 10.0
"""How long AWS may take to know a new key everywhere: some seconds, as IAM is eventually consistent (IAM user guide,
"Troubleshoot IAM")."""
_PAUSE = 1.0
"""Seconds between two questions about a new key."""


def check_key(app: App, profile: str, key: Credentials, *, is_new: bool) -> KeyCheck | None:
    """Ask AWS who the key belongs to, and show the answer.

    :param is_new: the key may have been created a moment ago, so that AWS does not know it everywhere yet.
    :returns: None if AWS could not be asked, and the user wants to store the key all the same.
    :raises AccessDenied: AWS does not accept the key.
    :raises SessionError: AWS could not be asked, and nor could the user.
    :raises Cancelled: the user declined.
    """
    found = _ask_aws(app, profile, key, is_new=is_new)
    if found.state == "dead":
        raise AccessDenied(
            f"{found.reason}; nothing was changed",
            hint="check both values, and the profile's region if the account is in China or in GovCloud",
        )
    if found.state == "unknown":
        _offer_to_store_unchecked(app, key, str(found.reason))
        return None
    app.note(f"{key.access_key_id} belongs to {found.arn} in account {found.account}")
    if str(found.arn).endswith(":root"):
        app.note(
            "warning: this is a key of the account's root user, which no policy limits: AWS advises to delete it and"
            " to create an IAM user instead"
        )
    return found


def _ask_aws(app: App, profile: str, key: Credentials, *, is_new: bool) -> KeyCheck:
    end = time.monotonic() + (NEW_KEY_SECONDS if is_new else 0)
    has_noted = False
    while True:
        found = identify(app.host, app.client.resolver, {profile: key})[profile]
        if found.state != "dead" or time.monotonic() + _PAUSE >= end:
            return found
        if not has_noted:
            app.note(f"AWS does not accept {key.access_key_id} yet; with a new key that takes some seconds")
            has_noted = True
        time.sleep(_PAUSE)


def _offer_to_store_unchecked(app: App, key: Credentials, reason: str) -> None:
    if app.host.cannot_ask():
        raise SessionError(
            f"{key.access_key_id} was neither checked nor stored: {reason}",
            hint="repeat when AWS can be reached, or without --check",
        )
    app.note(f"{key.access_key_id} was not checked: {reason}")
    if not app.host.terminal.confirm("Store it unchecked?", default=False):
        raise Cancelled("nothing was changed")
