"""Deactivate the keys that an inventory names, and revoke sessions: from another machine, with other credentials.

Nothing but what the inventory names is changed, and of the inventory nothing is trusted: AWS says whose a key is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from vault_core.errors import (
    AccessDenied,
    Cancelled,
    ConfigError,
    NoSuchKey,
    SessionError,
    VaultError,
)
from vault_core.rotation.aws import Aws, signer
from vault_core.rotation.decide import SETTLED
from vault_core.rotation.inventory import WORKERS
from vault_core.rotation.inventory_file import Listed, ListedKey

if TYPE_CHECKING:
    from vault_core.api import AccessKey, Credentials
    from vault_core.plugins.host import Host
    from vault_core.sessions.engine import Engine
    from vault_core.sessions.plan import Planner
    from vault_core.sessions.profiles import Profiles

T = TypeVar("T")
U = TypeVar("U")

DONE = frozenset(("inactive", "was inactive", "deleted", "revoked"))
"""The states in which nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """One key, or the sessions of one user or role: what is to be done, or what became of it."""

    kind: str
    """``key``, ``user`` or ``role``."""
    subject: str
    """The id of the key, the name of the user, the ARN of the role."""
    account: str | None = None
    user: str | None = None
    """Whose key it is."""
    admin: str | None = None
    """The profile that signs; None: none can."""
    state: str
    """``active`` and ``not revoked`` (to be done), ``inactive``, ``was inactive``, ``deleted``, ``revoked``,
    ``foreign`` (of an account of no given profile) or ``failed``."""
    error: VaultError | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done."""
        return self.state in ("active", "not revoked")


@dataclass(frozen=True, slots=True)
class Admin:
    """A profile whose credentials sign."""

    profile: str
    account: str
    is_: tuple[str, str]
    """``user`` or ``role``, and its name."""
    credentials: Credentials
    aws: Aws

    def owns(self, one: Revoked) -> bool:
        """Whether these credentials end, or may do no more, when this is done."""
        if one.kind == "key":
            return one.subject == self.credentials.access_key_id
        return one.account == self.account and self.is_ == (one.kind, _name(one.subject))


def administrators(
    host: Host, planner: Planner, engine: Engine, profiles: Profiles, names: Sequence[str], tell: Callable[[str], None]
) -> list[Admin]:
    """The profiles that sign. One that fails is left out with a notice.

    :raises VaultError: all fail: the error of the first one.
    """
    found, errors = [], []
    for name in dict.fromkeys(names):
        try:
            credentials = signer(planner, engine, name)
            aws = Aws(host, profiles, name)
            identity = aws.identify(credentials)
        except Cancelled:
            raise
        except VaultError as error:
            errors.append((name, error))
            continue
        kind, *rest = identity.arn.rpartition(":")[2].split("/")
        is_ = ("role", rest[0]) if kind == "assumed-role" and rest else (kind, rest[-1] if rest else "")
        found.append(Admin(name, identity.account, is_, credentials, aws))
    if not found:
        raise errors[0][1]
    for name, failure in errors:
        tell(f"profile {name!r} cannot sign: {failure.message}")
    return found


@dataclass
class Revocation:
    """What is done about one inventory.

    :param sessions: revoke the sessions of the users, and of the roles, too.
    :param tell: shows a line about progress.
    """

    host: Host
    admins: Sequence[Admin]
    listed: Listed
    tell: Callable[[str], None]
    sessions: bool = False

    def run(self, agree: Callable[[Sequence[Revoked]], None]) -> list[Revoked]:
        """What became of each key, user and role, errors included.

        :param agree: gets what is to be done before anything is; what it raises prevents that.
        """
        found = self.look()
        agree(found)
        return self.perform(found)

    def look(self) -> list[Revoked]:
        """What is to be done. Changes nothing."""
        found = self._each(self._find, self.listed.keys)
        if not self.sessions:
            return found
        users = {(one.account, one.user): one for one in found if one.user is not None and one.admin is not None}
        return [
            *found,
            *(
                Revoked(kind="user", subject=user or "", account=account, admin=one.admin, state="not revoked")
                for (account, user), one in users.items()
            ),
            *map(self._role, self.listed.roles),
        ]

    def perform(self, found: Sequence[Revoked]) -> list[Revoked]:
        """Do what is to be done, whatever fails; the outcomes in the same order.

        The keys are first. Last is what ends the credentials that sign.
        """
        outcomes = list(found)
        ranks: dict[int, list[int]] = {}
        for number, one in enumerate(found):
            if one.is_open:
                ranks.setdefault(self._rank(one), []).append(number)
        for rank in sorted(ranks):
            done = self._each(lambda number: self._do(found[number]), ranks[rank])
            for number, outcome in zip(ranks[rank], done, strict=True):
                outcomes[number] = outcome
        return outcomes

    # -- looking -----------------------------------------------------------------------------------------------------

    def _find(self, key: ListedKey) -> Revoked:
        """Whose key it is, by the first profile that can say."""
        unknown = Revoked(kind="key", subject=key.id, account=key.account, user=key.user, state="failed")
        if key.is_root:
            root = ConfigError(
                f"{key.id} is a key of the root user of account {key.account}: nobody else can deactivate it",
                hint="sign in as the root user, and deactivate it there (account menu, Security credentials)",
            )
            return dataclasses.replace(unknown, error=root)
        errors: dict[str, VaultError] = {}
        for admin in sorted(self.admins, key=lambda one: one.account != key.account):
            try:
                user = admin.aws.keys.owner_of(admin.aws.request(admin.credentials, None), key.id)
            except SessionError as denied:
                errors[admin.profile] = denied
                found = self._by_user(admin, key, denied) if admin.account == key.account else None
            else:
                found = self._active(admin, key.id, user)
                errors[admin.profile] = NoSuchKey(f"{key.id} is not a key of user {user} in account {admin.account}")
            if found is not None:
                return found
        accounts = {admin.account for admin in self.admins}
        if (
            all(isinstance(error, AccessDenied | NoSuchKey) for error in errors.values())
            and key.account not in accounts
        ):
            return dataclasses.replace(unknown, state="foreign", error=_foreign(key.id, key.account))
        own = [admin.profile for admin in self.admins if admin.account == key.account] or list(errors)
        return dataclasses.replace(unknown, error=errors[own[0]])

    def _by_user(self, admin: Admin, key: ListedKey, denied: SessionError) -> Revoked | None:
        """What the user whom the inventory names has, if AWS does not say whose the key is; None: it is not known."""
        try:
            keys = self._keys_of(admin, key.user)
        except SessionError:
            return None
        if key.user is not None and key.id in {one.id for one in keys}:
            return self._active(admin, key.id, key.user)
        if isinstance(denied, NoSuchKey) or self._is_told(admin, keys):
            return Revoked(kind="key", subject=key.id, account=key.account, user=key.user, state="deleted")
        return None

    @staticmethod
    def _keys_of(admin: Admin, user: str | None) -> tuple[AccessKey, ...]:
        """The keys of a user; none if there is no such user.

        :raises SessionError: it is not known.
        """
        try:
            request = admin.aws.request(admin.credentials, user)
            return () if user is None else admin.aws.keys.list_keys(request, with_use=False)
        except NoSuchKey:
            return ()

    @staticmethod
    def _is_told(admin: Admin, keys: Iterable[AccessKey]) -> bool:
        """Whether AWS tells a profile whose a key is, of one that there is.

        If so, a key about which AWS denies the answer is none of the account: of those it says that access is denied,
        as it does if the permission is missing.
        """
        own = [] if admin.credentials.session_token else [admin.credentials.access_key_id]
        for key in (*own, *(one.id for one in keys)):
            with suppress(SessionError):
                admin.aws.keys.owner_of(admin.aws.request(admin.credentials, None), key)
                return True
        return False

    def _active(self, admin: Admin, key: str, user: str) -> Revoked | None:
        """Whether a key of a user is active; None: it is not the user's, in this account."""
        found = Revoked(kind="key", subject=key, account=admin.account, user=user, admin=admin.profile, state="active")
        try:
            keys = admin.aws.keys.list_keys(admin.aws.request(admin.credentials, user), with_use=False)
        except NoSuchKey:
            return None
        except SessionError:
            return found  # it is deactivated whether it is active or not
        active = {one.id: one.active for one in keys}
        if key not in active:
            return None
        return found if active[key] else dataclasses.replace(found, state="was inactive")

    def _role(self, arn: str) -> Revoked:
        account = arn.split(":")[4]
        found = Revoked(kind="role", subject=arn, account=account, state="not revoked")
        admin = next((admin for admin in self.admins if admin.account == account), None)
        if admin is None:
            return dataclasses.replace(found, state="foreign", error=_foreign(arn, account))
        return dataclasses.replace(found, admin=admin.profile)

    # -- doing -------------------------------------------------------------------------------------------------------

    def _rank(self, one: Revoked) -> int:
        ends = any(admin.owns(one) for admin in self.admins)
        return (3 if ends else 0) if one.kind == "key" else (2 if ends else 1)

    def _do(self, one: Revoked) -> Revoked:
        """What became of it. The other profiles of the account are tried if the first one may not."""
        admins = sorted(
            (admin for admin in self.admins if admin.account == one.account),
            key=lambda admin: admin.profile != one.admin,
        )
        failed = one
        for admin in admins:
            try:
                done = self._change(admin, dataclasses.replace(one, admin=admin.profile))
            except VaultError as error:
                failed = dataclasses.replace(failed, state="failed", error=failed.error or error)
                continue
            self.tell(f"{_shown(done)}: {done.state}")
            return done
        if failed.error is not None:
            self.tell(f"{_shown(failed)}: failed: {failed.error.message}")
        return failed

    def _change(self, admin: Admin, one: Revoked) -> Revoked:
        """:raises VaultError: it cannot be done."""
        keys, credentials = admin.aws.keys, admin.credentials
        if one.kind == "key":
            keys.set_active(admin.aws.request(credentials, one.user), one.subject, active=False)
            return dataclasses.replace(one, state="inactive")
        # A key works for some seconds after its deactivation: sessions that it makes meanwhile end, too.
        before = datetime.now(UTC) + timedelta(seconds=SETTLED)
        role = _name(one.subject) if one.kind == "role" else None
        try:
            keys.revoke_sessions(admin.aws.request(credentials, None if role else one.subject), before, role=role)
        except NoSuchKey:
            return dataclasses.replace(one, state="deleted")
        return dataclasses.replace(one, state="revoked")

    def _each(self, work: Callable[[T], U], items: Iterable[T]) -> list[U]:
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = [pool.submit(work, item) for item in items]
            try:
                return [job.result() for job in jobs]
            except BaseException:
                self.host.state.cancel()  # calls that wait for AWS stop now
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _name(subject: str) -> str:
    """The name of a user or a role, of which an ARN may be given."""
    return subject.rpartition("/")[2]


def _shown(one: Revoked) -> str:
    return one.subject if one.kind != "user" else f"user {one.subject}"


def _foreign(subject: str, account: str | None) -> SessionError:
    if account is None:
        return SessionError(
            f"AWS says to no given profile whose key {subject} is: it is deleted, or of another account, or the profile"
            " may not ask",
            hint="add --as with a profile of the account of the key, or allow iam:GetAccessKeyLastUsed",
        )
    return SessionError(f"{subject} is of account {account}", hint=f"add --as with a profile of account {account}")
