"""A boto3 session whose credentials come from awsv, and are renewed before they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vault_core.api import Credentials, CredentialsClient

if TYPE_CHECKING:
    import boto3


def session(client: CredentialsClient, profile: str) -> boto3.Session:
    """See :func:`vault_plugin_aws.boto3_session`."""
    import boto3
    from botocore.credentials import CredentialResolver
    from botocore.session import Session

    core = Session()
    if profile in core.available_profiles:  # a stored key alone may have the name
        core.set_config_variable("profile", profile)
    core.register_component("credential_provider", CredentialResolver([_Provider(client, profile)]))
    core.get_credentials()  # now, so that an error is raised here
    return boto3.Session(botocore_session=core, region_name=client.region(profile))


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
