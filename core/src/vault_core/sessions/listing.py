"""The profiles with their stored keys and sessions: what ``awsv list`` shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from vault_core.api import Capability
from vault_core.errors import PassphraseError, StorageLocked
from vault_core.records import dataclass
from vault_core.sessions.cache import Session

if TYPE_CHECKING:
    from vault_core.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session in the cache.

    :param kind: ``sts.GetSessionToken`` and so on.
    """

    kind: str
    expires: datetime | None

    def left(self) -> int:
        """Seconds until it expires, 0 or more."""
        return max(int(self.expires.timestamp() - time.time()), 0) if self.expires else 0


@dataclass(frozen=True, slots=True)
class ListedProfile:
    """A profile, by the AWS config, the store or a session.

    :param in_config: whether the AWS config has it.
    :param stored: whether a key is stored for it; None where the store is locked.
    :param shared: whether all users of the store share that key; None where the store is locked.
    :param sessions: the live ones of this profile.
    """

    profile: str
    in_config: bool
    stored: bool | None
    shared: bool | None
    sessions: Sequence[LiveSession]


def live(session: Session) -> LiveSession:
    """A session of the cache, without its credentials."""
    return LiveSession(session.kind, session.credentials.expires)


def listed(
    configured: Sequence[str], stored: Mapping[str, bool] | None, sessions: Iterable[Session]
) -> list[ListedProfile]:
    """Every profile once.

    :param configured: the profiles of the AWS config.
    :param stored: as of :func:`stored_names`.
    """
    in_config = frozenset(configured)
    by_profile: dict[str, list[LiveSession]] = {}
    for session in sessions:
        by_profile.setdefault(session.profiles[-1], []).append(live(session))
    return [
        ListedProfile(
            name,
            name in in_config,
            None if stored is None else name in stored,
            None if stored is None else stored.get(name, False),
            by_profile.get(name, []),
        )
        for name in dict.fromkeys([*configured, *(stored or ()), *by_profile])
    ]


def stored_names(vault: Vault, notice: Callable[[str], None], *, unlock: bool) -> Mapping[str, bool] | None:
    """The profiles with a stored key, in order: whether all users of the store share the key. None where the store is
    locked, or on a server.

    :param notice: shows one line to the user.
    :param unlock: the vault may prompt and ask the server: an error is raised.
    """
    try:
        return dict(sorted(vault.owners().items()))
    except (PassphraseError, StorageLocked) as error:
        if unlock:
            raise
        if Capability.REMOTE in vault.store.spec.capabilities:
            notice(f"{error.message}; {error.hint}")
        return None
