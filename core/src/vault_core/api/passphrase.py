"""Passphrase sources: they provide the secret that opens a store."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable

from vault_core.api.context import Context
from vault_core.api.spec import OpenableSpec
from vault_core.errors import PassphraseError
from vault_core.records import dataclass
from vault_core.secret import Secret


class Purpose(enum.Enum):
    """What a passphrase is needed for."""

    UNLOCK = "unlock"
    CREATE = "create"
    CHANGE = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseRequest:
    """One question to a passphrase source."""

    store: str
    """The name of the store, as the user types it (``file``)."""
    key_id: str
    """The lock. A source finds what it keeps (:meth:`PassphraseSource.put`) by this alone: a store may be renamed."""
    purpose: Purpose = Purpose.UNLOCK
    attempt: int = 1
    """1 for the first try, counted per source."""
    may_ask: bool = True
    """False: never prompt; an interactive source answers None."""
    deadline: float | None = None
    """On :func:`time.monotonic`'s clock; None: no limit."""


class PassphraseSource(ABC):
    """An open passphrase source."""

    @abstractmethod
    def get(self, request: PassphraseRequest) -> Secret | None:
        """The passphrase, or None if this source is not configured for the store: the next one is tried.

        :raises SourceUnavailable: configured, but it cannot answer now: one line is shown and the next one is tried.
        :raises QuestionRefused: the user declined; no other source is tried.
        :raises PassphraseError: configured wrongly (set but empty, a file that cannot be read); nothing else is tried.
        """

    def put(self, request: PassphraseRequest, secret: Secret) -> None:  # noqa: ARG002 - for sources that keep it
        """Keep a secret for the request's ``key_id``, in place of an older one. Only if the spec says ``writable``.

        :raises SourceUnavailable: it cannot be kept now.
        """
        raise PassphraseError(f"this source keeps no secrets for store {request.store!r}")

    def forget(self, request: PassphraseRequest) -> bool:
        """Forget what is kept for the request's ``key_id``; True if there was something.

        :raises SourceUnavailable: it cannot be done now.
        """
        raise PassphraseError(f"this source keeps no secrets for store {request.store!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseSourceSpec(OpenableSpec):
    """The spec of a passphrase source."""

    open: Callable[[Context], PassphraseSource]
    interactive: bool = False
    """It prompts: after a wrong secret it is asked again, up to three times in all."""
    writable: bool = False
    """It has ``put`` and ``forget``: it can keep a key that opens a store (``awsv slot add --source NAME``)."""
    remote: bool = False
    """It needs the network: if nothing else opens a store, the user is warned. ``awsv list`` never asks it."""
