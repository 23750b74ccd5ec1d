"""Session providers: what turns a profile into short-lived credentials."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vault_core.api.context import Context
from vault_core.api.options import Option
from vault_core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """AWS credentials: a user's long-term key, or a session that ends."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
    expires: datetime | None = None
    """Aware, UTC; None for a long-term key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One step's view of an AWS profile: what the config file, the environment and the flags come to."""

    name: str
    keys: Mapping[str, str] = field(default_factory=dict)
    """AWS config keys in lower case, empty ones left out. ``mfa_serial`` is there only if this step is to use MFA."""


class SourceNeed(enum.Enum):
    """Whether a session provider works on other credentials."""

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
        """Make the session: with a token, and with an end that lies ahead; anything else is not handed out.

        :raises MfaRejected: AWS did not accept the code.
        :raises AccessDenied: AWS refused.
        :raises SessionError: everything else, the network included, with the reason and a hint.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """A session provider on offer."""

    name: str
    summary: str
    open: Callable[[Context], SessionProvider]
    parameters: Callable[[Mapping[str, Any], Profile], Mapping[str, Any]]
    """Options and profile to parameters. Pure. It covers *everything* that can change the session: the result is the
    cache key, and what ``explain`` prints. Values are JSON; an ``mfa_serial`` in it means that a code will be asked.
    Raises :class:`~vault_core.errors.ConfigError` naming the key that makes no sense."""
    source: SourceNeed = SourceNeed.REQUIRED
    options: tuple[Option, ...] = ()
    unavailable: Callable[[Context], str | None] | None = None
    """Why it cannot run here (no such service, no such program), or None. Cheap: opens nothing, asks nobody, takes
    less than a second. For ``plugins check``; :attr:`open` finds out by itself."""
    secret_variables: tuple[str, ...] = ()
    """Variables of other tools, or of awsv, that hold secrets and that it reads: ``("VAULT_TOKEN",)``; ``*`` stands for
    any text. :attr:`Context.environ` hides all others, but those of its own options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentity:
    """Whose credentials some are."""

    account: str
    """Twelve digits."""
    arn: str
    """Of the user or the assumed role; ``…:root`` is the account's owner."""


class IdentifiesCaller(ABC):
    """What a session provider can do besides: tell whose credentials these are (``awsv import … --check``)."""

    @abstractmethod
    def identify(self, request: SessionRequest) -> CallerIdentity:
        """Whose the request's source credentials are; of its parameters only the endpoint counts.

        :raises AccessDenied: nobody's: AWS does not accept them.
        :raises SessionError: AWS did not answer.
        """
