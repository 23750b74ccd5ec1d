"""A boto3 session whose credentials come from awsv, and are renewed before they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vault_core.api import Credentials, CredentialsClient

if TYPE_CHECKING:
    import boto3


def session(client: CredentialsClient, profile: str) -> boto3.Session:
    """See :func:`vault_plugin_aws.boto3_session`."""
    import boto3
    from botocore.credentials import CredentialResolver
    from botocore.session import Session

    # Without the variables of another profile, whose endpoint would get what is signed.
    core = Session(session_vars={"profile": (None, None, None, None)})
    if profile in core.available_profiles:  # a stored key alone may have the name
        core.set_config_variable("profile", profile)
    core.get_component("event_emitter").register_first("choose-signer", _no_bearer_token)
    core.register_component("credential_provider", CredentialResolver([_Provider(client, profile)]))
    core.get_credentials()  # now, so that an error is raised here
    return boto3.Session(botocore_session=core, region_name=client.region(profile))


def _no_bearer_token(context: Mapping[str, Any], **_: object) -> str | None:
    """Sign with the credentials where a bearer token would do, too: botocore prefers the one in AWS_BEARER_TOKEN_…,
    which is of another identity."""
    can_do = context.get("auth_options") or ()
    return "v4" if {"aws.auth#sigv4", "smithy.api#httpBearerAuth"} <= set(can_do) else None


class _Provider:
    """Botocore's credential provider over a client; the only one of its session."""

    METHOD = CANONICAL_NAME = "awsv"

    def __init__(self, client: CredentialsClient, profile: str) -> None:
        self._client = client
        self._profile = profile

    def load(self) -> Any:
        """The credentials as botocore has them."""
        from botocore.credentials import Credentials as LongTermCredentials
        from botocore.credentials import RefreshableCredentials

        credentials = self._client.credentials(self._profile)
        if credentials.expires is None:
            secret = credentials.secret_access_key.reveal_text()
            return LongTermCredentials(credentials.access_key_id, secret, method=self.METHOD)
        return RefreshableCredentials.create_from_metadata(_metadata(credentials), self._refresh, self.METHOD)

    def _refresh(self) -> dict[str, str | None]:
        return _metadata(self._client.credentials(self._profile))


def _metadata(credentials: Credentials) -> dict[str, str | None]:
    token, expires = credentials.session_token, credentials.expires
    return {
        "access_key": credentials.access_key_id,
        "secret_key": credentials.secret_access_key.reveal_text(),
        "token": token.reveal_text() if token else None,
        "expiry_time": expires.isoformat() if expires else None,
    }
