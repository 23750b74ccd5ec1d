"""Putting keys into a vault: nothing that is there is replaced unasked, and every key is read back and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum

from vault_core.api import ABSENT, Credentials
from vault_core.errors import StorageConflict, StorageError
from vault_core.storage.vault import Vault


class State(Enum):
    """What became of a key, or would."""

    COPIED = "copied"
    REPLACED = "replaced"
    """Another key was there."""
    SAME = "already there"
    CONFLICT = "conflict"
    """Another key is there, and stays."""
    FAILED = "failed"

    @property
    def arrived(self) -> bool:
        """The vault holds this key."""
        return self not in (State.CONFLICT, State.FAILED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One key's way."""

    name: str
    key: Credentials
    state: State
    reason: str = ""
    """Why it is a conflict or failed."""


@dataclass(frozen=True, slots=True)
class Mover:
    """Copies keys.

    :param vault: a profile's vault.
    :param changing: a context around the writing of a key.
    """

    vault: Callable[[str], Vault]
    changing: Callable[[Vault, str], AbstractContextManager[object]] = lambda _vault, _name: nullcontext()
    is_new: Callable[[Vault], bool] = lambda _vault: False
    """Whether a vault's store is still to be made, so that nothing can be in it."""
    overwrite: bool = False
    dry_run: bool = False
    """Write nothing; the outcomes say what would be done."""

    def copy(self, keys: Mapping[str, Credentials]) -> Iterator[Outcome]:
        """Copy keys one by one. A store that fails ends it: what comes after the failure is not tried.

        :raises VaultError: nothing at all could be done.
        """
        for number, (name, key) in enumerate(keys.items()):
            try:
                outcome = self._copy(name, key)
            except StorageError as error:
                if number == 0:
                    raise
                yield Outcome(name, key, State.FAILED, error.message)
                return
            yield outcome

    def _copy(self, name: str, key: Credentials) -> Outcome:
        vault = self.vault(name)
        there = None if self.is_new(vault) else vault.get(name, shared=False)
        if there is not None and there.credentials == key:
            return Outcome(name, key, State.SAME)
        if there is not None and not self.overwrite:
            return Outcome(name, key, State.CONFLICT, f"the key {there.credentials.access_key_id} is there already")
        if not self.dry_run:
            try:
                with self.changing(vault, name):
                    vault.put(name, key, expect=ABSENT if there is None else there.version)
            except StorageConflict:
                return Outcome(name, key, State.CONFLICT, "somebody else stored a key just now")
        return Outcome(name, key, State.COPIED if there is None else State.REPLACED)


def compared(outcomes: list[Outcome], vault: Callable[[str], Vault]) -> list[Outcome]:
    """The outcomes after every key that arrived was read back: one that differs has failed.

    :param vault: a profile's vault, opened anew.
    """
    return [outcome if _is_there(outcome, vault) else _lost(outcome) for outcome in outcomes]


def _is_there(outcome: Outcome, vault: Callable[[str], Vault]) -> bool:
    if not outcome.state.arrived:
        return True
    stored = vault(outcome.name).get(outcome.name)
    return stored is not None and stored.credentials == outcome.key


def _lost(outcome: Outcome) -> Outcome:
    return Outcome(outcome.name, outcome.key, State.FAILED, "read back, it is not the key that was written")
