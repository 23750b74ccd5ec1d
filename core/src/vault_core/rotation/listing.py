"""What IAM says about stored keys: age, last use, status; and what the journals say is due."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from vault_core.api import AccessKey, Credentials
from vault_core.errors import CredentialsRefused, PluginError, VaultError
from vault_core.rotation.aws import Aws, user_of
from vault_core.rotation.journal import Entry, Journal

if TYPE_CHECKING:
    from pathlib import Path

    from vault_core.plugins.host import Host
    from vault_core.sessions.cache import Cache
    from vault_core.sessions.plan import Planner
    from vault_core.sessions.profiles import Profiles
    from vault_core.storage.vault import Vault

WORKERS = 8
"""Keys asked about at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReport:
    """One stored key. What is not known is None, and ``reason`` says why."""

    name: str
    """The name under which it is stored."""
    key: str
    """Its id."""
    shared: bool
    """The users of the store share it."""
    user: str | None = None
    """The IAM user."""
    active: bool | None = None
    created: datetime | None = None
    """Aware, UTC."""
    last_used: datetime | None = None
    """Aware, UTC; None also if it was never used."""
    last_used_service: str | None = None
    is_old: bool | None = None
    """Whether it is older than the setting ``key_max_age``."""
    due: str | None = None
    """What the rotation of the key still has to do: ``finish`` (it was interrupted) or ``delete`` (the old key)."""
    due_key: str | None = None
    """The id of the key that the rotation replaced."""
    due_from: datetime | None = None
    """From when on that key is deleted by the next rotation; aware, UTC."""
    reason: str | None = None


@dataclass(frozen=True)
class Reports:
    """Makes the reports of one command.

    :param folder: of the journals.
    :param max_age: seconds.
    :param grace: seconds between the deactivation of a key and its deletion.
    """

    host: Host
    planner: Planner
    profiles: Profiles
    cache: Cache
    folder: Path
    max_age: float
    grace: float

    def make(self, vault: Vault) -> list[KeyReport]:
        """The reports of all keys in a store, in the order of their names. Each key is asked about once.

        :raises StorageError: the store failed.
        :raises PluginError: the session provider manages no keys.
        """
        stored = {}
        for name, shared in sorted(vault.owners().items()):
            found = vault.get(name, shared=shared)
            if found is not None:  # removed meanwhile
                stored[name] = found
        first: dict[str, str] = {}
        for name, key in stored.items():
            first.setdefault(key.credentials.access_key_id, name)
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = {name: pool.submit(self._ask, name, stored[name].credentials) for name in first.values()}
            try:
                answers = {name: job.result() for name, job in jobs.items()}
            except BaseException:
                self.host.state.cancel()  # calls that wait for AWS stop now
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        reports = []
        for name, key in stored.items():
            asked = dataclasses.replace(answers[first[key.credentials.access_key_id]], name=name, shared=key.shared)
            entry = Journal(self.folder, vault.store.identity, name, shared=key.shared).read()
            reports.append(self._with_due(asked, entry))
        return reports

    def _ask(self, name: str, key: Credentials) -> KeyReport:
        report = KeyReport(name=name, key=key.access_key_id, shared=False)
        try:
            aws = Aws(self.host, self.profiles, name)
            signer = self._live_session(name) or key
            user = user_of(aws.identify(signer), key.access_key_id).name
            report = dataclasses.replace(report, user=user)
            keys: Mapping[str, AccessKey] = {one.id: one for one in aws.keys.list_keys(aws.request(signer, user))}
        except PluginError:
            raise
        except CredentialsRefused as error:
            return dataclasses.replace(report, active=False, reason=error.message)
        except VaultError as error:
            return dataclasses.replace(report, reason=error.message)
        if key.access_key_id not in keys:
            return dataclasses.replace(report, reason=f"IAM does not list it among the keys of user {user}")
        return self._known(report, keys[key.access_key_id])

    def _live_session(self, name: str) -> Credentials | None:
        """A session with MFA that is there already: some policies want one. Nothing is asked for."""
        with suppress(VaultError):
            _, session = self.planner.user(name)
            live = self.cache.get(session.cache_key) if session is not None else None
            return live.credentials if live is not None else None
        return None

    def _known(self, report: KeyReport, key: AccessKey) -> KeyReport:
        use = key.last_use
        return dataclasses.replace(
            report,
            active=key.active,
            created=key.created,
            last_used=use.at if use else None,
            last_used_service=use.service if use else None,
            is_old=datetime.now(UTC) - key.created > timedelta(seconds=self.max_age),
            reason=None if use else "the last use is not known: iam:GetAccessKeyLastUsed is denied",
        )

    def _with_due(self, report: KeyReport, entry: Entry | None) -> KeyReport:
        if entry is None or report.key not in (entry.old, entry.new):
            return report
        if not entry.is_waiting:
            return dataclasses.replace(report, due="finish", due_key=entry.old)
        due = datetime.fromtimestamp((entry.deactivated or 0.0) + self.grace, UTC)
        return dataclasses.replace(report, due="delete", due_key=entry.old, due_from=due)
