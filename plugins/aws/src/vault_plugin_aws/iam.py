"""The access keys of IAM users.

A call that AWS refuses is made once. One that fails for another reason is repeated, except CreateAccessKey: it is
repeated only if AWS cannot have carried it out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from vault_botocore.failures import Attempt, Failure, Outcome, Refusal
from vault_core.api import (
    AccessDenied,
    AccessKey,
    Context,
    Credentials,
    KeyRequest,
    KeyUse,
    ManagesKeys,
    NoSuchKey,
    OutcomeUnknown,
    Secret,
    SessionError,
    TooManyKeys,
)
from vault_plugin_aws.call import REPEATABLE, ClientCall, renewal, secrets_of
from vault_plugin_aws.client import check, connect_iam

T = TypeVar("T")

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before the repetitions of a call: IAM allows some ten requests a second."""
MOST_PAGES = 10
"""Of a list. A user has two keys, eight MFA devices and, by the highest quota, 20 attached policies."""
REVOCATION = "AWSRevokeOlderSessions"
"""The name that the AWS console gives to its policy ("Revoke active sessions", IAM user guide)."""
UNKNOWN = "it is not known whether AWS carried it out"


@dataclass(frozen=True, slots=True, kw_only=True)
class IamAttempt(Attempt):
    """One call of IAM, for the messages about it."""

    subject: str
    """What the call is about: a key, a user or a role."""

    def refused(self, refusal: Refusal) -> SessionError:
        if refusal.is_denied:
            return AccessDenied(
                f"AWS does not let {self.caller} call iam:{refusal.action} for {self.subject}:"
                f" {refusal.message or 'access denied'}",
                hint=f"allow iam:{refusal.action}, or sign with a session with MFA if the policy demands it",
            )
        if refusal.code == "NoSuchEntity":
            return NoSuchKey(f"AWS does not know {self.subject}: {refusal.message}")
        if refusal.code == "LimitExceeded":
            return TooManyKeys(f"AWS allows no more for {self.subject}: {refusal.message}")
        return SessionError(f"AWS refused iam:{refusal.action} for {self.subject}: {refusal.reason}")


class IamKeys(ManagesKeys):
    """The part of a provider that calls IAM.

    :param context: its environment gives the proxies and the CA bundle.
    """

    _context: Context

    def list_keys(self, request: KeyRequest, *, with_use: bool = True) -> tuple[AccessKey, ...]:
        """See :meth:`ManagesKeys.list_keys`. The last use is unknown if GetAccessKeyLastUsed is denied."""
        found = self._ask_iam(request, partial(_keys, user=_user(request)))
        if not with_use:
            return found
        return tuple(replace(key, last_use=self._use_of(request, key.id)) for key in found)

    def create_key(self, request: KeyRequest) -> Credentials:
        """See :meth:`ManagesKeys.create_key`."""
        return self._ask_iam(request, lambda client: _new_key(client.create_access_key(**_user(request))), repeat=False)

    def set_active(self, request: KeyRequest, key_id: str, *, active: bool) -> None:
        """See :meth:`ManagesKeys.set_active`."""
        arguments = {"AccessKeyId": key_id, "Status": "Active" if active else "Inactive"} | _user(request)
        self._ask_iam(request, lambda client: client.update_access_key(**arguments), subject=key_id)

    def delete_key(self, request: KeyRequest, key_id: str) -> None:
        """See :meth:`ManagesKeys.delete_key`."""
        arguments = {"AccessKeyId": key_id} | _user(request)
        self._ask_iam(request, lambda client: client.delete_access_key(**arguments), subject=key_id)

    def owner_of(self, request: KeyRequest, key_id: str) -> str:
        """See :meth:`ManagesKeys.owner_of`: GetAccessKeyLastUsed names the user."""

        def owner(client: Any) -> str:
            return _text(client.get_access_key_last_used(AccessKeyId=key_id)["UserName"])

        return self._ask_iam(request, owner, subject=key_id)

    def attached_policies(self, request: KeyRequest) -> tuple[str, ...]:
        """See :meth:`ManagesKeys.attached_policies`."""

        def policies(client: Any) -> tuple[str, ...]:
            pages = _pages(client.list_attached_user_policies, "AttachedPolicies", _user(request))
            return tuple(_text(policy["PolicyArn"]) for policy in pages)

        return self._ask_iam(request, policies)

    def mfa_devices(self, request: KeyRequest) -> tuple[str, ...]:
        """See :meth:`ManagesKeys.mfa_devices`."""

        def devices(client: Any) -> tuple[str, ...]:
            pages = _pages(client.list_mfa_devices, "MFADevices", _user(request))
            return tuple(_text(device["SerialNumber"]) for device in pages)

        return self._ask_iam(request, devices)

    def revoke_sessions(self, request: KeyRequest, before: datetime, *, role: str | None = None) -> None:
        """See :meth:`ManagesKeys.revoke_sessions`."""
        policy = {"PolicyName": REVOCATION, "PolicyDocument": revocation(before)}

        def put(client: Any) -> None:
            if role is not None:
                client.put_role_policy(RoleName=role, **policy)
            else:
                client.put_user_policy(**_user(request), **policy)

        self._ask_iam(request, put, subject=f"role {role}" if role is not None else None)

    def _use_of(self, request: KeyRequest, key_id: str) -> KeyUse | None:
        try:
            return self._ask_iam(
                request, lambda client: _use(client.get_access_key_last_used(AccessKeyId=key_id)), subject=key_id
            )
        except (AccessDenied, NoSuchKey):  # not allowed; or deleted since it was listed
            return None

    def _ask_iam(
        self, request: KeyRequest, work: Callable[[Any], T], *, repeat: bool = True, subject: str | None = None
    ) -> T:
        """The result of a call.

        :param repeat: a second time does no harm.
        """
        environ, source = self._context.environ, request.source
        check(request.parameters, environ)
        attempt = IamAttempt(
            host="IAM",
            caller=source.access_key_id,
            renew=renewal(source),
            subject=subject or (f"user {request.user}" if request.user else f"the user of {source.access_key_id}"),
            secrets=secrets_of(source),
        )
        call = ClientCall(
            attempt,
            lambda: closing(connect_iam(request.parameters, source, environ)),
            work,
            pauses=PAUSES,
            repeat={*REPEATABLE, Outcome.UNCERTAIN} if repeat else REPEATABLE,
        )
        result = call.result(self._context, request.deadline)
        if not isinstance(result, Failure):
            return result
        if result.outcome.is_open:
            raise OutcomeUnknown(f"{result.error.message}; {UNKNOWN}", hint=result.error.hint)
        raise result.error


def revocation(before: datetime) -> str:
    """The policy of the AWS console that denies everything to sessions from before a time.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
    """
    time_ = before.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    statement = {
        "Effect": "Deny",
        "Action": ["*"],
        "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": time_}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _user(request: KeyRequest) -> dict[str, str]:
    return {"UserName": request.user} if request.user is not None else {}


def _pages(call: Callable[..., Mapping[str, Any]], name: str, arguments: Mapping[str, str]) -> Iterator[Any]:
    """The members of a list that comes in pages.

    :raises ValueError: it does not end.
    """
    marker: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        answer = call(**arguments, **marker)
        yield from answer[name]
        if not answer.get("IsTruncated"):
            return
        marker = {"Marker": answer["Marker"]}
    raise ValueError("a list without end")


def _keys(client: Any, user: Mapping[str, str]) -> tuple[AccessKey, ...]:
    """The keys in a response.

    :raises Exception: of any kind, if they are not there.
    """
    found = [
        AccessKey(
            id=_text(key["AccessKeyId"]),
            user=_text(key["UserName"]),
            active={"Active": True, "Inactive": False}[key["Status"]],
            created=key["CreateDate"].astimezone(UTC),
        )
        for key in _pages(client.list_access_keys, "AccessKeyMetadata", user)
    ]
    return tuple(sorted(found, key=lambda key: (key.created, key.id)))


def _use(answer: Mapping[str, Any]) -> KeyUse:
    found = answer["AccessKeyLastUsed"]
    if "LastUsedDate" not in found:
        return KeyUse(at=None)
    return KeyUse(at=found["LastUsedDate"].astimezone(UTC), service=_text(found["ServiceName"]))


def _new_key(answer: Mapping[str, Any]) -> Credentials:
    found = answer["AccessKey"]
    return Credentials(
        access_key_id=_text(found["AccessKeyId"]), secret_access_key=Secret(_text(found["SecretAccessKey"]))
    )


def _text(value: Any) -> str:
    if not (isinstance(value, str) and value and value.isascii() and value.isprintable()):
        raise ValueError("empty or unprintable text")
    return value
