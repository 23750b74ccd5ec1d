"""awsv: session providers on boto3, and boto3 sessions for Python programs."""

from __future__ import annotations

TYPE_CHECKING = False  # known to type checkers; the plugin is loaded for each command, and boto3 only for a session

if TYPE_CHECKING:
    import boto3

    from vault_core.api import CredentialsClient

__all__ = ["boto3_session"]


def boto3_session(client: CredentialsClient, profile: str) -> boto3.Session:
    """Return a boto3 session with the credentials and the region of a profile.

    The credentials refresh themselves: boto3 asks the client again before they end. Other settings of the session
    (endpoint, retries, …) come from the profile's section of the AWS config, as boto3 reads it.

    :param client: a :class:`vault_core.Client`; it must stay open as long as the session is used.
    :raises VaultError: the client has no credentials for the profile. The same errors occur in a later call of the
        session whose credentials cannot be refreshed.
    """
    from vault_plugin_aws.refreshable import session

    return session(client, profile)
