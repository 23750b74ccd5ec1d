"""What a thief of this machine would have: stored keys, who they belong to, and what they open. No secrets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vault_core.errors import Cancelled, VaultError
from vault_core.rotation.aws import Aws
from vault_core.rotation.identifiers import is_key_id, is_role
from vault_core.rotation.journal import Journal
from vault_core.storage.vault import Store, StoredKey, Vault

if TYPE_CHECKING:
    from pathlib import Path

    from vault_core.api import Credentials
    from vault_core.plugins.host import Host
    from vault_core.sessions.cache import Session
    from vault_core.sessions.plan import Planner
    from vault_core.sessions.profiles import Profiles

VERSION = 1
"""Of the form of an inventory."""
WORKERS = 8
"""Keys asked about at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryStore:
    """A store that the settings or a profile name."""

    store: str
    place: str
    """A path or a URL."""
    reason: str | None = None
    """Why its keys, or some of them, are not listed; None: all are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileUse:
    """A profile that starts from a key."""

    profile: str
    roles: tuple[str, ...]
    """The ARNs of the roles that it assumes, the first one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose key it is. What is not known is None."""

    account: str | None = None
    user: str | None = None
    """The name of the IAM user."""
    user_arn: str | None = None
    known_from: str | None = None
    """Where this is from: ``aws`` (it was asked) or ``journal`` (of a rotation)."""
    reason: str | None = None
    """Why AWS did not say whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryKey:
    """One access key."""

    key: str
    """Its id."""
    store: str | None
    """The name of the store; None: the secret is in an AWS file, unencrypted."""
    place: str
    """The place of the store, or the file."""
    names: tuple[str, ...]
    """Under which it is stored; in an AWS file, the profiles."""
    shared: bool = False
    """The users of the store share it, under one of the names."""
    owner: Owner = field(default=Owner(), metadata={"inline": True})
    profiles: tuple[ProfileUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InventorySession:
    """A live session."""

    kind: str
    """``sts.GetSessionToken`` and so on."""
    profile: str
    expires: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that is stored here, without secrets."""

    version: int
    made: datetime
    """Aware, UTC."""
    stores: tuple[InventoryStore, ...]
    keys: tuple[InventoryKey, ...]
    sessions: tuple[InventorySession, ...]


@dataclass
class Stocktaking:
    """Makes the inventory of one command.

    :param folder: of the journals of rotations.
    :param sessions: the live ones.
    :param tell: shows a line about what is left out.
    :param check: ask AWS who each key belongs to, by GetCallerIdentity, which needs no permission and no MFA.
    """

    host: Host
    planner: Planner
    profiles: Profiles
    folder: Path
    sessions: Iterable[Session]
    tell: Callable[[str], None]
    check: bool = False
    _secrets: dict[str, tuple[str, Credentials]] = field(default_factory=dict)
    """The id of a stored key to the first name of it, and the key."""

    def take(self) -> Inventory:
        """The inventory.

        :raises VaultError: no store could be read: the error of the first one.
        """
        uses, stores = self._uses()
        reports, keys, errors = [], [], []
        for store in stores:
            report, found, error = self._read(store, uses)
            reports.append(report)
            keys += found
            errors += [error] if error is not None else []
        if errors and len(errors) == len(stores):
            raise errors[0]
        owners = self._ask() if self.check else {}
        plain = list(self._plain(uses))
        return Inventory(
            version=VERSION,
            made=datetime.now(UTC),
            stores=tuple(reports),
            keys=tuple(dataclasses.replace(key, owner=owners.get(key.key, key.owner)) for key in [*keys, *plain]),
            sessions=tuple(
                InventorySession(kind=one.kind, profile=one.profiles[-1], expires=one.credentials.expires)
                for one in self.sessions
            ),
        )

    # -- profiles ----------------------------------------------------------------------------------------------------

    def _uses(self) -> tuple[dict[tuple[str, str], list[ProfileUse]], list[Store]]:
        """The profiles by the store and the name of the key that they start from; and every store, each once."""
        uses: dict[tuple[str, str], list[ProfileUse]] = {}
        stores = {store.identity: store for store in self._named_stores()}
        for name in self.profiles.config.names():
            try:
                key, _ = self.planner.user(name)
                roles = self._roles(name)
            except VaultError as error:
                self.tell(f"profile {name!r} is left out: {error.message}")
                continue
            stores.setdefault(key.store.identity, key.store)
            uses.setdefault((key.store.identity, key.name), []).append(ProfileUse(profile=name, roles=roles))
        return uses, list(stores.values())

    def _named_stores(self) -> Iterator[Store]:
        """The selected store, and those of ``config.toml`` unless a flag selects one."""
        yield Store.choose(self.host)
        settings = self.host.settings
        for name in () if "backend" in settings.flags else settings.config.get("store", {}):
            try:
                yield Store.named(self.host, name)
            except VaultError as error:
                self.tell(f"store {name!r} is left out: {error.message}")

    def _roles(self, name: str) -> tuple[str, ...]:
        found = [profile.keys["role_arn"] for profile in reversed(self.profiles.chain(name)) if profile.role]
        for role in found:
            if not is_role(role):
                self.tell(f"profile {name!r}: {role!r} is not the ARN of a role, and is left out")
        return tuple(filter(is_role, found))

    # -- keys --------------------------------------------------------------------------------------------------------

    def _read(
        self, store: Store, uses: Mapping[tuple[str, str], list[ProfileUse]]
    ) -> tuple[InventoryStore, list[InventoryKey], VaultError | None]:
        """What one store holds; the error, if it holds nothing that can be read."""
        report = InventoryStore(store=store.name, place=store.place)
        vault = Vault(self.host, store)
        try:
            owners = vault.owners()
        except Cancelled:
            raise
        except VaultError as error:
            return dataclasses.replace(report, reason=error.message), [], error
        found: dict[str, InventoryKey] = {}
        reasons = []
        for name, shared in sorted(owners.items()):
            try:
                stored = vault.get(name, shared=shared)
            except Cancelled:
                raise
            except VaultError as error:
                reasons.append(error.message)
                continue
            if stored is not None:  # removed meanwhile
                self._add(found, vault, name, stored, uses.get((store.identity, name), []))
        return dataclasses.replace(report, reason="; ".join(reasons) or None), list(found.values()), None

    def _add(
        self, found: dict[str, InventoryKey], vault: Vault, name: str, stored: StoredKey, uses: list[ProfileUse]
    ) -> None:
        store, key = vault.store, stored.credentials
        if not is_key_id(key.access_key_id):
            self.tell(f"what is stored for {name!r} is left out: its id is not one that AWS gives to a key")
            return
        self._secrets.setdefault(key.access_key_id, (name, key))
        one = found.get(key.access_key_id)
        if one is None:
            one = InventoryKey(key=key.access_key_id, store=store.name, place=store.place, names=())
        found[one.key] = dataclasses.replace(
            one,
            owner=one.owner if one.owner.account else self._by_journal(store, name, stored),
            names=(*one.names, name),
            shared=one.shared or stored.shared,
            profiles=(*one.profiles, *(uses or [ProfileUse(profile=name, roles=())])),
        )

    def _by_journal(self, store: Store, name: str, stored: StoredKey) -> Owner:
        entry = Journal(self.folder, store.identity, name, shared=stored.shared).read()
        if entry is None or stored.credentials.access_key_id not in (entry.old, entry.new):
            return Owner()
        return Owner(account=entry.account, user=entry.user, known_from="journal")

    def _plain(self, uses: Mapping[tuple[str, str], list[ProfileUse]]) -> Iterator[InventoryKey]:
        """The keys of the AWS files, which no passphrase protects."""
        by_name = {name: profiles for (_, name), profiles in uses.items()}
        config = self.profiles.config
        found: dict[tuple[str, str], InventoryKey] = {}
        for name, section in (*config.profiles.items(), *config.credentials.items()):
            entry = section.entries.get("aws_access_key_id")
            if entry is None or "aws_session_token" in section.entries or not is_key_id(entry.value):
                continue
            place = str(entry.path)
            one = found.get((place, entry.value)) or InventoryKey(key=entry.value, store=None, place=place, names=())
            profiles = by_name.get(name, [ProfileUse(profile=name, roles=())])
            found[place, entry.value] = dataclasses.replace(
                one, names=(*one.names, name), profiles=(*one.profiles, *profiles)
            )
        yield from found.values()

    # -- AWS ---------------------------------------------------------------------------------------------------------

    def _ask(self) -> dict[str, Owner]:
        """What AWS says about each stored key, by its id."""
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = {key: pool.submit(self._whose, name, found) for key, (name, found) in self._secrets.items()}
            try:
                return {key: job.result() for key, job in jobs.items()}
            except BaseException:
                self.host.state.cancel()  # calls that wait for AWS stop now
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _whose(self, name: str, key: Credentials) -> Owner:
        try:
            identity = Aws(self.host, self.profiles, name).identify(key)
        except VaultError as error:
            return Owner(reason=error.message)
        kind, _, path = identity.arn.rpartition(":")[2].partition("/")
        user = path.rpartition("/")[2] if kind == "user" else None
        return Owner(account=identity.account, user=user, user_arn=identity.arn, known_from="aws")
