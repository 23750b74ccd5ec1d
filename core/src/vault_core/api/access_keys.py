"""Management of long-term access keys: what a session provider may offer besides sessions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vault_core.api.session import Credentials
from vault_core.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """The last use of an access key, as IAM knows it: some hours may pass before a use shows."""

    at: datetime | None
    """Aware, UTC; None: never used."""
    service: str | None = None
    """The service that it was used for (``s3``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """An access key of an IAM user, without its secret."""

    id: str
    user: str
    active: bool
    created: datetime
    """Aware, UTC."""
    last_use: KeyUse | None = None
    """None: the caller may not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """One call about access keys."""

    parameters: Mapping[str, Any]
    """What :attr:`SessionSpec.parameters` returned; only the endpoint is used. The host makes them from a profile
    whose ``endpoint_url`` is that of IAM."""
    source: Credentials
    """They sign the call."""
    deadline: float
    """On :func:`time.monotonic`'s clock."""
    user: str | None = None
    """The name of the IAM user whose keys are meant; None: the user of ``source``."""


class ManagesKeys(ABC):
    """What a session provider may offer besides: the access keys of IAM users (``awsv rotate``).

    Every method raises

    - :class:`~vault_core.errors.CredentialsRefused`: AWS does not accept the source credentials at all;
    - :class:`~vault_core.errors.AccessDenied`: a policy does not allow the call; the message names the permission;
    - :class:`~vault_core.errors.NoSuchKey`: there is no such key, user or role;
    - :class:`~vault_core.errors.OutcomeUnknown`: the call was perhaps carried out;
    - :class:`~vault_core.errors.SessionError`: everything else. The call was not carried out.

    IAM is eventually consistent: a method may answer from before the last change.
    """

    @abstractmethod
    def list_keys(self, request: KeyRequest, *, with_use: bool = True) -> tuple[AccessKey, ...]:
        """The access keys of the user, the oldest first.

        :param with_use: ask for the last use of each key, too.
        """

    @abstractmethod
    def create_key(self, request: KeyRequest) -> Credentials:
        """Make an access key. The call is never repeated, as each repetition would make another key.

        :raises TooManyKeys: the user has as many keys as AWS allows.
        """

    @abstractmethod
    def set_active(self, request: KeyRequest, key_id: str, *, active: bool) -> None:
        """Make a key active or inactive."""

    @abstractmethod
    def delete_key(self, request: KeyRequest, key_id: str) -> None:
        """Delete a key, for good."""

    @abstractmethod
    def owner_of(self, request: KeyRequest, key_id: str) -> str:
        """The name of the user whose key it is, in the account of the source credentials."""

    @abstractmethod
    def attached_policies(self, request: KeyRequest) -> tuple[str, ...]:
        """The ARNs of the managed policies that are attached to the user. ``request.user`` is needed."""

    @abstractmethod
    def mfa_devices(self, request: KeyRequest) -> tuple[str, ...]:
        """The serial numbers (ARNs) of the user's MFA devices."""

    @abstractmethod
    def revoke_sessions(self, request: KeyRequest, before: datetime, *, role: str | None = None) -> None:
        """Deny everything to the sessions of the user, or of a role, that were issued before a time.

        This is what the AWS console does for a role: an inline policy ``AWSRevokeOlderSessions``, which replaces one
        of an earlier revocation. Requests that are signed with a long-term key are not concerned.

        :param before: aware, UTC.
        :param role: the name of a role; without it ``request.user`` is needed.
        """
