"""What one run of a rotation knows, and what it tells the user."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vault_core.api import AccessKey, Credentials
from vault_core.errors import AccessDenied, CredentialsRefused, PartlyDone, TooManyKeys, VaultError
from vault_core.rotation.aws import Iam
from vault_core.rotation.decide import Facts, Signs
from vault_core.rotation.journal import Entry
from vault_core.rotation.place import Place, Rotated, Wishes
from vault_core.rotation.text import described

if TYPE_CHECKING:
    from vault_core.storage.vault import StoredKey


@dataclass
class Run:
    """The state of one run for one stored key: :class:`vault_core.rotation.rotate.Rotation` changes it step by step."""

    place: Place
    iam: Iam
    wishes: Wishes
    stored: StoredKey
    entry: Entry | None
    listed: dict[str, AccessKey] | None = None
    gone: set[str] = field(default_factory=set)
    secret: Credentials | None = None
    """The new key."""
    proven: bool = False
    may_start: bool = True
    replaced: str | None = None
    """The id of the key whose rotation ended in this run."""
    deactivated_now: bool = False
    not_revoked: VaultError | None = None
    """Why the sessions could not be revoked."""

    @property
    def held(self) -> str:
        return self.stored.credentials.access_key_id

    def _facts(self) -> Facts:
        return Facts(
            held=self.held,
            listed=None if self.listed is None else {key.id: key.active for key in self.listed.values()},
            journal=self.entry,
            signs=self.iam.signs,
            now=time.time(),
            grace=self.wishes.grace,
            gone=self.gone,
            leaked=self.wishes.leaked,
            finish=self.wishes.finish,
            replace=self.wishes.replace,
            has_secret=self._has_secret,
            proven=self.proven,
            may_start=self.may_start,
        )

    @property
    def _has_secret(self) -> bool:
        return self.secret is not None and self.entry is not None and self.secret.access_key_id == self.entry.new

    def _list(self) -> None:
        try:
            self.listed = {key.id: key for key in self.iam.list()}
        except CredentialsRefused:
            raise
        except AccessDenied:
            if not (self.wishes.leaked or (self.entry and self.entry.leaked)):
                raise
            self.listed = None  # the leaked key goes all the same

    def _list_all(self, full: TooManyKeys) -> None:
        """:raises TooManyKeys: IAM still does not list all keys."""
        self._list()
        if self._facts().has_room:
            raise full

    def _write(self, entry: Entry) -> None:
        self.place.journal.write(entry)
        self.entry = entry

    @property
    def _journal(self) -> Entry:
        assert self.entry is not None  # noqa: S101 - steps of a rotation that has begun
        return self.entry

    def _is_gone(self, key: str) -> None:
        self.gone.add(key)
        if self.listed is not None:
            self.listed.pop(key, None)

    # -- messages ----------------------------------------------------------------------------------------------------

    def _shown(self, key: str) -> str:
        found = (self.listed or {}).get(key)
        if found is None:
            return key
        if found.last_use is None and self.listed is not None:
            with suppress(VaultError):  # otherwise it is shown without its use
                self.listed |= {one.id: one for one in self.iam.list(with_use=True) if one.id in self.listed}
        notes = ["stored here"] if key == self.held else []
        entry = self.entry
        if entry and key not in (*entry.known, entry.new) and key != self.held:
            notes.append("made after the rotation began, perhaps by a run that was interrupted")
        return described(self.listed[key] if self.listed else found, notes)

    def _left_active(self) -> str | None:
        """About a key that a run which ends early did not deactivate, although it was to."""
        entry = self.entry
        if entry is None or (self.wishes.leaked and not entry.leaked):
            key, leaked = self.held, self.wishes.leaked
        else:
            key, leaked = entry.old, entry.leaked
            if entry.deactivated is not None or (self.held == key and not leaked):
                return None
        found = (self.listed or {}).get(key)
        if key in self.gone or (found is not None and not found.active):
            return None
        if leaked:
            more = "" if self.iam.signs is Signs.ADMIN else "; --as ADMIN deactivates it first"
            return f"{key} has leaked and is still active{more}"
        return f"{self.held} is stored and works; {key} is still active" if key != self.held else None

    def _unchanged(self) -> str:
        old = self._journal.old
        return f"{old} is stored as before" if self.held == old else f"another process stored {self.held} meanwhile"

    def _reactivated(self, key: str) -> PartlyDone:
        return PartlyDone(
            f"the old key of profile {self.place.name!r} was made active again: {self._shown(key)}",
            hint=f"when nothing needs it: {self.place.command('--finish')}",
        )

    def _restored(self, entry: Entry) -> PartlyDone:
        user = self.iam.user.name
        return PartlyDone(
            f"the vault holds {entry.old} for profile {self.place.name!r} again: {entry.new} replaced it, and it is"
            " inactive",
            hint=f"restore the store that holds {entry.new}; else, 'aws iam update-access-key --user-name {user}"
            f" --access-key-id {entry.old} --status Active', then repeat in a minute",
        )

    def _again(self) -> str:
        return f"'{self.place.command()}'"

    def _result(self) -> Rotated:
        """:raises PartlyDone: the sessions were to be revoked, and were not."""
        if self.not_revoked is not None:
            raise PartlyDone(
                f"{self.held} has replaced the leaked key, but the sessions of user {self.iam.user.name} were not"
                f" revoked: {self.not_revoked.message}",
                hint="have an administrator attach the policy AWSRevokeOlderSessions (docs/rotation.md)",
            )
        entry = self.entry
        user = self.iam.user.name
        if entry is None:
            state = "deleted" if self.replaced in self.gone else "nothing"
            return Rotated(name=self.place.name, user=user, old=self.replaced, new=self.held, state=state)
        due = datetime.fromtimestamp((entry.deactivated or 0.0) + self.wishes.grace, UTC)
        return Rotated(
            name=self.place.name,
            user=user,
            old=entry.old,
            new=self.held,
            state="inactive" if self.deactivated_now else "waiting",
            due=due,
        )
