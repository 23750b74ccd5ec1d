"""Ask AWS who each key belongs to, for commands that store keys."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NoReturn

from vault_core.api import Credentials, IdentifiesCaller, Profile, SessionRequest, SessionSpec
from vault_core.errors import AccessDenied, PluginError, VaultError
from vault_core.plugins.boundary import open_provider, parameters
from vault_core.plugins.host import Host
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


def _identify(host: Host, profiles: Profiles, spec: SessionSpec, name: str, key: Credentials) -> KeyCheck:
    try:
        profile = Profile(name=name, keys=profiles.endpoint(name))
        context = host.context("session", spec.name, spec.options, profile=profile.keys)
        provider = open_provider(host.plugins, spec, context)
        if not isinstance(provider, IdentifiesCaller):
            raise PluginError(
                f"session provider {spec.name!r} cannot identify the owner of a key", hint="update vault-plugin-aws"
            )
        request = SessionRequest(
            parameters=parameters(host.plugins, spec, context.options, profile),
            source=key,
            mfa=_no_mfa,
            deadline=time.monotonic() + TIMEOUT,
        )
        identity = provider.identify(request)
    except PluginError:
        raise
    except AccessDenied as error:
        return KeyCheck("dead", reason=error.message)
    except VaultError as error:
        return KeyCheck("unknown", reason=error.message)
    return KeyCheck("alive", identity.account, identity.arn)


def _no_mfa() -> NoReturn:
    raise AssertionError("GetCallerIdentity needs no MFA code")
