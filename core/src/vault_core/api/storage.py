"""Storage backends: places that keep items."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from vault_core.api.context import Context
from vault_core.api.spec import OpenableSpec
from vault_core.records import dataclass
from vault_core.secret import Secret


class _Expectation(enum.Enum):
    ANY = "any"
    ABSENT = "absent"


ANY: Final = _Expectation.ANY
"""Replace any item that is there."""
ABSENT: Final = _Expectation.ABSENT
"""Write only if there is no item."""

Version = str
"""Identifies one state of one item; opaque, different for every state."""
Expect = _Expectation | str
""":data:`ANY`, :data:`ABSENT`, or the :data:`Version` that must be there."""


class Capability(enum.Flag):
    """What a storage backend can do beyond the four methods. The core acts on each of these."""

    NONE = 0
    CREATE_ONLY = enum.auto()
    """``put`` supports :data:`ABSENT` without a race."""
    CAS = enum.auto()
    """``put`` and ``delete`` support a version (check and set), and ``put`` also :data:`ABSENT`, without a race."""
    REMOTE = enum.auto()
    """It needs the network: ``awsv list`` does not open it unless the user says so."""
    SHARED = enum.auto()
    """Several people read it: their own items, and shared ones (:class:`SharedItems`)."""


class AtRest(enum.Enum):
    """Who encrypts the values of a backend."""

    CORE = "core"
    """The core: the backend sees only sealed values. The author writes no cryptography."""
    BACKEND = "backend"
    """The backend, with keys from :meth:`StoreContext.unlock` or :meth:`StoreContext.key_slots`."""
    SERVICE = "service"
    """The service behind the backend (an OS keychain, a server)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The item that a backend keeps under a key."""

    value: Secret
    """One or more printable ASCII bytes."""
    version: Version
    written_by: str = ""
    """Who wrote it and when, for messages (``ana on laptop since 2026-11-22 11:40 UTC``), or empty. The writer said so;
    it proves nothing."""


class StorageBackend(ABC):
    """An open store. Keys are ``kind/name`` over ``[a-z0-9._-]``, at most 900 bytes; values are printable ASCII.

    Several processes may use a store at a time, and none of their writes may be lost. One object is used by one thread
    at a time. Every failure is a :class:`~vault_core.errors.StorageError`; a vendor's exception is wrapped
    (``raise … from``).
    """

    @abstractmethod
    def get(self, key: str) -> Item | None:
        """The item, or None if there is none."""

    @abstractmethod
    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        """Create or replace, atomically: a reader sees either the old or the new value.

        :param expect: :data:`ABSENT` or a version arrives only at a backend that declares ``CREATE_ONLY`` or ``CAS``.
        :returns: the version of the new item, which is durable by now.
        :raises StorageConflict: something other than ``expect`` was there; nothing was changed.
        """

    @abstractmethod
    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        """Delete the item; True if there was one.

        :raises StorageConflict: something other than ``expect`` was there; nothing was changed.
        """

    @abstractmethod
    def keys(self) -> Iterator[str]:
        """Every key, in any order."""

    def close(self) -> None:  # noqa: B027 - closing is optional: most backends hold nothing open
        """Release what is open. May be called twice."""


class StoreContext(Context, Protocol):
    """The host, as a storage backend sees it."""

    @property
    def store(self) -> str:
        """The name of the store that is being opened, as the user types it."""

    @property
    def sources(self) -> Sequence[str]:
        """The names of the passphrase sources in the settings, in the order in which they are asked."""

    def unlock(
        self, key_id: str, derive: Callable[[Secret], Secret], *, create: bool = False, source: str | None = None
    ) -> Secret:
        """The key of a lock, derived from a secret that only ``derive`` sees.

        The host gets a secret from the user's passphrase sources, calls ``derive`` with it, and repeats with another
        secret if ``derive`` raises :class:`WrongSecret`. At most one ``derive`` runs at a time per user.

        :param key_id: names the lock: store and slot. The host remembers keys, and locks, by it.
        :param derive: secret to key; slow, and without side effects, as it may run several times. It must not keep or
            pass on the secret: the host cannot prevent that, as it is the plugin's own code.
        :param create: a new secret is being chosen: an interactive source asks twice.
        :param source: the name of the only source to ask, for a lock that needs several factors, or whose key that
            source keeps.
        :raises NoSecret: no source had a secret.
        :raises WrongSecret: no secret was right.
        :raises PassphraseError: the user declined, or a source is set up wrongly.
        :raises SourceUnavailable: the source that ``source`` names cannot answer now.
        """

    def keep(self, source: str, key_id: str, secret: Secret) -> None:
        """Have a passphrase source keep a secret: :meth:`unlock` with it as ``source`` and this ``key_id`` finds it.

        :raises PassphraseError: the source keeps no secrets, or does not return this one.
        :raises SourceUnavailable: it cannot answer now.
        """

    def forget(self, source: str, key_id: str) -> bool:
        """Have a passphrase source forget what it keeps for a lock; True if there was something.

        :raises PassphraseError: the source keeps no secrets.
        :raises SourceUnavailable: it cannot answer now.
        """

    def key_slots(self, where: str, *, cost: Any = None) -> Any:
        """Key slots for a backend that writes the file format itself: a :class:`vault_core.vlt.KeySlots`.

        The API does not name that type, because the format is a public module of its own, with its own versions.

        :param where: the store's name in messages, for example its path.
        :param cost: a :class:`vault_core.vlt.Argon2id` for new slots; None means the host's default.
        """

    def suspect(self, message: str, *, hint: str) -> None:
        """Warn that what is about to be read may not be what the user expects, an older state of the store for example.

        At a terminal the user sees one line, and nothing that is made from what was read is kept for later. Nobody
        would see that line if a program reads the output, or if there is no terminal.

        :param message: what was found, without its consequence.
        :param hint: the command with which the user accepts it.
        :raises StorageDenied: nobody would see the warning; read nothing.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpec(OpenableSpec):
    """The spec of a storage backend."""

    open: Callable[[StoreContext], StorageBackend]
    """Open the store; it may unlock now or at its first use."""
    at_rest: AtRest = AtRest.CORE
    capabilities: Capability = Capability.NONE
    max_value: int | None = None
    """The largest value in bytes, 64 or more, or None. The core refuses a larger value before anything is written.
    Sealing (``at_rest=CORE``) adds 48 bytes, then base64 a third; the store's slot table must fit, too."""
    locate: Callable[[Context], str] | None = None
    """Where the store is (a path, a URL), for messages. It is fast and opens nothing."""
    principal: Callable[[Context], str] | None = None
    """The login for which the store is opened, if the items depend on it (a user, a token's digest): sessions made for
    one principal are never served to another. It is fast, opens nothing and returns no secret. None: the items depend
    only on the place."""
    readers: Callable[[Context], str] | None = None
    """Who can read the store, in one sentence, for ``plugins check`` and the first ``add``. It is fast, opens nothing.
    For a store that awsv does not encrypt itself: its users cannot know otherwise."""


class SharedItems(ABC):
    """What an open store that declares ``SHARED`` offers besides: items that all its users share.

    The backend's own methods work on the items of the user (or host) that it is opened for, which no other user sees.
    Only for ``at_rest=SERVICE``: what the core seals, it seals for one user. The StorageConflict of a ``put`` that
    expects :data:`ABSENT` says who has the name, and since when.
    """

    @abstractmethod
    def shared(self) -> StorageBackend:
        """The shared items, as a store of their own. It is fast and never prompts. Closing one store closes both."""
