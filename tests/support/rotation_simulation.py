"""An IAM, a store and a journal in memory, on which the real rotation runs. Anything can happen at each point.

A point is one thing that leaves the process: a call of AWS, a read or write of the store, a write of the journal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from vault_core.api import AccessKey, CallerIdentity, Capability, Credentials, KeyRequest, ManagesKeys, Secret
from vault_core.errors import (
    AccessDenied,
    CredentialsRefused,
    NoSuchKey,
    OutcomeUnknown,
    SessionError,
    StorageConflict,
    StorageError,
    StorageUnavailable,
    TooManyKeys,
    VaultError,
)
from vault_core.rotation.aws import Aws, Iam, User, patiently
from vault_core.rotation.decide import Signs
from vault_core.rotation.journal import Entry
from vault_core.rotation.place import Place, Rotated, Wishes
from vault_core.rotation.rotate import Rotation
from vault_core.storage.vault import StoredKey

ACCOUNT = "123456789012"
USER = User(ACCOUNT, "alice")
NAME = "work"
GRACE = 7 * 86400.0
STALE = 20.0
"""Seconds for which a list may be from before the last change."""


class Crash(BaseException):
    """The process is killed."""


@dataclass(frozen=True)
class Trouble:
    """What happens at one point, counted from the start of a run.

    :param how: ``kill-before``, ``kill-after``, ``refuse`` (not carried out), ``deny``, ``lose`` (carried out, and an
        error all the same); of a write of the store: ``late``, ``late-killed`` (see :attr:`World.late`).
    """

    point: int
    how: str


@dataclass
class IamKey:
    secret: str
    active: bool
    born: float
    foreign: bool = False


@dataclass
class World:
    """Everything outside of the process.

    :param delay: seconds until a new key is accepted.
    :param stale: IAM's list is from before the last change.
    :param remote: the store is on a server.
    """

    delay: float = 0.0
    iam_delay: float = 0.0
    """The same for calls of IAM."""
    stale: bool = False
    remote: bool = False
    keys: dict[str, IamKey] = field(default_factory=dict)
    now: float = 1_800_000_000.0
    stored: tuple[str, str] = ("", "")
    session: str = ""
    """The id of the key of which the cache has a session."""
    version: int = 0
    entry: Entry | None = None
    denied: set[str] = field(default_factory=set)
    dead_signatures: int = 0
    """Calls that an inactive or deleted key signed."""
    trouble: Trouble | None = None
    points: list[str] = field(default_factory=list)
    at: dict[int, Callable[[], None]] = field(default_factory=dict)
    """What somebody else does before a point."""
    after_each: Callable[[], None] = lambda: None
    revoked: int = 0
    late: tuple[Credentials, str] | None = None
    """A write that failed, and is carried out when a key is deleted, if its version is still there."""
    changed: float = 0.0
    before: dict[str, IamKey] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def make(self, *, foreign: bool = False) -> Credentials:
        """A new key at IAM."""
        number = next(self._numbers)
        made = Credentials(access_key_id=f"AKIA{number:04}", secret_access_key=Secret(f"secret{number}"))
        self.remember()
        self.keys[made.access_key_id] = IamKey(f"secret{number}", active=True, born=self.now, foreign=foreign)
        return made

    def remember(self) -> None:
        """Before a change: what IAM still lists for a while."""
        self.before, self.changed = {key: replace(state) for key, state in self.keys.items()}, self.now

    def store(self, key: Credentials) -> None:
        self.stored, self.version = (key.access_key_id, key.secret_access_key.reveal_text()), self.version + 1

    @property
    def held_works(self) -> bool:
        """Whether the key in the vault is active at IAM, with this secret."""
        state = self.keys.get(self.stored[0])
        return state is not None and state.active and state.secret == self.stored[1]

    @contextmanager
    def point(self, name: str, lost: Callable[[], VaultError], refused: Callable[[], VaultError]) -> Iterator[None]:
        """Around one thing that leaves the process."""
        number = len(self.points)
        self.points.append(name)
        if number in self.at:
            self.at[number]()
        how = self.trouble.how if self.trouble and self.trouble.point == number else ""
        if how == "kill-before":
            raise Crash
        if how == "refuse":
            raise refused()
        if how == "deny":
            raise AccessDenied("denied") if name[0].isupper() else refused()
        if name in self.denied:
            raise AccessDenied(f"denied: {name}")
        yield
        self.after_each()
        if how == "kill-after":
            raise Crash
        if how == "lose":
            raise lost()

    # -- IAM ---------------------------------------------------------------------------------------------------------

    def land(self) -> None:
        """Carry out the write that is late."""
        if self.late is not None and self.late[1] == str(self.version):
            self.store(self.late[0])

    def accepts(self, source: Credentials, delay: float = 0.0) -> bool:
        if source.session_token is not None:
            return True
        state = self.keys.get(source.access_key_id)
        if state is None or not state.active:
            self.dead_signatures += 1
        return state is not None and state.active and self.now - state.born >= max(delay, self.delay)


class SimulatedKeys(ManagesKeys):
    """See :class:`ManagesKeys`."""

    def __init__(self, world: World) -> None:
        self.world = world

    @contextmanager
    def _call(self, name: str, request: KeyRequest) -> Iterator[None]:
        unknown = OutcomeUnknown if name not in ("ListAccessKeys",) else SessionError
        with self.world.point(name, lambda: unknown("lost"), lambda: SessionError("refused")):
            if not self.world.accepts(request.source, self.world.iam_delay):
                raise CredentialsRefused("no such key")
            yield

    def list_keys(self, request: KeyRequest, *, with_use: bool = True) -> tuple[AccessKey, ...]:
        world = self.world
        with self._call("ListAccessKeys", request):
            keys = world.before if world.stale and world.now - world.changed < STALE else world.keys
            found = [
                AccessKey(id=key, user="alice", active=state.active, created=datetime.fromtimestamp(state.born, UTC))
                for key, state in keys.items()
            ]
        return tuple(found)

    def create_key(self, request: KeyRequest) -> Credentials:
        with self._call("CreateAccessKey", request):
            if len(self.world.keys) >= 2:
                raise TooManyKeys("two")
            made = self.world.make()
        return made  # noqa: RET504 - after the end of the call, which may be lost

    def set_active(self, request: KeyRequest, key_id: str, *, active: bool) -> None:
        assert not active
        with self._call("UpdateAccessKey", request):
            self._known(key_id)
            self.world.remember()
            self.world.keys[key_id].active = False

    def delete_key(self, request: KeyRequest, key_id: str) -> None:
        with self._call("DeleteAccessKey", request):
            self._known(key_id)
            self.world.remember()
            del self.world.keys[key_id]
            self.world.land()

    def _known(self, key_id: str) -> None:
        if key_id not in self.world.keys:
            raise NoSuchKey(key_id)

    def owner_of(self, request: KeyRequest, key_id: str) -> str:
        return "alice"

    def attached_policies(self, request: KeyRequest) -> tuple[str, ...]:
        return ()

    def mfa_devices(self, request: KeyRequest) -> tuple[str, ...]:
        return ()

    def revoke_sessions(self, request: KeyRequest, before: datetime, *, role: str | None = None) -> None:
        with self._call("PutUserPolicy", request):
            self.world.revoked += 1


class SimulatedAws(Aws):
    """The real one, but for its calls."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys = SimulatedKeys(world)

    def identify(self, source: Credentials) -> CallerIdentity:
        with self.world.point("GetCallerIdentity", lambda: SessionError("lost"), lambda: SessionError("refused")):
            if not self.world.accepts(source):
                raise CredentialsRefused("no such key")
        return CallerIdentity(account=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:user/alice")

    def request(self, source: Credentials, user: str | None) -> KeyRequest:
        return KeyRequest(parameters={}, source=source, deadline=0, user=user)


class SimulatedVault:
    """Stands for :class:`vault_core.storage.vault.Vault`."""

    def __init__(self, world: World) -> None:
        self.world = world
        able = Capability.CAS | Capability.REMOTE if world.remote else Capability.CAS
        self.store = SimpleNamespace(spec=SimpleNamespace(capabilities=able), name="file", place="place")

    def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
        with self.world.point("get", lambda: StorageError("lost"), lambda: StorageError("refused")):
            key_id, secret = self.world.stored
        key = Credentials(access_key_id=key_id, secret_access_key=Secret(secret))
        return StoredKey(key, str(self.world.version)) if name == NAME else None

    def put(self, name: str, key: Credentials, *, expect: Any, shared: bool = False) -> None:
        trouble = self.world.trouble
        if trouble and trouble.point == len(self.world.points) and trouble.how.startswith("late"):
            self.world.points.append("put")
            self.world.late = key, expect
            raise Crash if trouble.how == "late-killed" else StorageUnavailable("no answer")
        with self.world.point("put", lambda: StorageUnavailable("lost"), lambda: StorageError("read-only")):
            if expect != str(self.world.version):
                raise StorageConflict("changed")
            self.world.store(key)

    def names(self) -> Iterator[str]:
        return iter([NAME])


class SimulatedJournal:
    """Stands for :class:`vault_core.rotation.journal.Journal`: it has its own tests."""

    def __init__(self, world: World) -> None:
        self.world = world

    def read(self) -> Entry | None:
        return self.world.entry

    def write(self, entry: Entry) -> None:
        with self.world.point("journal", lambda: StorageError("lost"), lambda: StorageError("full")):
            self.world.entry = entry

    def of(self, name: str) -> SimulatedJournal:
        return self

    def remove(self) -> None:
        with self.world.point("journal", lambda: StorageError("lost"), lambda: StorageError("full")):
            self.world.entry = None


class SimulatedChanges:
    """Stands for :class:`vault_core.sessions.key_changes.KeyChanges`."""

    def __init__(self, world: World) -> None:
        self.world = world

    @contextmanager
    def changing_key(self, vault: Any, name: str) -> Iterator[list[int]]:
        self._drop()
        yield []
        self._drop()

    def _drop(self) -> None:
        with self.world.point("sessions", lambda: StorageError("lost"), lambda: StorageError("full")):
            self.world.session = ""


def sign_in(world: World) -> None:
    """Have a session of the user, from the cache or from the key in the vault.

    :raises CredentialsRefused: neither is possible.
    """
    if world.session:
        return
    if not world.held_works:
        world.dead_signatures += 1
        raise CredentialsRefused("the key is inactive")
    world.session = world.stored[0]


ADMIN = Credentials(access_key_id="ASIAADMIN", secret_access_key=Secret("a"), session_token=Secret("t"))


def run(world: World, wishes: Wishes, signs: Signs, trouble: Trouble | None = None) -> Rotated | VaultError | None:
    """One run of ``awsv rotate``; None if it was killed."""
    world.trouble, world.points = trouble, []
    vault: Any = SimulatedVault(world)
    aws: Any = SimulatedAws(world)
    journal: Any = SimulatedJournal(world)
    changes: Any = SimulatedChanges(world)
    place = Place(NAME, NAME, vault, journal, changes, lambda line: None, None)
    try:
        stored = place.read()
        if signs is Signs.SESSION:
            sign_in(world)
        iam = Iam(aws, signs, ADMIN, USER)
        if signs is Signs.KEY:
            key = stored.credentials
            entry = world.entry
            young = entry is not None and entry.new == key.access_key_id
            patiently(lambda: aws.identify(key), CredentialsRefused) if young else aws.identify(key)
            iam = Iam(aws, signs, key, USER, patient=young, held_works=True)
        outcome = Rotation(place, iam, wishes, stored, journal.read(), proven=iam.held_works).run()
        assert world.session in ("", world.stored[0]), "a session of another key than the stored one is served"
        return outcome
    except VaultError as error:
        return error
    except Crash:
        return None
