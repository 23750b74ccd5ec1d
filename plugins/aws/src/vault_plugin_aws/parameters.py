"""From a profile to the parameters of an STS call. Pure: the same profile gives the same parameters.

The limits are those of the STS API reference (AssumeRole, GetSessionToken, Tag). Checking them here means that a
mistake is reported with the name of its key, before awsv prompts for an MFA code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vault_core.api import ConfigError, Option, Profile, boolean

DEFAULT_SECONDS = 3600
ASSUME_ROLE_SECONDS = range(900, 43200 + 1)
SESSION_TOKEN_SECONDS = range(900, 129600 + 1)
FEDERATION_TOKEN_SECONDS = range(900, 129600 + 1)
MAX_TAGS = 50
MAX_SHOWN = 200
ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
"""What the user may, and no more: a session has the permissions that both the user's policies and this one grant."""

ROLE_ARN = r"(?a)arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}"
SESSION_NAME = r"(?a)[\w+=,.@-]{2,64}"
EXTERNAL_ID = r"(?a)[\w+=,.@:/-]{2,1224}"
MFA_SERIAL = r"(?a)[\w+=/:,.@-]{9,256}"
REGION = r"(?a)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ENDPOINT = r"https?://[^\s/?#@]+(?:/[^\s?#]*)?"
TAG_KEY = r"[\w .:/=+@-]{1,128}"
TAG_VALUE = r"[\w .:/=+@-]{0,256}"


def _signin_url(text: str) -> str:
    """Parse the option ``signin-url``.

    :raises ValueError: it is not a URL, or has a query.
    """
    if not re.fullmatch(ENDPOINT, text) or not text.isascii() or not text.isprintable():
        raise ValueError("not a URL that starts with https:// or http://, without user and query")
    return text


SIGNIN_URL = Option(
    name="signin-url",
    help="AWS's federation endpoint, for 'awsv login': the URL that gets the session. Default: that of the partition.",
    parse=_signin_url,
    from_profile=False,  # a profile may be a stranger's, and a whole session is sent there
)


def parameters(_options: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    """AssumeRole for a profile with ``role_arn``, else GetSessionToken; only what is set is in the result.

    :raises ConfigError: a value makes no sense; it names the profile and the key.
    """
    keys = _Keys(profile)
    action = _assume_role(keys) if "role_arn" in profile.keys else _session_token(keys)
    return _set({**action, **_endpoint(keys)})


def federation_token(profile: Profile) -> dict[str, Any]:
    """GetFederationToken, for a user. Without a policy the session would have no permission at all.

    :raises ConfigError: as :func:`parameters`.
    """
    keys = _Keys(profile)
    found = {
        "action": "GetFederationToken",
        "duration_seconds": keys.seconds(FEDERATION_TOKEN_SECONDS),
        "policy": ALL if profile.policy is None else profile.policy,
    }
    return _set({**found, **_endpoint(keys)})


def _set(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}


def _assume_role(keys: _Keys) -> dict[str, Any]:
    tags = keys.tags()
    return {
        "action": "AssumeRole",
        "role_arn": keys.matching("role_arn", ROLE_ARN, "the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)"),
        "role_session_name": keys.matching("role_session_name", SESSION_NAME, "2 to 64 of A-Z a-z 0-9 _ + = , . @ -"),
        "external_id": keys.matching("external_id", EXTERNAL_ID, "2 to 1224 of A-Z a-z 0-9 _ + = , . @ : / -"),
        "source_identity": keys.matching("source_identity", SESSION_NAME, "2 to 64 of A-Z a-z 0-9 _ + = , . @ -"),
        "mfa_serial": keys.mfa_serial(),
        "duration_seconds": None if keys.default_duration else keys.seconds(ASSUME_ROLE_SECONDS),
        "policy": keys.policy,
        "session_tags": tags,
        "transitive_session_tags": keys.transitive(tags or {}),
    }


def _session_token(keys: _Keys) -> dict[str, Any]:
    return {
        "action": "GetSessionToken",
        "mfa_serial": keys.mfa_serial(),
        "duration_seconds": keys.seconds(SESSION_TOKEN_SECONDS),
    }


def _endpoint(keys: _Keys) -> dict[str, Any]:
    """Where the call goes. A token of the global endpoint works in fewer regions, so this changes the session."""
    return {
        "region": keys.matching("region", REGION, "the name of an AWS region"),
        "sts_regional_endpoints": keys.legacy(),
        "endpoint_url": keys.matching("endpoint_url", ENDPOINT, "a URL that starts with https:// or http://"),
        "use_fips_endpoint": keys.switch("use_fips_endpoint"),
        "use_dualstack_endpoint": keys.switch("use_dualstack_endpoint"),
        "ca_bundle": keys.text("ca_bundle"),
    }


class _Keys:
    """The keys of a profile, each checked as it is read."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.policy = profile.policy
        self.default_duration = profile.default_duration

    def text(self, key: str) -> str | None:
        return self._profile.keys.get(key)

    def wrong(self, key: str, expected: str) -> ConfigError:
        # A URL may hold a password where it should not, and the password any character.
        shown = re.sub(r"//.*@", "//***@", self.text(key) or "")[:MAX_SHOWN]
        return ConfigError(f"profile '{self._profile.name}': {key} is not {expected}: {shown!r}")

    def matching(self, key: str, pattern: str, expected: str) -> str | None:
        text = self.text(key)
        if text is not None and not re.fullmatch(pattern, text):
            raise self.wrong(key, expected)
        return text

    def mfa_serial(self) -> str | None:
        return self.matching("mfa_serial", MFA_SERIAL, "the ARN or the serial number of an MFA device")

    def seconds(self, allowed: range) -> int:
        text = self.text("duration_seconds")
        if text is None:
            return DEFAULT_SECONDS
        # ASCII digits only, and few: int() takes other scripts' digits, and spends long on a million of them.
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) not in allowed:
            raise self.wrong("duration_seconds", f"a number of seconds from {allowed.start} to {allowed.stop - 1}")
        return int(text)

    def switch(self, key: str) -> bool | None:
        """True, or None: what is off is not set."""
        try:
            return boolean(self.text(key) or "false") or None
        except ValueError:
            raise self.wrong(key, "true or false") from None

    def legacy(self) -> str | None:
        """``legacy``, or None for the regional endpoints, which are the default."""
        text = self.text("sts_regional_endpoints")
        if text not in {None, "legacy", "regional"}:
            raise self.wrong("sts_regional_endpoints", "legacy or regional")
        return text if text == "legacy" else None

    def tags(self) -> dict[str, str] | None:
        """``k=v,k=v``; a value may hold ``=`` but no comma."""
        text = self.text("session_tags")
        if text is None:
            return None
        pairs = text.split(",")
        if len(pairs) > MAX_TAGS:
            raise self.wrong("session_tags", f"a list of at most {MAX_TAGS} tags")
        found: dict[str, str] = {}
        for pair in pairs:
            name, separator, value = (part.strip() for part in pair.partition("="))
            if not separator or not re.fullmatch(TAG_KEY, name) or not re.fullmatch(TAG_VALUE, value):
                raise self.wrong("session_tags", "a list key=value,key=value")
            # AWS compares tag keys without regard to case.
            if name.casefold() in {known.casefold() for known in found}:
                raise self.wrong("session_tags", f"a list of different keys ('{name}' is there twice)")
            found[name] = value
        return found

    def transitive(self, tags: Mapping[str, str]) -> list[str] | None:
        """``k,k``, each of them a session tag."""
        text = self.text("transitive_session_tags")
        if text is None:
            return None
        names = [name.strip() for name in text.split(",")]
        known = {name.casefold() for name in tags}
        for name in names:
            if name.casefold() not in known:
                raise self.wrong("transitive_session_tags", f"a list of keys of session_tags ('{name}' is none)")
        return names
