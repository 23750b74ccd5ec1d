"""What ``import`` and ``copy`` share: the vaults, the copying, and the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vault_core.cli.app import App
from vault_core.cli.recovery import lacks_store, offer
from vault_core.cli.text import counted, reasons
from vault_core.errors import AccessDenied, PartlyDone, PluginError, VaultError
from vault_core.importing.copy import Mover, Outcome, State, compared
from vault_core.importing.scan import Found
from vault_core.storage.vault import Vault

if TYPE_CHECKING:
    from vault_core.api import Credentials, SessionSpec

WORKERS = 8
IDENTITY_SECONDS = 30.0


class Vaults:
    """The vault of each profile, by the settings and its own ``vault_backend``; one object a store."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stores: dict[str, Vault] = {}
        self._profiles: dict[str, Vault] = {}
        self._lacking: list[Vault] = []

    def __call__(self, profile: str) -> Vault:
        if profile not in self._profiles:
            vault = self._app.vault(profile)
            if vault.store.identity not in self._stores and lacks_store(vault):
                self._lacking.append(vault)
            self._profiles[profile] = self._stores.setdefault(vault.store.identity, vault)
        return self._profiles[profile]

    @contextmanager
    def offering_recovery(self) -> Iterator[None]:
        """Around what may make stores: those that it made are told of, and a recovery key is offered for each."""
        yield
        for vault in self._lacking:
            if table := vault.slots():
                ways = ", ".join(slot.describe() for slot in table.slots)
                self._app.note(f"{vault.store.place} is new; it opens with: {ways}")
                offer(self._app, vault.store.context, vault)


def move(app: App, vaults: Vaults, found: Found, *, overwrite: bool, dry_run: bool) -> list[Outcome]:
    """Copy what was found, each key into its profile's vault, and compare it."""
    mover = Mover(vaults, app.changing_key, lacks_store, overwrite=overwrite, dry_run=dry_run)
    outcomes = list(mover.copy(found.keys))
    return outcomes if dry_run else compared(outcomes, Vaults(app))


def say_who(app: App, found: Found) -> dict[str, dict[str, str | None]]:
    """Whose each key is, asked of AWS: the fields ``check`` of ``--json``, by profile."""
    from concurrent.futures import ThreadPoolExecutor

    from vault_core.sessions.plan import STS

    spec = app.plugins.load("session", STS)
    asked: dict[str, str] = {}
    for name, key in found.keys.items():
        asked.setdefault(key.access_key_id, name)
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = {name: pool.submit(_identity, app, spec, name, found.keys[name]) for name in asked.values()}
        try:
            answers = {name: job.result() for name, job in jobs.items()}
        except BaseException:
            app.host.ends = time.monotonic()  # has whoever waits for AWS give up
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    checks = {}
    for name, key in found.keys.items():
        first = asked[key.access_key_id]
        checks[name] = {**answers[first], "duplicate_of": first if first != name else None}
    return checks


def _identity(app: App, spec: SessionSpec, name: str, key: Credentials) -> dict[str, str | None]:
    from vault_core.api import IdentifiesCaller, Profile, SessionRequest
    from vault_core.plugins.boundary import open_provider, parameters

    answer: dict[str, str | None] = {"state": "unknown", "account": None, "arn": None, "reason": None}
    try:
        profile = Profile(name=name, keys=app.profiles.endpoint(name))
        context = app.host.context("session", spec.name, spec.options, profile=profile.keys)
        provider = open_provider(app.plugins, spec, context)
        if not isinstance(provider, IdentifiesCaller):
            raise PluginError(
                f"session provider {spec.name!r} cannot tell whose a key is", hint="update vault-plugin-aws"
            )
        request = SessionRequest(
            parameters=parameters(app.plugins, spec, context.options, profile),
            source=key,
            mfa=_no_code,
            deadline=time.monotonic() + IDENTITY_SECONDS,
        )
        identity = provider.identify(request)
    except PluginError:
        raise
    except AccessDenied as error:
        return {**answer, "state": "dead", "reason": error.message}
    except VaultError as error:
        return {**answer, "reason": error.message}
    return {**answer, "state": "alive", "account": identity.account, "arn": identity.arn}


def _no_code() -> Any:
    raise AssertionError("an identity needs no code")


def write_report(
    app: App,
    vaults: Callable[[str], Vault],
    found: Found,
    outcomes: Sequence[Outcome],
    identities: Mapping[str, Mapping[str, str | None]],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say what became of everything that was found.

    :raises PartlyDone: something was not copied that should have been.
    """
    if as_json:
        app.write_json(_document(vaults, found, outcomes, identities, dry_run=dry_run))
    else:
        _write_table(app, found, outcomes, identities)
    arrived = sum(outcome.state.arrived for outcome in outcomes)
    places = ", ".join(dict.fromkeys(vaults(outcome.name).store.place for outcome in outcomes if outcome.state.arrived))
    if dry_run:
        keys = counted(len(found.keys), "key")
        app.note(f"nothing was written: {arrived} of {keys} would be in {places or 'the vault'}")
        return
    missing = not_copied(found, outcomes)
    if missing:
        conflicts = any(outcome.state is State.CONFLICT for outcome in outcomes)
        raise PartlyDone(
            f"{arrived} of {counted(len(found.keys) + len(found.bad), 'key')} of {found.place} are in the vault;"
            f" not: {reasons(missing)}",
            hint="--overwrite replaces the stored keys" if conflicts else "mend the cause, then repeat the command",
        )
    if outcomes:
        is_or_are = "is" if arrived == 1 else "are"
        app.note(f"{counted(arrived, 'key')} of {found.place} {is_or_are} in {places}: each was read back and compared")
    else:
        app.note(f"there are no long-term keys in {found.place}")


def not_copied(found: Found, outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """The names that should have been copied and were not, each with the reason."""
    tried = {outcome.name for outcome in outcomes}
    return [
        *((outcome.name, outcome.reason) for outcome in outcomes if not outcome.state.arrived),
        *((name, "not tried") for name in found.keys if name not in tried),
        *((bad.name, bad.reason) for bad in found.bad),
    ]


def _write_table(
    app: App, found: Found, outcomes: Sequence[Outcome], identities: Mapping[str, Mapping[str, str | None]]
) -> None:
    rows = [(one.name, one.key.access_key_id, _words(one), _who(identities.get(one.name))) for one in outcomes]
    tried = {outcome.name for outcome in outcomes}
    rows += [(name, key.access_key_id, "not tried", "") for name, key in found.keys.items() if name not in tried]
    rows += [(name, "-", "session: left out", "") for name in found.sessions]
    rows += [(bad.name, "-", f"cannot be copied: {bad.reason}", "") for bad in found.bad]
    head = ("Profile", "Access key", "Result", "Whose")
    columns = 4 if identities else 3
    if rows:
        app.write_table(head[:columns], [row[:columns] for row in rows])


def _words(outcome: Outcome) -> str:
    return f"{outcome.state.value}: {outcome.reason}" if outcome.reason else outcome.state.value


def _who(check: Mapping[str, str | None] | None) -> str:
    if check is None:
        return ""
    same = f"; duplicate of {check['duplicate_of']}" if check["duplicate_of"] else ""
    if check["state"] == "alive":
        return f"{check['account']} {(check['arn'] or '').split(':', 5)[-1]}{same}"
    return f"{'dead' if check['state'] == 'dead' else 'not checked'}: {check['reason']}{same}"


def _document(
    vaults: Callable[[str], Vault],
    found: Found,
    outcomes: Sequence[Outcome],
    identities: Mapping[str, Mapping[str, str | None]],
    *,
    dry_run: bool,
) -> dict[str, Any]:
    results = {outcome.name: outcome for outcome in outcomes}
    entries = []
    for name, key in found.keys.items():
        outcome = results.get(name)
        entry: dict[str, Any] = {
            "profile": name,
            "access_key_id": key.access_key_id,
            "state": outcome.state.name.lower() if outcome else "not_tried",
            "reason": (outcome.reason or None) if outcome else None,
            "store": None,
            "check": dict(identities[name]) if name in identities else None,
        }
        with suppress(VaultError):
            entry["store"] = vaults(name).store.name
        entries.append(entry)
    return {
        "source": found.place,
        "dry_run": dry_run,
        "keys": entries,
        "sessions": found.sessions,
        "bad": [{"name": bad.name, "reason": bad.reason} for bad in found.bad],
    }
