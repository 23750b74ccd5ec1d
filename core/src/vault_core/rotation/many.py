"""Rotation of the keys of many profiles: each stored key once, with one MFA code for each user."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from vault_core.api import Credentials
from vault_core.errors import (
    AccessDenied,
    ConfigError,
    CredentialsRefused,
    StorageDenied,
    UsageError,
    VaultError,
)
from vault_core.rotation.aws import Aws, Iam, User, patiently, signer, user_of
from vault_core.rotation.decide import SETTLED, Signs
from vault_core.rotation.journal import Entry, Journal
from vault_core.rotation.place import Place, Rotated, Wishes
from vault_core.rotation.rotate import Rotation
from vault_core.sessions.plan import KeyStep, Planner, SessionStep
from vault_core.sessions.profiles import ELSEWHERE
from vault_core.storage.vault import StoredKey, Vault

if TYPE_CHECKING:
    from pathlib import Path

    from vault_core.plugins.host import Host
    from vault_core.sessions.engine import Engine
    from vault_core.sessions.key_changes import KeyChanges
    from vault_core.sessions.profiles import Profiles


@dataclass
class _Job:
    """One stored key, and the profiles that start from it."""

    key: KeyStep
    session: SessionStep | None
    """The session with MFA that signs; None: the key itself."""
    profiles: list[str]
    error: VaultError | None = None
    signer: Credentials | None = None
    """Of the session."""


@dataclass
class Rotations:
    """Rotates the keys of one command.

    :param admin: a profile whose credentials sign, in place of the users' own.
    :param folder: of the journals.
    :param tell: shows a line about progress.
    """

    host: Host
    planner: Planner
    engine: Engine
    profiles: Profiles
    changes: KeyChanges
    folder: Path
    wishes: Wishes
    tell: Callable[[str], None]
    admin: str | None = None
    _vaults: dict[str, Vault] = field(default_factory=dict)
    _admin: Credentials | None = None
    _done: dict[str, Rotated] = field(default_factory=dict)
    """The outcomes by the id of the key that is stored now: other names may have the same one."""

    def run(self, names: Sequence[str]) -> list[Rotated]:
        """Rotate the keys that these profiles start from; the outcomes in the order of the keys.

        Questions come first: passphrases and MFA codes. The keys follow one after the other.

        :raises VaultError: the credentials of ``admin`` cannot be had.
        """
        jobs = self._jobs(names)
        if len(jobs) > 1 and (self.wishes.leaked or self.wishes.replace):
            raise UsageError(
                f"--leaked and --replace are about one key, and these profiles start from {len(jobs)}",
                hint="name one profile",
            )
        if self.admin is not None:
            self._admin = signer(self.planner, self.engine, self.admin)
        for job in jobs:
            self._prepare(job)
        outcomes = []
        for number, job in enumerate(jobs, 1):
            count = f"[{number}/{len(jobs)}] " if len(jobs) > 1 else ""
            outcomes.append(self._outcome(job, partial(self._tell, f"{count}{job.key.name}")))
        return outcomes

    def _tell(self, head: str, line: str) -> None:
        self.tell(f"{head}: {line}")

    def _jobs(self, names: Sequence[str]) -> list[_Job]:
        """:raises VaultError: a profile has no stored key; with several profiles, it is left out with a notice."""
        jobs: dict[str, _Job] = {}
        for name in names:
            try:
                self._refuse_keyless(name)
                key, session = self.planner.user(name)
            except VaultError as error:
                if len(names) == 1:
                    raise
                self.tell(f"{name}: left out: {error.message}")
                continue
            job = jobs.setdefault(f"{key.store.identity}\0{key.name}", _Job(key, session, []))
            job.profiles.append(name)
            job.session = job.session or session
        if not jobs:
            raise ConfigError("none of these profiles starts from a stored key", hint="'awsv list' shows stored keys")
        return list(jobs.values())

    def _refuse_keyless(self, name: str) -> None:
        """:raises ConfigError: the profile's credentials are from elsewhere, Identity Center for example."""
        section = self.profiles.config.merged(name)
        if section is not None and (key := next(filter(section.entries.__contains__, ELSEWHERE), None)):
            entry = section.entries[key]
            raise ConfigError(
                f"profile {name!r} has no stored key that could be rotated: by {key} ({entry.path}:{entry.line}), its"
                " credentials are from elsewhere",
                hint="'awsv list' shows the profiles with a stored key",
            )

    def _prepare(self, job: _Job) -> None:
        """Whatever may ask the user."""
        try:
            stored = self._vault(job).get(job.key.name, shared=self.wishes.shared)
            if self._admin is None and job.session is not None:
                job.signer = self._session(job, job.session, stored)
        except VaultError as error:
            job.error = error

    def _session(self, job: _Job, step: SessionStep, stored: StoredKey | None) -> Credentials:
        try:
            return self.engine.obtain(step)
        except AccessDenied as error:
            if stored is None or isinstance(error, CredentialsRefused):
                raise
            aws, key = Aws(self.host, self.profiles, job.key.name), stored.credentials
            raise aws.explained(error, key, user_of(aws.identify(key), key.access_key_id).name) from None

    def _vault(self, job: _Job) -> Vault:
        return self._vaults.setdefault(job.key.store.identity, Vault(self.host, job.key.store))

    def _outcome(self, job: _Job, tell: Callable[[str], None]) -> Rotated:
        try:
            if job.error is not None:
                raise job.error
            return self._rotate(job, tell)
        except VaultError as error:
            return Rotated(name=job.key.name, state="failed", error=error)

    def _rotate(self, job: _Job, tell: Callable[[str], None]) -> Rotated:
        name, store = job.key.name, job.key.store
        place = Place(
            name=name,
            profile=job.profiles[0],
            vault=self._vault(job),
            journal=Journal(self.folder, store.identity, name, shared=self.wishes.shared),
            changes=self.changes,
            tell=tell,
            confirm=self.host.confirm if self.host.cannot_ask() is None else None,
            shared=self.wishes.shared,
            admin=self.admin,
        )
        with ExitStack() as stack:
            stack.enter_context(place.journal.held())
            stored = self._stored(place)
            if (done := self._done.get(stored.credentials.access_key_id)) is not None:
                return replace(done, name=name)
            if place.journal.is_damaged():
                tell("the journal of an earlier rotation is damaged: keys that it named are treated as foreign ones")
            entry = place.journal.read()
            iam, outcome = self._renew(job, place, stored, entry)
            if self.wishes.leaked and (policy := iam.quarantine()):
                _tell_quarantine(tell, iam.user, policy)
            if outcome.new is not None:
                self._done[outcome.new] = outcome
            return outcome

    def _stored(self, place: Place) -> StoredKey:
        vault = place.vault
        if not place.shared and vault.store.is_shared and vault.get(place.name, shared=False) is None:
            found = vault.get(place.name, shared=True)
            if found is not None:
                raise StorageDenied(
                    f"the key of {place.name!r} in {vault.store.place} is shared: all its users would get the new one",
                    hint=f"if that is meant: {replace(place, shared=True).command()}",
                )
        return place.read()

    def _renew(self, job: _Job, place: Place, stored: StoredKey, entry: Entry | None) -> tuple[Iam, Rotated]:
        rotation = None
        try:
            iam = self._iam(job, stored, entry)
            _announce(place, iam, self.wishes, entry)
            rotation = Rotation(place, iam, self.wishes, stored, entry, proven=iam.held_works)
            return iam, rotation.run()
        except CredentialsRefused:
            place.refuse_replaced(rotation.stored if rotation else stored)
            raise

    def _iam(self, job: _Job, stored: StoredKey, entry: Entry | None) -> Iam:
        """Who signs, and whose keys are meant."""
        aws = Aws(self.host, self.profiles, job.key.name)
        key = stored.credentials
        if self._admin is not None:
            if self._admin.access_key_id == key.access_key_id:
                raise UsageError(
                    f"profile {self.admin!r} signs with {key.access_key_id}, the key that is to be replaced",
                    hint="omit --as, or name a profile with another key or a role",
                )
            return Iam(aws, Signs.ADMIN, self._admin, self._user_by_admin(aws, key, self._admin))
        if job.signer is not None:
            return Iam(aws, Signs.SESSION, job.signer, self._user_by_session(aws, key, job.signer))
        young = entry is not None and entry.new == key.access_key_id and time.time() - (entry.created or 0) < SETTLED
        try:
            identity = patiently(lambda: aws.identify(key), CredentialsRefused) if young else aws.identify(key)
        except CredentialsRefused as error:
            raise CredentialsRefused(
                error.message,
                hint="'awsv rotate PROFILE --leaked --as ADMIN' makes a new key; 'awsv add PROFILE' stores one",
            ) from None
        return Iam(aws, Signs.KEY, key, user_of(identity, key.access_key_id), patient=young, held_works=True)

    def _user_by_session(self, aws: Aws, key: Credentials, session: Credentials) -> User:
        """The user of a session, which may be from the cache, and so from before the key was replaced elsewhere."""
        user = user_of(aws.identify(session), key.access_key_id)
        with suppress(CredentialsRefused):  # it may be inactive already
            if (other := user_of(aws.identify(key), key.access_key_id)) != user:
                raise UsageError(
                    f"the live session is of user {user.name} in {user.account}, and {key.access_key_id} of"
                    f" {other.name} in {other.account}",
                    hint="run 'awsv clear', then repeat",
                )
        return user

    def _user_by_admin(self, aws: Aws, key: Credentials, admin: Credentials) -> User:
        account = aws.identify(admin).account
        try:
            user = user_of(aws.identify(key), key.access_key_id)
        except CredentialsRefused:  # it is inactive already
            return User(account, aws.keys.owner_of(aws.request(admin, None), key.access_key_id))
        if user.account != account:
            raise UsageError(
                f"profile {self.admin!r} is of account {account}, and {key.access_key_id} of account {user.account}",
                hint="name a profile of the account of the key",
            )
        return user


def _announce(place: Place, iam: Iam, wishes: Wishes, entry: Entry | None) -> None:
    """Say beforehand in which order a leaked key is replaced."""
    if not (wishes.leaked or (entry and entry.leaked)):
        return
    if iam.signs is Signs.KEY:
        place.tell(
            "only the key itself can sign: a new key is made and proven first, then the leaked one is deactivated at"
            " once (with --as ADMIN, or with MFA, it is deactivated first)"
        )
    else:
        place.tell("the leaked key is deactivated first; then a new one is made, stored and proven")


def _tell_quarantine(tell: Callable[[str], None], user: User, policy: str) -> None:
    tell(
        f"AWS has put user {user.name} under quarantine: look at what the key did, do what AWS's support case asks, and"
        f" then detach the policy (aws iam detach-user-policy --user-name {user.name} --policy-arn {policy})"
    )
