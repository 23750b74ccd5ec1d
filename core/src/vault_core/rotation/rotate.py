"""Rotation of one stored key: performs the steps of :mod:`vault_core.rotation.decide` until it is over."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from vault_core.api import AccessKey, Capability
from vault_core.errors import (
    AccessDenied,
    CredentialsRefused,
    NoSuchKey,
    OutcomeUnknown,
    PartlyDone,
    StorageError,
    TooManyKeys,
    UsageError,
    VaultError,
)
from vault_core.rotation.aws import patiently
from vault_core.rotation.decide import ENDS, MOST_KEYS, SETTLED, Do, Signs, Step, may_start, next_step
from vault_core.rotation.journal import Entry
from vault_core.rotation.place import Rotated
from vault_core.rotation.run import Run

_MOST_STEPS = 40
"""A rotation has a dozen."""


class Rotation(Run):
    """One run for one stored key, to be used while its journal is held."""

    def run(self) -> Rotated:
        """Perform steps until there is none.

        :raises PartlyDone: the user has to decide; the hint is the command.
        :raises VaultError: a step failed. Nothing is lost: the next run goes on from here.
        """
        try:
            return self._run()
        except VaultError:
            if text := self._left_active():
                self.place.tell(text)
            raise

    def _run(self) -> Rotated:
        if self.entry is not None and self.entry.new == self.held and not self.entry.is_waiting:
            self.place.drop_sessions()  # a run that was killed after it had stored the key did not
        self._list()
        self._note_wishes()
        self.may_start = may_start(self._facts())
        for _ in range(_MOST_STEPS):
            step = next_step(self._facts())
            if step.do not in ENDS:
                self._perform(step)
            elif step.do is Do.CHOOSE:
                self._choose()
            elif step.do is Do.ASK_REACTIVATED:
                raise self._reactivated(step.key)
            elif step.do is Do.ASK_RESTORED:
                raise self._restored(self._journal)
            else:
                return self._result()
        raise AssertionError("the rotation does not end")

    def _note_wishes(self) -> None:
        if self.wishes.revoke and self.entry and self.entry.leaked and not self.entry.revoke:
            self._write(replace(self.entry, revoke=True))
        key = self.wishes.replace
        if key is None or self.listed is None:
            return
        if key == self.held:
            raise UsageError(f"{key} is the stored key, which is replaced anyway", hint="name the other key")
        if key not in self.listed:
            keys = ", ".join(self.listed)
            raise UsageError(f"user {self.iam.user.name} has no key {key}", hint=f"the keys are: {keys}")

    # -- steps -------------------------------------------------------------------------------------------------------

    def _perform(self, step: Step) -> None:
        match step.do:
            case Do.FORGET:
                self.place.tell(f"the journal is about other keys than {self.held}, and is forgotten")
                self._close()
            case Do.START:
                self._start()
            case Do.MARK_LEAKED:
                self._write(replace(self._journal, leaked=True, revoke=self.wishes.revoke))
            case Do.CREATE:
                self._create()
            case Do.PROVE:
                self._prove()
            case Do.STORE:
                self._store()
            case Do.DEACTIVATE:
                self._deactivate(step.key)
            case Do.DELETE:
                self._delete(step.key)
            case Do.REVOKE:
                self._revoke()
            case Do.CLOSE:
                self._close()

    def _start(self) -> None:
        self.may_start = False
        entry = Entry(
            old=self.held,
            user=self.iam.user.name,
            account=self.iam.user.account,
            known=tuple(self.listed or ()),
            started=time.time(),
            leaked=self.wishes.leaked,
            revoke=self.wishes.revoke,
        )
        self._write(entry)

    def _create(self) -> None:
        try:
            made = self.iam.create()
        except TooManyKeys as error:
            patiently(partial(self._list_all, error), TooManyKeys)  # the list was from before another key was made
            return
        except OutcomeUnknown as error:
            raise OutcomeUnknown(
                f"{error.message}: there may be a key of user {self.iam.user.name} that no process has; the stored key"
                " is unchanged",
                hint=f"repeat the command: it shows such a key ({error.hint})" if error.hint else "repeat the command",
            ) from None
        now = time.time()
        self.secret, self.proven = made, False  # what was proven is the old key
        try:
            self._write(replace(self._journal, new=made.access_key_id, created=now))
        except VaultError as error:
            self._abandon(made.access_key_id, error)
        if self.listed is not None:
            created = datetime.fromtimestamp(now, UTC)
            key = AccessKey(id=made.access_key_id, user=self.iam.user.name, active=True, created=created)
            self.listed[key.id] = key
        self.place.tell(f"made {made.access_key_id} for user {self.iam.user.name}")

    def _prove(self) -> None:
        key = self.secret if self._has_secret and self.secret else self.stored.credentials
        try:
            self.iam.prove(key)
        except VaultError as error:
            if self.held != self._journal.old:
                raise
            self._abandon(key.access_key_id, error)
        self.proven = True
        self.place.tell(f"{key.access_key_id} works")

    def _store(self) -> None:
        assert self.secret is not None  # noqa: S101 - what the step is for
        failure: VaultError | None = None
        try:
            self.place.write(self.secret, self.stored.version)
        except VaultError as error:  # the write may have been done all the same
            failure = error
        try:
            found = self.place.find()
        except VaultError as error:
            raise self._unreadable(failure or error) from None
        self.stored = found or self.stored
        if found is None or found.credentials != self.secret:
            lost = failure or StorageError("the store does not return the key that was put into it")
            self._abandon(self.secret.access_key_id, lost)
        self.place.drop_sessions()
        self.place.tell(f"stored {self.held} for profile {self.place.name!r}")
        if self.iam.signs is Signs.KEY:
            self.iam.source, self.iam.patient = self.secret, True

    def _unreadable(self, error: VaultError) -> VaultError:
        return PartlyDone(
            f"{error.message}; whether the store holds {self._journal.new} or {self._journal.old} is not known, and"
            " both work",
            hint=f"when the store can be read again: {self._again()}, which finishes the rotation",
        )

    def _deactivate(self, key: str) -> None:
        self._update_copies(key)
        try:
            self.iam.deactivate(key)
        except NoSuchKey:
            self._is_gone(key)
        else:
            self.deactivated_now = True
            self.place.tell(f"made {key} inactive")
        self._write(replace(self._journal, deactivated=time.time()))
        if self.listed is not None and key in self.listed:
            self.listed[key] = replace(self.listed[key], active=False)

    def _delete(self, key: str) -> None:
        entry = self._journal
        if key == entry.new:
            return self._delete_new(key)
        if key == entry.old:
            self._update_copies(key)
        else:
            self.place.refuse_replaced(self.stored)  # the question may have been open for long
            self.place.tell(f"deleting {self._shown(key)}")
        with suppress(NoSuchKey):
            self.iam.delete(key)
        self._is_gone(key)
        self.place.tell(f"deleted {key}")
        return None

    def _delete_new(self, key: str) -> None:
        """A key whose secret nobody has."""
        self._be_sure_of_old()
        created = self._journal.created or 0.0
        try:
            self.iam.delete(key, patient=time.time() - created < SETTLED)
        except NoSuchKey:
            if time.time() - created < SETTLED:
                raise
        self._write(replace(self._journal, new=None, created=None))
        self._is_gone(key)
        self.place.tell(f"deleted {key}, which an earlier run made and did not store")

    def _be_sure_of_old(self) -> None:
        """Have the store confirm that it holds the old key, and will: a server may answer from before a write, or
        carry it out later.

        :raises StorageConflict: it holds another one.
        """
        if Capability.REMOTE in self.place.vault.store.spec.capabilities:
            try:
                self.place.write(self.stored.credentials, self.stored.version)
            finally:
                self.stored = self.place.read()

    def _revoke(self) -> None:
        """A missing permission does not keep the leaked key from being replaced: it is reported at the end."""
        before = datetime.now(UTC)
        try:
            self.iam.revoke(before)
        except CredentialsRefused:
            raise
        except AccessDenied as error:
            self.not_revoked = error
        else:
            self.place.tell(f"revoked the sessions of user {self.iam.user.name} from before {before:%H:%M:%S} UTC")
        self._write(replace(self._journal, revoked=before.timestamp()))

    def _close(self) -> None:
        for key in self._facts().others if self._journal.leaked else ():  # a thief could make more
            self.place.tell(f"user {self.iam.user.name} has another key, which is not touched: {self._shown(key)}")
        self.place.journal.remove()
        self.replaced, self.entry = self._journal.old, None

    def _update_copies(self, old: str) -> None:
        """Other names of the store may have the same key."""
        if self.held == old:
            return
        for name, stored in self.place.copies(old).items():
            place = replace(self.place, name=name, shared=False, journal=self.place.journal.of(name))
            with place.changes.changing_key(place.vault, name):
                place.write(self.stored.credentials, stored.version)
            place.journal.write(self._journal)  # a rotation of that name finds the same facts
            self.place.tell(f"stored {self.held} for profile {name!r}, too")

    def _abandon(self, key: str, error: VaultError) -> None:
        """Delete a new key that cannot be used.

        :raises VaultError: always: why it cannot be used, and what became of it.
        """
        try:
            self._be_sure_of_old()
            self.iam.delete(key, patient=True)
            if self._journal.new is not None:
                self._write(replace(self._journal, new=None, created=None))
        except VaultError as again:
            raise PartlyDone(
                f"{error.message}; the new key {key} could not be deleted: {again.message}; {self._unchanged()}",
                hint=f"{self._again()}, which deletes {key} first",
            ) from None
        raise type(error)(
            f"{error.message}; the new key {key} was deleted again; {self._unchanged()}",
            hint=error.hint,
        ) from None

    def _choose(self) -> None:
        """Show the keys, and have the user name one to delete.

        :raises PartlyDone: nobody did.
        :raises StorageConflict: one of them is the key that is stored by now.
        """
        self.place.refuse_replaced(self.stored)
        keys = self._facts().others
        if len(keys) == 1 and self.place.confirm is not None:
            self.place.tell(f"user {self.iam.user.name} has another key, and no room for a new one")
            self.place.tell(self._shown(self.held))
            if self.place.confirm(f"Delete {self._shown(keys[0])}?"):
                self.wishes = replace(self.wishes, replace=keys[0])
                return
        other = keys[0] if keys else "KEYID"
        flags = ("--replace", other, *(["--leaked"] if self.wishes.leaked else []))
        raise PartlyDone(
            f"user {self.iam.user.name} has {MOST_KEYS} keys, as many as AWS allows, and awsv deletes none that it did"
            f" not make: {'; '.join(map(self._shown, (self.held, *keys)))}",
            hint=f"if {other} is not in use: {self.place.command(*flags)}",
        )
