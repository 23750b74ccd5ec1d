"""Passphrase sources: where the secret that opens a store comes from."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from vault_core.api.context import Context
from vault_core.api.options import Option
from vault_core.errors import PassphraseError
from vault_core.secret import Secret


class Purpose(enum.Enum):
    """What a passphrase is wanted for."""

    UNLOCK = "unlock"
    CREATE = "create"
    CHANGE = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseRequest:
    """One question to a passphrase source."""

    store: str
    """The name of the store, as the user types it (``file``)."""
    key_id: str
    """The lock. What a source keeps (:meth:`PassphraseSource.put`) is found again by it alone: a store may get another
    name."""
    purpose: Purpose = Purpose.UNLOCK
    attempt: int = 1
    """1 for the first try, counted per source."""
    may_ask: bool = True
    """False: nobody may be asked; an interactive source answers None."""
    deadline: float | None = None
    """On :func:`time.monotonic`'s clock; None: no limit."""


class PassphraseSource(ABC):
    """An open passphrase source."""

    @abstractmethod
    def get(self, request: PassphraseRequest) -> Secret | None:
        """The passphrase, or None where this source is not configured for the store: the next one is tried.

        :raises SourceUnavailable: configured, but it cannot answer now: one line is shown and the next one is tried.
        :raises QuestionRefused: the person declined; no other source is tried.
        :raises PassphraseError: configured wrongly (set but empty, a file that cannot be read); nothing else is tried.
        """

    def put(self, request: PassphraseRequest, secret: Secret) -> None:  # noqa: ARG002 - for those that keep it
        """Keep a secret for the request's ``key_id``, in place of an older one. Only where the spec says ``writable``.

        :raises SourceUnavailable: it cannot be kept now.
        """
        raise PassphraseError(f"this source keeps no secrets for store {request.store!r}")

    def forget(self, request: PassphraseRequest) -> bool:
        """Forget what is kept for the request's ``key_id``; True if there was something.

        :raises SourceUnavailable: it cannot be done now.
        """
        raise PassphraseError(f"this source keeps no secrets for store {request.store!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseSourceSpec:
    """A passphrase source on offer."""

    name: str
    summary: str
    open: Callable[[Context], PassphraseSource]
    options: tuple[Option, ...] = ()
    interactive: bool = False
    """It asks a person: a wrong secret is asked for again, three times in all."""
    writable: bool = False
    """It has ``put`` and ``forget``: it can keep a key that opens a store (``awsv slot add --source NAME``)."""
    remote: bool = False
    """It needs the network: a store that nothing else opens is closed while that is down, and its user is told so.
    ``awsv list`` leaves it out."""
    unavailable: Callable[[Context], str | None] | None = None
    """Why it cannot run here (no such service, no such program), or None. Cheap: opens nothing, asks nobody, takes
    less than a second. For ``plugins check``; :attr:`open` finds out by itself."""
    secret_variables: tuple[str, ...] = ()
    """Variables of other tools, or of awsv, that hold secrets and that it reads: ``("VAULT_TOKEN",)``; ``*`` stands for
    any text. :attr:`Context.environ` hides all others, but those of its own options."""
