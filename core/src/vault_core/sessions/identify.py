"""Ask AWS about keys that are to be stored: who they belong to, and which MFA devices the user has."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NoReturn

from vault_core.api import (
    Credentials,
    IdentifiesCaller,
    KeyRequest,
    ManagesKeys,
    Profile,
    SessionProvider,
    SessionRequest,
    SessionSpec,
)
from vault_core.errors import AccessDenied, PluginError, VaultError
from vault_core.plugins.boundary.sessions import open_provider, parameters
from vault_core.plugins.host import Host
from vault_core.records import dataclass
from vault_core.sessions.plan import STS
from vault_core.sessions.profiles import Profiles

WORKERS = 8
TIMEOUT = 30.0
"""Seconds for one key."""


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What AWS answered about one key."""

    state: str
    """``alive``, ``dead`` (AWS refused the key) or ``unknown``."""
    account: str | None = None
    arn: str | None = None
    reason: str | None = None
    """Why the key is not ``alive``."""
    duplicate_of: str | None = None
    """The first profile with the same key."""


def identify(host: Host, profiles: Profiles, keys: Mapping[str, Credentials]) -> dict[str, KeyCheck]:
    """Call GetCallerIdentity once for each different key, :data:`WORKERS` at a time; the answers by profile.

    :raises PluginError: the session provider cannot identify a key.
    """
    spec = host.plugins.load("session", STS)
    first: dict[str, str] = {}
    for name, key in keys.items():
        first.setdefault(key.access_key_id, name)
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = {name: pool.submit(_identify, host, profiles, spec, name, keys[name]) for name in first.values()}
        try:
            answers = {name: job.result() for name, job in jobs.items()}
        except BaseException:
            host.state.cancel()  # calls that wait for AWS stop now
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    checks = {}
    for name, key in keys.items():
        original = first[key.access_key_id]
        checks[name] = replace(answers[original], duplicate_of=original if original != name else None)
    return checks


def mfa_devices(host: Host, profiles: Profiles, name: str, key: Credentials, arn: str) -> tuple[str, ...]:
    """Return the serial numbers of the MFA devices of a key's user; one call of IAM.

    :param name: the profile of the key.
    :param arn: who the key belongs to.
    :raises AccessDenied: AWS does not accept the key, or the user may not list their devices.
    :raises SessionError: AWS did not answer.
    :raises PluginError: the session provider does not know IAM.
    """
    spec = host.plugins.load("session", STS)
    provider, found = _open(host, profiles, spec, name, "iam")
    if not isinstance(provider, ManagesKeys):
        raise PluginError(f"session provider {spec.name!r} cannot list MFA devices", hint="update vault-plugin-aws")
    user = arn.rpartition("/")[2] if ":user/" in arn else None  # an account's root user has no name
    deadline = time.monotonic() + TIMEOUT
    return provider.mfa_devices(KeyRequest(parameters=found, source=key, deadline=deadline, user=user))


def _open(
    host: Host, profiles: Profiles, spec: SessionSpec, name: str, service: str
) -> tuple[SessionProvider, dict[str, Any]]:
    """The provider, and the parameters with which it calls an AWS service for a profile."""
    profile = Profile(name=name, keys=profiles.endpoint(name, service))
    context = host.context("session", spec.name, spec.options, profile=profile.keys)
    return open_provider(host.plugins, spec, context), parameters(host.plugins, spec, context.options, profile)


def _identify(host: Host, profiles: Profiles, spec: SessionSpec, name: str, key: Credentials) -> KeyCheck:
    try:
        provider, found = _open(host, profiles, spec, name, "sts")
        if not isinstance(provider, IdentifiesCaller):
            raise PluginError(
                f"session provider {spec.name!r} cannot identify the owner of a key", hint="update vault-plugin-aws"
            )
        identity = provider.identify(
            SessionRequest(parameters=found, source=key, mfa=_no_mfa, deadline=time.monotonic() + TIMEOUT)
        )
    except PluginError:
        raise
    except AccessDenied as error:
        return KeyCheck("dead", reason=error.message)
    except VaultError as error:
        return KeyCheck("unknown", reason=error.message)
    return KeyCheck("alive", identity.account, identity.arn)


def _no_mfa() -> NoReturn:
    raise AssertionError("GetCallerIdentity needs no MFA code")
