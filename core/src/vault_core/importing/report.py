"""Import a scan: copy its keys, compare them, and report the result of every entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from vault_core.api import Credentials, ImportScan, Rejected
from vault_core.errors import UsageError, VaultError
from vault_core.importing.copy import Copier, Outcome, State, compared
from vault_core.importing.vaults import Vaults
from vault_core.storage.vault import Vault, check_name

if TYPE_CHECKING:
    from vault_core.importing.identify import KeyCheck


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
    place: str | None
    """Where that store is, for people."""
    check: KeyCheck | None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result for every entry of a scan."""

    source: str
    dry_run: bool
    keys: list[ImportedKey]
    sessions: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def arrived(self) -> list[ImportedKey]:
        """The keys that the vault holds (of a dry run: would hold)."""
        return [key for key in self.keys if key.state.arrived]

    @property
    def missing(self) -> list[tuple[str, str]]:
        """The entries that should have been stored and were not: name and reason."""
        failed = [(key.profile, key.reason or key.state.value) for key in self.keys if not key.state.arrived]
        return failed + [(entry.name, entry.reason) for entry in self.rejected]

    @property
    def places(self) -> list[str]:
        """The places of the stores that hold the keys."""
        return list(dict.fromkeys(key.place for key in self.arrived if key.place))

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        keys = []
        for key in self.keys:
            fields = {**asdict(key), "state": key.state.name.lower()}
            del fields["place"]
            keys.append(fields)
        rejected = [asdict(entry) for entry in self.rejected]
        return {
            "source": self.source,
            "dry_run": self.dry_run,
            "keys": keys,
            "sessions": self.sessions,
            "bad": rejected,
        }


def import_scan(
    scan: ImportScan,
    vaults: Vaults,
    changing: Callable[[Vault, str], AbstractContextManager[object]],
    checks: Mapping[str, KeyCheck] | None = None,
    *,
    overwrite: bool,
    dry_run: bool,
) -> ImportReport:
    """Copy each key of a scan into its profile's vault, then read it back and compare.

    :param changing: see :class:`~vault_core.importing.copy.Copier`.
    :raises VaultError: nothing could be copied.
    """
    _reject_bad_entries(scan)
    copier = Copier(vaults, changing, vaults.is_new, overwrite=overwrite, dry_run=dry_run)
    outcomes = list(copier.copy(scan.keys))
    if not dry_run:
        outcomes = compared(outcomes, vaults.reopened())
    return report_of(scan, outcomes, vaults, checks, dry_run=dry_run)


def report_of(
    scan: ImportScan,
    outcomes: Sequence[Outcome],
    vault: Callable[[str], Vault],
    checks: Mapping[str, KeyCheck] | None = None,
    *,
    dry_run: bool,
) -> ImportReport:
    """The report on a scan whose keys were copied."""
    keys = []
    for outcome in outcomes:
        name: str | None = None
        place: str | None = None
        with suppress(VaultError):
            store = vault(outcome.name).store
            name, place = store.name, store.place
        keys.append(
            ImportedKey(
                profile=outcome.name,
                access_key_id=outcome.key.access_key_id,
                state=outcome.state,
                reason=outcome.reason or None,
                store=name,
                place=place,
                check=(checks or {}).get(outcome.name),
            )
        )
    return ImportReport(scan.source, dry_run, keys, scan.sessions, scan.rejected)


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
