"""The session provider ``sts-federation``: GetFederationToken, a session for the console of a user who has no role."""

from __future__ import annotations

import re
from dataclasses import replace

from vault_core.api import AccessDenied, Credentials, SessionError, SessionRequest
from vault_plugin_aws.sts import StsProvider

NAME = re.compile(r"[\w+=,.@-]{2,32}", re.ASCII)
"""Of a federated user (GetFederationToken, STS API reference)."""


class FederationProvider(StsProvider):
    """Sessions of GetFederationToken, with the name of the user whose key signs."""

    def issue(self, request: SessionRequest) -> Credentials:
        """Make the session. A user's key alone can: not a session, and not the root user's key.

        :raises AccessDenied: AWS refused the call or the key, or it is the root user's.
        :raises SessionError: the source is a session; or as :meth:`StsProvider.issue`.
        """
        if request.source is not None and request.source.session_token is not None:
            raise SessionError(
                "GetFederationToken needs a user's own key, and the source is a session",
                hint="log in by a profile with a role",
            )
        name = federated_name(self.identify(request).arn)
        return super().issue(replace(request, parameters={**request.parameters, "name": name}))


def federated_name(arn: str) -> str:
    """The name of the session of a user: the user's own, cut at 32 characters.

    :raises AccessDenied: it is the root user, whose session would be allowed everything.
    :raises SessionError: it is not a user.
    """
    kind, _, rest = arn.split(":")[-1].partition("/")
    if kind == "root":
        raise AccessDenied(
            "this is the key of the account's root user: awsv opens no console with it",
            hint="delete that key at AWS, and use a user or a role",
        )
    if kind != "user" or not rest:
        raise SessionError(f"GetFederationToken needs the key of a user, and this is {arn}")
    name = re.sub(r"[^\w+=,.@-]", "-", rest.rpartition("/")[2], flags=re.ASCII)[:32].ljust(2, "-")
    assert NAME.fullmatch(name)  # noqa: S101 - by construction
    return name
