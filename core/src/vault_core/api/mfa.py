"""MFA sources: they provide the code of a device, given its serial number."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from vault_core.api.context import Context
from vault_core.api.spec import OpenableSpec
from vault_core.records import dataclass
from vault_core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaRequest:
    """One question to an MFA source."""

    serial: str
    """The device's serial number or ARN, as in ``mfa_serial``."""
    profile: str
    """The profile for which the code is needed."""
    attempt: int = 1
    """1 for the first try; higher when AWS rejected the code before."""
    may_ask: bool = True
    deadline: float | None = None
    """On :func:`time.monotonic`'s clock; None: no limit."""


class MfaSource(ABC):
    """An open MFA source."""

    @abstractmethod
    def code(self, request: MfaRequest) -> Secret | None:
        """The device's current code, or None if this source does not know the device: the next one is tried.

        :raises SourceUnavailable: it cannot answer now: one line is shown and the next one is tried.
        :raises QuestionRefused: the user declined; no other source is tried.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaSourceSpec(OpenableSpec):
    """The spec of an MFA source."""

    open: Callable[[Context], MfaSource]
    interactive: bool = False
    """It prompts: after a code that AWS rejects it is asked again, up to three times in all."""
