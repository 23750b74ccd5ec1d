"""``awsv add --check``: ask AWS who a key belongs to before it is stored, and offer the user's MFA device."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from vault_core import output
from vault_core.api import Credentials
from vault_core.awsconfig.mfa_serial import with_mfa_serial
from vault_core.awsconfig.quoting import section_header
from vault_core.awsconfig.write import save
from vault_core.cli.app import App
from vault_core.cli.text import difference
from vault_core.errors import AccessDenied, Cancelled, ConfigError, PluginError, SessionError
from vault_core.sessions.identify import KeyCheck, identify, mfa_devices

NEW_KEY_SECONDS = 10.0
"""How long AWS may take to know a new key everywhere: some seconds, as IAM is eventually consistent (IAM user guide,
"Troubleshoot IAM")."""
_PAUSE = 1.0
"""Seconds between two questions about a new key."""
_SECURITY_KEY = re.compile(r"arn:[^:]*:iam::[0-9]*:u2f/")
"""The ARN of a FIDO device (IAM API reference, "ListMFADevices"): it has no codes, and STS takes nothing but codes."""


def check_key(app: App, profile: str, key: Credentials, *, is_new: bool) -> tuple[str, ...]:
    """Ask AWS who the key belongs to, and show the answer.

    :param is_new: the key may have been created a moment ago, so that AWS does not know it everywhere yet.
    :returns: the serial numbers of the user's MFA devices, as far as AWS lets us know.
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
        return ()
    app.note(f"{key.access_key_id} belongs to {found.arn} in account {found.account}")
    if str(found.arn).endswith(":root"):
        app.note(
            "warning: this is a key of the account's root user, which no policy limits: AWS advises to delete it and"
            " to create an IAM user instead"
        )
    try:
        return mfa_devices(app.host, app.client.resolver, profile, key, str(found.arn))
    except (ConfigError, PluginError, SessionError) as error:
        app.note(f"MFA devices were not looked for: {error.message}")
        return ()


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


def offer_mfa_device(app: App, profile: str, serials: Sequence[str]) -> None:
    """Offer to write the user's MFA device into the profile, so that its sessions are made with MFA.

    The key is stored by now, so that a failure is a note.

    :param serials: of the user's MFA devices.
    """
    given = app.client.resolver.profile(profile, target=False)
    configured, codes = given.keys.get("mfa_serial"), [one for one in serials if not _SECURITY_KEY.match(one)]
    if not serials or configured in codes:
        return
    if not codes:
        app.note(
            "the user's MFA devices are security keys (FIDO), and API calls need a device that shows 6-digit codes: add"
            " an authenticator app to the user for sessions with MFA"
        )
    elif configured:
        app.note(
            f"warning: mfa_serial ({given.origins['mfa_serial']}) is not a device of the user, which has"
            f" {', '.join(codes)}"
        )
    else:
        if len(codes) > 1:
            app.note(f"the user has {len(codes)} MFA devices: {', '.join(codes)}")
        _offer_line(app, profile, codes[0])


def _offer_line(app: App, profile: str, serial: str) -> None:
    path = app.settings.aws_config_file
    line = f"for sessions with MFA, add to [{section_header(profile)}] in {path}: mfa_serial = {serial}"
    if app.host.cannot_ask():
        app.note(line)
        return
    try:
        raw = app.host.read(path)
        after = with_mfa_serial(raw, path, profile, serial)
        output.to_stderr(f"{difference(raw, after, path)}\n")
        question = f"Change {path} like this, to make sessions of {profile} with an MFA code?"
        if app.host.terminal.confirm(question, default=False):
            save(path, raw, after, locks=app.config_locks)
            app.note(f"{path}: profile {profile!r} has an MFA device")
        else:
            app.note(line)
    except ConfigError as error:
        app.note(f"{error.message}; {line}")
