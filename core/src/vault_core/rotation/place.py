"""What one rotation is asked for, what became of it, and where its key is stored."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vault_core.api import Capability, Credentials
from vault_core.command_line import command_line
from vault_core.errors import StorageConflict, StorageError, VaultError
from vault_core.rotation.journal import Journal

if TYPE_CHECKING:
    from vault_core.sessions.key_changes import KeyChanges
    from vault_core.storage.vault import StoredKey, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user asks of a rotation."""

    leaked: bool = False
    finish: bool = False
    revoke: bool = False
    replace: str | None = None
    """The id of a key to delete if there is no room for a new one."""
    shared: bool = False
    grace: float = 0.0
    """Seconds between the deactivation of a key and its deletion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What became of one stored key."""

    name: str
    """The name under which the key is stored."""
    user: str | None = None
    old: str | None = None
    """The id of the key before; None where nothing is known to be under way."""
    new: str | None = None
    """The id of the key that the vault holds now."""
    state: str
    """``inactive`` (a new key is stored, and the old one is inactive), ``waiting`` (so it was before, and it is not yet
    to be deleted), ``deleted`` (the old key), ``nothing`` (to finish) or ``failed``."""
    due: datetime | None = None
    """From when on the old key is deleted by the next rotation; aware, UTC."""
    error: VaultError | None = None


@dataclass
class Place:
    """Where a key is stored, and what is shown and asked about it."""

    name: str
    profile: str
    """For commands in hints."""
    vault: Vault
    journal: Journal
    changes: KeyChanges
    tell: Callable[[str], None]
    """Shows a line about progress."""
    confirm: Callable[[str], bool] | None
    """Asks yes or no; None: the user cannot be asked."""
    shared: bool = False
    admin: str | None = None
    """The profile that signs, if it is not the key's own; for commands in hints."""

    def command(self, *flags: str) -> str:
        """The command that rotates this key, by the same signer."""
        shared = ("--shared",) if self.shared else ()
        admin = ("--as", shlex.quote(self.admin)) if self.admin is not None else ()
        return command_line(" ".join(("awsv rotate", *shared, *admin, *flags)), self.profile)

    def read(self) -> StoredKey:
        """The stored key.

        :raises StorageError: there is none.
        """
        found = self.find()
        if found is None:
            store = self.vault.store
            raise StorageError(
                f"no key is stored for profile {self.name!r} in store {store.name!r} ({store.place})",
                hint=command_line("awsv add --shared" if self.shared else "awsv add", self.name),
            )
        return found

    def find(self) -> StoredKey | None:
        """The stored key, if there is one."""
        return self.vault.get(self.name, shared=self.shared)

    def refuse_replaced(self, known: StoredKey) -> None:
        """:raises StorageConflict: the store holds another key by now: a run for another name of the same key, or of
        another user of the store, has a journal of its own.
        """
        found = self.find()
        if found is not None and found.credentials != known.credentials:
            raise StorageConflict(
                f"another process replaced the key of {self.name!r} meanwhile",
                hint="repeat the command, which goes on with the key that is stored now",
            )

    def write(self, key: Credentials, expect: str) -> None:
        """Store a key of the same user. The sessions of the old one stay until :meth:`drop_sessions`: when a leaked key
        is inactive, its session is all that can sign, also for the run after one that failed or was killed here."""
        self.vault.put(self.name, key, expect=expect, shared=self.shared)

    def drop_sessions(self) -> None:
        """Serve no session of an earlier key any more.

        :raises StorageError: the state folder cannot be written.
        """
        with self.changes.changing_key(self.vault, self.name):
            pass

    def copies(self, key_id: str) -> dict[str, StoredKey]:
        """The other names under which a key is stored. A store on a server is not searched: each name is a request."""
        if Capability.REMOTE in self.vault.store.spec.capabilities:
            return {}
        found = {name: self.vault.get(name, shared=False) for name in self.vault.names() if name != self.name}
        return {name: key for name, key in found.items() if key and key.credentials.access_key_id == key_id}
