"""The calls of AWS that a rotation makes, by way of the session provider."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar

from vault_core.api import (
    AccessKey,
    CallerIdentity,
    Credentials,
    IdentifiesCaller,
    KeyRequest,
    ManagesKeys,
    Profile,
    SessionRequest,
)
from vault_core.errors import (
    AccessDenied,
    ConfigError,
    CredentialsRefused,
    NoSuchKey,
    PluginError,
    SessionError,
    VaultError,
)
from vault_core.plugins.boundary.sessions import open_provider, parameters
from vault_core.rotation.decide import Signs
from vault_core.sessions.plan import STS, KeyStep
from vault_core.sessions.singleflight import NETWORK_LIMIT

if TYPE_CHECKING:
    from datetime import datetime

    from vault_core.plugins.host import Host
    from vault_core.sessions.engine import Engine
    from vault_core.sessions.plan import Planner
    from vault_core.sessions.profiles import Profiles

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds for which a new key may be unknown to AWS: usually it is for up to ten."""
PAUSES = (0.25, 0.5, 1.0, 2.0)
"""Seconds between two attempts; the last one repeats."""
QUARANTINE = "AWSCompromisedKeyQuarantine"
"""The beginning of the names of the policies that AWS attaches to a user whose key it found in public (V2, V3, …)."""
_POLICY = re.compile(rf"{QUARANTINE}\w*")


class Aws:
    """STS and IAM, as the settings of one profile name them.

    :param name: the profile that has the region and the endpoints.
    :raises PluginError: the session provider manages no keys.
    """

    def __init__(self, host: Host, profiles: Profiles, name: str) -> None:
        self._host, self._profiles, self._name = host, profiles, name
        self._sts, provider = self._open("sts")
        self._iam, _ = self._open("iam")
        if not (isinstance(provider, ManagesKeys) and isinstance(provider, IdentifiesCaller)):
            raise PluginError(f"session provider {STS!r} does not manage access keys", hint="update vault-plugin-aws")
        self.keys: ManagesKeys = provider
        self._identifies: IdentifiesCaller = provider

    def _open(self, service: str) -> tuple[dict[str, object], object]:
        profile = Profile(name=self._name, keys=self._profiles.endpoint(self._name, service))
        spec = self._host.plugins.load("session", STS)
        context = self._host.context("session", STS, spec.options, profile=profile.keys)
        found = parameters(self._host.plugins, spec, context.options, profile)
        return found, open_provider(self._host.plugins, spec, context)

    def identify(self, source: Credentials) -> CallerIdentity:
        """See :meth:`IdentifiesCaller.identify`."""
        deadline = time.monotonic() + NETWORK_LIMIT
        request = SessionRequest(parameters=self._sts, source=source, mfa=_no_mfa, deadline=deadline)
        return self._identifies.identify(request)

    def request(self, source: Credentials, user: str | None) -> KeyRequest:
        """A call of IAM that begins now."""
        deadline = time.monotonic() + NETWORK_LIMIT
        return KeyRequest(parameters=self._iam, source=source, deadline=deadline, user=user)

    def quarantine(self, source: Credentials, user: str) -> str | None:
        """The policy by which AWS has put a user under quarantine; None if there is none, or if it is not known."""
        try:
            policies = self.keys.attached_policies(self.request(source, user))
        except VaultError:
            return None
        return next((arn for arn in policies if QUARANTINE in arn), None)

    def explained(self, error: AccessDenied, source: Credentials, user: str) -> AccessDenied:
        """The error for a call that AWS denied a user: another one if the user is under quarantine."""
        found = _POLICY.search(error.message) or _POLICY.search(self.quarantine(source, user) or "")
        if found is None:
            return error
        return AccessDenied(
            f"AWS has put user {user} under quarantine ({found[0]}), because a key of the user was found in public:"
            f" {error.message}",
            hint="'awsv rotate PROFILE --leaked --as ADMIN', with a profile that may manage the user's keys",
        )


def signer(planner: Planner, engine: Engine, admin: str) -> Credentials:
    """The credentials of a profile that signs for others: those of a role, or of a user, of whom IAM accepts no session
    without MFA.

    :raises VaultError: they cannot be had.
    """
    plan = planner.plan(admin)
    if any(profile.role for profile in plan.chain) or not isinstance(plan.steps()[0], KeyStep):
        return engine.credentials(plan).credentials
    key, session = planner.user(admin)
    return engine.obtain(session or key)


def _no_mfa() -> NoReturn:
    raise AssertionError("GetCallerIdentity needs no MFA code")


@dataclass(frozen=True, slots=True)
class User:
    """An IAM user."""

    account: str
    name: str


def user_of(identity: CallerIdentity, key_id: str) -> User:
    """The user behind a key.

    :raises ConfigError: it is not an IAM user.
    """
    if identity.arn.endswith(":root"):
        raise ConfigError(
            f"{key_id} is a key of the root user of account {identity.account}, which awsv does not rotate",
            hint="delete it in the console (account menu, Security credentials), and use an IAM user or a role",
        )
    kind, _, path = identity.arn.rpartition(":")[2].partition("/")
    if kind != "user" or not path:
        raise ConfigError(f"{key_id} belongs to {identity.arn}, which is not an IAM user: it has no keys to rotate")
    return User(identity.account, path.rpartition("/")[2])


@dataclass
class Iam:
    """The keys of one user.

    A key that was just made is not accepted for some seconds: calls that it signs are repeated meanwhile.
    """

    aws: Aws
    signs: Signs
    source: Credentials
    """They sign."""
    user: User
    patient: bool = False
    """The key of ``source`` was just made."""
    held_works: bool = False
    """The key in the vault was used to find out whose it is."""

    def list(self, *, with_use: bool = False) -> tuple[AccessKey, ...]:
        return self._call(lambda request: self.aws.keys.list_keys(request, with_use=with_use))

    def create(self) -> Credentials:
        return self._call(self.aws.keys.create_key)

    def deactivate(self, key: str) -> None:
        self._call(lambda request: self.aws.keys.set_active(request, key, active=False))

    def delete(self, key: str, *, patient: bool = False) -> None:
        """:param patient: the key was just made: IAM may not know it yet."""
        delete = partial(self._call, lambda request: self.aws.keys.delete_key(request, key))
        if patient:
            patiently(delete, NoSuchKey)
        else:
            delete()

    def revoke(self, before: datetime) -> None:
        self._call(lambda request: self.aws.keys.revoke_sessions(request, before))

    def prove(self, key: Credentials) -> None:
        """Use a new key.

        :raises SessionError: AWS does not accept it, or not as a key of the user.
        """
        found = user_of(patiently(lambda: self.aws.identify(key), SessionError), key.access_key_id)
        if found != self.user:
            raise SessionError(f"{key.access_key_id} is a key of user {found.name} in {found.account}: another one")

    def quarantine(self) -> str | None:
        """See :meth:`Aws.quarantine`."""
        return self.aws.quarantine(self.source, self.user.name)

    def _call(self, work: Callable[[KeyRequest], T]) -> T:
        def once() -> T:
            return work(self.aws.request(self.source, self.user.name))

        try:
            return patiently(once, CredentialsRefused) if self.patient else once()
        except CredentialsRefused:
            raise
        except AccessDenied as error:
            raise self.aws.explained(error, self.source, self.user.name) from None


def patiently(work: Callable[[], T], refused: type[VaultError]) -> T:
    """The result of a call that fails until AWS knows a new key.

    :param refused: how it fails.
    """
    end = time.monotonic() + PATIENCE
    pauses = iter(PAUSES)
    pause = PAUSES[0]
    while True:
        try:
            return work()
        except refused:
            pause = next(pauses, pause)
            if time.monotonic() + pause > end:
                raise
            time.sleep(pause)


def with_use(iam: Iam, keys: tuple[AccessKey, ...]) -> tuple[AccessKey, ...]:
    """The keys with their last use, where that may be known."""
    try:
        found = {key.id: key for key in iam.list(with_use=True)}
    except VaultError:
        return keys
    return tuple(replace(key, last_use=found[key.id].last_use) if key.id in found else key for key in keys)
