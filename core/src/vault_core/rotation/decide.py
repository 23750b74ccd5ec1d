"""What a rotation does next. Pure: from the facts of this moment, whatever an earlier run did or left undone.

A normal rotation makes a key, proves and stores it, and only then deactivates the old one. One of a leaked key
deactivates the old key first if anything but that key can sign the calls.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vault_core.rotation.journal import Entry

MOST_KEYS = 2
"""The access keys of an IAM user; a quota that AWS does not raise ("IAM and AWS STS quotas")."""
SETTLED = 60.0
"""Seconds after which IAM's answers certainly show a change. AWS names no number; some seconds are usual."""


class Do(enum.Enum):
    """A step, or how a run ends."""

    FORGET = "forget a journal about keys that the vault does not hold"
    START = "write the journal"
    MARK_LEAKED = "note in the journal that the old key leaked"
    CREATE = "make a key"
    PROVE = "use the new key"
    STORE = "put the new key into the vault"
    DEACTIVATE = "make a key inactive"
    DELETE = "delete a key"
    REVOKE = "revoke the sessions of the user"
    CLOSE = "remove the journal"
    CHOOSE = "end: there is no room for a key, and the user has to name the one to delete"
    ASK_REACTIVATED = "end: another user has made the old key active again"
    ASK_RESTORED = "end: the vault holds an inactive key again that was replaced before"
    END = "end"


ENDS = frozenset((Do.CHOOSE, Do.ASK_REACTIVATED, Do.ASK_RESTORED, Do.END))


class Signs(enum.Enum):
    """Who signs the calls of IAM."""

    KEY = "the stored key"
    SESSION = "a session of the user, with MFA"
    ADMIN = "an administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a decision depends on."""

    held: str
    """The id of the key in the vault."""
    listed: Mapping[str, bool] | None
    """The user's keys at IAM by id, and whether they are active; None: it may not be asked. It may be from before the
    last change."""
    journal: Entry | None
    signs: Signs
    now: float
    grace: float
    """Seconds between the deactivation of a key and its deletion."""
    gone: Collection[str] = ()
    """The keys that are certainly deleted, whatever ``listed`` says."""
    leaked: bool = False
    finish: bool = False
    """Finish what was begun, without a grace time."""
    revoke: bool = False
    replace: str | None = None
    """A key that the user allowed to delete."""
    has_secret: bool = False
    """The secret of the journal's new key is in memory."""
    proven: bool = False
    """The new key was used in this run; or the key in the vault, if it is the new one."""
    may_start: bool = True
    """A rotation may begin: this run has neither made nor resumed one."""

    def lists(self, key: str) -> bool:
        """Whether a key exists, as far as is known."""
        return key not in self.gone and (self.listed is None or key in self.listed)

    @property
    def others(self) -> tuple[str, ...]:
        """The keys of the user that the rotation knows nothing about."""
        entry = self.journal
        ours = {self.held, entry.old, entry.new} if entry else {self.held}
        return tuple(key for key in self.listed or () if key not in ours and key not in self.gone)

    @property
    def has_room(self) -> bool:
        return self.listed is None or len(set(self.listed).difference(self.gone)) < MOST_KEYS


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do, and the key that it is done to."""

    do: Do
    key: str = ""


def may_start(facts: Facts) -> bool:
    """Whether a run may begin a rotation: not if it only finishes, and not if it resumes one.

    A journal of a normal rotation that stored its new key says that the old one is to go; if the new one has leaked
    since, that is another rotation.
    """
    entry = facts.journal
    if facts.finish:
        return False
    if entry is None or facts.held not in (entry.old, entry.new) or entry.is_waiting:
        return True
    return facts.leaked and not entry.leaked and facts.held == entry.new


def next_step(facts: Facts) -> Step:
    """The next step."""
    entry = facts.journal
    if entry is None:
        return _begin(facts)
    if facts.held == entry.old:
        return _before_store(facts, entry)
    if facts.held == entry.new or entry.leaked:
        return _after_store(facts, entry)
    return Step(Do.FORGET)


def _begin(facts: Facts) -> Step:
    if not facts.may_start:
        return Step(Do.END)
    if not (facts.leaked or facts.has_room or facts.replace in facts.others):
        return Step(Do.CHOOSE)
    return Step(Do.START)


def _before_store(facts: Facts, entry: Entry) -> Step:
    """The vault holds the old key: a new one is of no use unless its secret is in memory."""
    if facts.leaked and not entry.leaked:
        return Step(Do.MARK_LEAKED)
    if entry.deactivated is not None and not entry.leaked:  # the new key, which works, was in the vault
        return Step(Do.FORGET if _is_active_again(facts, entry) else Do.ASK_RESTORED, entry.old)
    if entry.leaked and facts.signs is not Signs.KEY:
        if entry.deactivated is None:
            return Step(Do.DEACTIVATE, entry.old)
        if facts.signs is Signs.ADMIN and entry.revoke and entry.revoked is None:
            return Step(Do.REVOKE)
    if entry.new is not None:
        if not facts.has_secret:
            return Step(Do.DELETE, entry.new)
        # A key that is inactive has nothing to lose; the new one is proven once it is in the vault.
        proven = facts.proven or entry.deactivated is not None
        return Step(Do.STORE if proven else Do.PROVE, entry.new)
    if facts.has_room:
        return Step(Do.CREATE)
    if entry.deactivated is not None and facts.signs is Signs.ADMIN and facts.lists(entry.old):
        return Step(Do.DELETE, entry.old)
    if facts.replace in facts.others:
        return Step(Do.DELETE, facts.replace or "")
    return Step(Do.CHOOSE)


def _after_store(facts: Facts, entry: Entry) -> Step:
    """The vault holds another key than the old one."""
    if not facts.proven and (entry.leaked or not facts.leaked):  # a key that has leaked may be inactive already
        return Step(Do.PROVE, facts.held)
    gone = not facts.lists(entry.old)
    if entry.deactivated is None and not gone:
        return Step(Do.DEACTIVATE, entry.old)
    revokes = entry.revoke and entry.revoked is None
    if revokes and (gone or facts.signs is not Signs.SESSION):
        return Step(Do.REVOKE)  # a session of the user revokes itself: it does so last
    if gone:
        return Step(Do.CLOSE)
    if entry.leaked or facts.finish or facts.leaked:
        return Step(Do.DELETE, entry.old)
    if _is_active_again(facts, entry):
        return Step(Do.ASK_REACTIVATED, entry.old)
    since = facts.now - (entry.deactivated or facts.now)
    return Step(Do.DELETE, entry.old) if since >= facts.grace else Step(Do.END)


def _is_active_again(facts: Facts, entry: Entry) -> bool:
    """Whether the old key was made active again; a list from just after the deactivation proves nothing."""
    since = facts.now - (entry.deactivated or facts.now)
    return since > SETTLED and bool((facts.listed or {}).get(entry.old))
