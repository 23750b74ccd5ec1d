"""MFA sources: what answers a device's serial number with its code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from vault_core.api.context import Context
from vault_core.api.options import Option
from vault_core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaRequest:
    """One question to an MFA source."""

    serial: str
    """The device's serial number or ARN, as in ``mfa_serial``."""
    profile: str
    """The profile for which the code is wanted."""
    attempt: int = 1
    """1 for the first try; higher when AWS rejected the code before."""
    may_ask: bool = True
    deadline: float | None = None
    """On :func:`time.monotonic`'s clock; None: no limit."""


class MfaSource(ABC):
    """An open MFA source."""

    @abstractmethod
    def code(self, request: MfaRequest) -> Secret | None:
        """The device's code now, or None where this source does not know the device: the next one is tried.

        :raises SourceUnavailable: it cannot answer now: one line is shown and the next one is tried.
        :raises QuestionRefused: the person declined; no other source is tried.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaSourceSpec:
    """An MFA source on offer."""

    name: str
    summary: str
    open: Callable[[Context], MfaSource]
    options: tuple[Option, ...] = ()
    interactive: bool = False
    """It asks a person: a code that AWS rejects is asked for again, three times in all."""
    unavailable: Callable[[Context], str | None] | None = None
    """Why it cannot run here (no such service, no such program), or None. Cheap: opens nothing, asks nobody, takes
    less than a second. For ``plugins check``; :attr:`open` finds out by itself."""
    secret_variables: tuple[str, ...] = ()
    """Variables of other tools, or of awsv, that hold secrets and that it reads: ``("VAULT_TOKEN",)``; ``*`` stands for
    any text. :attr:`Context.environ` hides all others, but those of its own options."""
