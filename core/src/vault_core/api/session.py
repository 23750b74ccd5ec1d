"""Session providers: they turn a profile into short-lived credentials."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Protocol

from vault_core.api.context import Context
from vault_core.api.spec import OpenableSpec
from vault_core.records import dataclass
from vault_core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """AWS credentials: a user's long-term key, or a session that ends."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
    expires: datetime | None = None
    """Aware, UTC; None for a long-term key."""


class CredentialsClient(Protocol):
    """What a library for another SDK needs of a :class:`vault_core.Client`."""

    def credentials(self, profile: str) -> Credentials:
        """Return credentials of a profile that do not end soon.

        :raises VaultError: there are none.
        """

    def region(self, profile: str) -> str | None:
        """Return the region of a profile, or None.

        :raises ConfigError: the profile makes no sense.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An AWS profile as one step sees it: the config file, the environment and the flags, merged."""

    name: str
    keys: Mapping[str, str] = field(default_factory=dict)
    """AWS config keys in lower case, without empty ones. ``mfa_serial`` is there only if this step uses MFA."""
    policy: str | None = None
    """A policy in JSON that narrows the session; the caller gives it, never a config file. A provider that applies it
    returns it as the parameter ``policy``; otherwise the request is refused."""
    default_duration: bool = False
    """The service chooses the duration of the session. AWS opens its console for a role that a session has assumed only
    if the request named no duration."""


class SourceNeed(enum.Enum):
    """Whether a session provider needs other credentials."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """One session to issue."""

    parameters: Mapping[str, Any]
    """What :attr:`SessionSpec.parameters` returned."""
    source: Credentials | None
    mfa: Callable[[], Secret]
    """The code of the device in the parameters' ``mfa_serial``. The host asks for it, once; raises MfaError."""
    deadline: float
    """On :func:`time.monotonic`'s clock."""


class SessionProvider(ABC):
    """An open session provider."""

    @abstractmethod
    def issue(self, request: SessionRequest) -> Credentials:
        """Make the session: with a token, and with an expiry in the future; anything else is refused.

        :raises MfaRejected: AWS did not accept the code.
        :raises AccessDenied: AWS refused.
        :raises SessionError: everything else, the network included, with the reason and a hint.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec(OpenableSpec):
    """The spec of a session provider."""

    open: Callable[[Context], SessionProvider]
    parameters: Callable[[Mapping[str, Any], Profile], Mapping[str, Any]]
    """Options and profile to parameters. Pure. It covers *everything* that can change the session: the result is the
    cache key, and what ``explain`` prints. Values are JSON; with an ``mfa_serial`` in it, the host asks for a code.
    Raises :class:`~vault_core.errors.ConfigError` naming the key that is wrong."""
    source: SourceNeed = SourceNeed.REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentity:
    """The AWS identity behind a set of credentials."""

    account: str
    """Twelve digits."""
    arn: str
    """Of the user or the assumed role; ``…:root`` is the account's owner."""


class IdentifiesCaller(ABC):
    """What a session provider may offer besides: the identity behind credentials (``--check`` of ``add`` and
    ``import``)."""

    @abstractmethod
    def identify(self, request: SessionRequest) -> CallerIdentity:
        """The identity behind the request's source credentials; of its parameters only the endpoint is used.

        :raises AccessDenied: AWS does not accept them.
        :raises SessionError: AWS did not answer.
        """
