"""The web console of a session: what a session provider may offer besides sessions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from vault_core.api.session import Credentials
from vault_core.records import dataclass
from vault_core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRequest:
    """One console to open."""

    credentials: Credentials
    """A session; never a long-term key."""
    parameters: Mapping[str, Any]
    """As :attr:`SessionSpec.parameters` returned them for the profile: they tell the role and the network settings."""
    region: str | None
    """The region to show; None: the partition's default."""
    path: str | None = None
    """The page of the console, without its host (``s3/buckets?tab=objects``); None: :attr:`service`."""
    service: str | None = None
    """The service whose home page is shown (``ec2``); None: the console's home page."""
    seconds: int | None = None
    """How long the console session is to last; None: as long as the credentials."""
    deadline: float
    """On :func:`time.monotonic`'s clock."""


class OpensConsole(ABC):
    """What a session provider may offer besides: the address that opens the console (``awsv login``)."""

    @abstractmethod
    def console_url(self, request: ConsoleRequest) -> Secret:
        """The address that logs a browser in: a credential, which anyone who has it can use. It is one URL in ASCII.

        An AWS profile must not decide where the session is sent: the service's address is the provider's own, or an
        option with ``from_profile=False``.

        :raises ConfigError: the region, the page or the duration makes no sense.
        :raises SessionError: the service refused the session, or did not answer.
        """
