"""Import a scan: copy its keys, compare them, and report the result of every entry.

An existing key is replaced only on request, and every key is read back and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from vault_core.api import ABSENT, Credentials, ImportScan, Rejected
from vault_core.errors import StorageConflict, StorageError, UsageError, VaultError
from vault_core.importing.vaults import Vaults
from vault_core.storage.vault import StoredKey, Vault, check_name

if TYPE_CHECKING:
    from vault_core.sessions.identify import KeyCheck


class State(StrEnum):
    """The result for one key; of a dry run, the result that a copy would have."""

    COPIED = "copied"
    REPLACED = "replaced"
    """A different key was stored."""
    SAME = "same"
    CONFLICT = "conflict"
    """A different key is stored, and was kept."""
    FAILED = "failed"
    NOT_TRIED = "not_tried"
    """The store failed at an earlier key."""

    @property
    def arrived(self) -> bool:
        """Whether the vault holds this key."""
        return self in (State.COPIED, State.REPLACED, State.SAME)

    @property
    def text(self) -> str:
        """The state for people."""
        return "already stored" if self is State.SAME else self.replace("_", " ")


@dataclass(frozen=True, slots=True)
class ImportedKey:
    """The result for one key."""

    profile: str
    access_key_id: str
    state: State
    reason: str | None
    """Why the copy failed or conflicts."""
    store: str | None
    """Name of the profile's store; None if it cannot be selected."""
    place: str | None = field(metadata={"json": None})
    """Where that store is, for people."""
    check: KeyCheck | None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result for every entry of a scan."""

    source: str
    dry_run: bool
    keys: list[ImportedKey]
    sessions: list[str]
    rejected: list[Rejected] = field(metadata={"json": "bad"})

    @property
    def arrived(self) -> list[ImportedKey]:
        """The keys that the vault holds (of a dry run: would hold)."""
        return [key for key in self.keys if key.state.arrived]

    @property
    def missing(self) -> list[tuple[str, str]]:
        """The entries that should have been stored and were not: name and reason."""
        failed = [(key.profile, key.reason or key.state.text) for key in self.keys if not key.state.arrived]
        return failed + [(entry.name, entry.reason) for entry in self.rejected]

    @property
    def places(self) -> list[str]:
        """The places of the stores that hold the keys."""
        return list(dict.fromkeys(key.place for key in self.arrived if key.place))


_Result = tuple[State, str | None]
"""The state of a key, and its reason."""


def import_scan(
    scan: ImportScan,
    vaults: Vaults,
    changing: Callable[[Vault, str], AbstractContextManager[object]],
    checks: Mapping[str, KeyCheck] | None = None,
    *,
    overwrite: bool,
    dry_run: bool,
) -> ImportReport:
    """Copy each key of a scan into its profile's vault, then read it back from a vault that is opened again.

    After a failure of the store the remaining keys are :attr:`State.NOT_TRIED`.

    :param changing: makes a context manager that is entered around each write.
    :param overwrite: replace stored keys that differ.
    :param dry_run: write nothing; the report says what a copy would do.
    :raises VaultError: the first key could not be copied.
    """
    _reject_bad_entries(scan)
    results: dict[str, _Result] = dict.fromkeys(scan.keys, (State.NOT_TRIED, None))
    for number, (name, key) in enumerate(scan.keys.items()):
        try:
            vault = vaults(name)
            stored = None if vaults.is_new(vault) else vault.get(name, shared=False)
            results[name] = _decided(stored, key, overwrite=overwrite)
            if results[name][0] in (State.COPIED, State.REPLACED) and not dry_run:
                with changing(vault, name):
                    vault.put(name, key, expect=ABSENT if stored is None else stored.version)
        except StorageConflict:
            results[name] = State.CONFLICT, "another process stored a key at the same time"
        except StorageError as error:
            if number == 0:
                raise
            results[name] = State.FAILED, error.message
            break
    if not dry_run:
        reopened = vaults.reopened()
        for name, (state, _) in results.items():
            if state.arrived and not reopened(name).holds(name, scan.keys[name]):
                results[name] = State.FAILED, "the stored key differs from the key that was written"
    keys = [
        ImportedKey(name, scan.keys[name].access_key_id, *result, *_store(vaults, name), (checks or {}).get(name))
        for name, result in results.items()
    ]
    return ImportReport(scan.source, dry_run, keys, scan.sessions, scan.rejected)


def _decided(stored: StoredKey | None, key: Credentials, *, overwrite: bool) -> _Result:
    if stored is None:
        return State.COPIED, None
    if stored.credentials == key:
        return State.SAME, None
    if overwrite:
        return State.REPLACED, None
    return State.CONFLICT, f"key {stored.credentials.access_key_id} is already stored"


def _store(vaults: Vaults, profile: str) -> tuple[str | None, str | None]:
    """Name and place of the store of a profile."""
    with suppress(VaultError):
        store = vaults(profile).store
        return store.name, store.place
    return None, None


def _reject_bad_entries(scan: ImportScan) -> None:
    """Reject what the vault would not give back as it was stored."""
    for name, key in list(scan.keys.items()):
        if reason := _problem(name, key):
            del scan.keys[name]
            shown = name[:40].encode("utf-8", "backslashreplace").decode()
            scan.rejected.append(Rejected(shown, reason))


def _problem(name: str, key: Credentials) -> str | None:
    try:
        check_name(name)
        texts = (key.access_key_id, key.secret_access_key.reveal_text())
    except UsageError as error:
        return error.message
    except ValueError:
        return "the secret access key is not text"
    if key.session_token is not None or key.expires is not None:
        return "the key belongs to a session"
    return None if all(text and text.isprintable() for text in texts) else "the key is empty or has control characters"
