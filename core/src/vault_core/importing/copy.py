"""Copy keys into vaults: an existing key is replaced only on request, and every key is read back and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum

from vault_core.api import ABSENT, Credentials
from vault_core.errors import StorageConflict, StorageError
from vault_core.storage.vault import Vault


class State(Enum):
    """The result for one key; of a dry run, the result that a copy would have."""

    COPIED = "copied"
    REPLACED = "replaced"
    """A different key was stored."""
    SAME = "already stored"
    CONFLICT = "conflict"
    """A different key is stored, and was kept."""
    FAILED = "failed"
    NOT_TRIED = "not tried"
    """The store failed at an earlier key."""

    @property
    def arrived(self) -> bool:
        """Whether the vault holds this key."""
        return self in (State.COPIED, State.REPLACED, State.SAME)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one key."""

    name: str
    key: Credentials
    state: State
    reason: str = ""
    """Why a copy failed or conflicts."""


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies keys into vaults.

    :param vault: from a profile to its vault.
    :param changing: makes a context manager that is entered around each write.
    :param is_new: whether the store of a vault has yet to be created, so that it cannot hold a key.
    :param overwrite: replace stored keys that differ.
    :param dry_run: write nothing; the outcomes say what a copy would do.
    """

    vault: Callable[[str], Vault]
    changing: Callable[[Vault, str], AbstractContextManager[object]] = lambda _vault, _name: nullcontext()
    is_new: Callable[[Vault], bool] = lambda _vault: False
    overwrite: bool = False
    dry_run: bool = False

    def copy(self, keys: Mapping[str, Credentials]) -> Iterator[Outcome]:
        """Copy keys one by one. After a failure of the store the remaining keys are :attr:`State.NOT_TRIED`.

        :raises VaultError: the first key could not be copied.
        """
        failed = False
        for number, (name, key) in enumerate(keys.items()):
            if failed:
                yield Outcome(name, key, State.NOT_TRIED)
                continue
            try:
                outcome = self._copy(name, key)
            except StorageError as error:
                if number == 0:
                    raise
                failed, outcome = True, Outcome(name, key, State.FAILED, error.message)
            yield outcome

    def _copy(self, name: str, key: Credentials) -> Outcome:
        vault = self.vault(name)
        stored = None if self.is_new(vault) else vault.get(name, shared=False)
        if stored is not None and stored.credentials == key:
            return Outcome(name, key, State.SAME)
        if stored is not None and not self.overwrite:
            return Outcome(name, key, State.CONFLICT, f"key {stored.credentials.access_key_id} is already stored")
        if not self.dry_run:
            try:
                with self.changing(vault, name):
                    vault.put(name, key, expect=ABSENT if stored is None else stored.version)
            except StorageConflict:
                return Outcome(name, key, State.CONFLICT, "another process stored a key at the same time")
        return Outcome(name, key, State.COPIED if stored is None else State.REPLACED)


def compared(outcomes: list[Outcome], vault: Callable[[str], Vault]) -> list[Outcome]:
    """The outcomes after each stored key was read back; a key that differs has failed.

    :param vault: from a profile to its vault, newly opened.
    """
    return [outcome if _reads_back(outcome, vault) else _mismatch(outcome) for outcome in outcomes]


def _reads_back(outcome: Outcome, vault: Callable[[str], Vault]) -> bool:
    if not outcome.state.arrived:
        return True
    stored = vault(outcome.name).get(outcome.name)
    return stored is not None and stored.credentials == outcome.key


def _mismatch(outcome: Outcome) -> Outcome:
    return Outcome(outcome.name, outcome.key, State.FAILED, "the stored key differs from the key that was written")
