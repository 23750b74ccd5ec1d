"""The chain of passphrase sources: retries, confirmation, one derivation at a time; and sources that keep a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from vault_core import files, output
from vault_core.api import PassphraseRequest, PassphraseSource, PassphraseSourceSpec, Purpose
from vault_core.errors import NoSecret, PassphraseError, PluginError, QuestionRefused, SourceUnavailable, WrongSecret
from vault_core.plugins.boundary import open_source
from vault_core.secret import Secret
from vault_core.settings import REMOVED

if TYPE_CHECKING:
    from vault_core.plugins.host import Host, HostContext

NO_PROFILE: Mapping[str, str] = MappingProxyType({})

TRIES = 3
"""How often an interactive source is asked."""


def unlock(
    host: Host,
    store: str,
    key_id: str,
    derive: Callable[[Secret], Secret],
    names: Sequence[str],
    *,
    create: bool,
    factor: str | None = None,
    profile: Mapping[str, str] = NO_PROFILE,
) -> Secret:
    """The key behind ``key_id``, from the sources ``names``: see :meth:`vault_core.api.Context.unlock`.

    :param profile: the keys of the AWS profile that the store is opened for: it may set the sources' options.
    """
    purpose = Purpose.CREATE if create else Purpose.UNLOCK
    return _first(host, names, _request(host, store, key_id, purpose), derive, factor, profile)


def choose(
    host: Host,
    store: str,
    key_id: str,
    derive: Callable[[Secret], Secret],
    configured: Sequence[str],
    *,
    factor: str | None = None,
    profile: Mapping[str, str] = NO_PROFILE,
) -> Secret:
    """The key that a new passphrase of an existing store comes to.

    Only a person chooses one: whatever else is configured would deliver the passphrase that is there already.

    :param configured: the sources that the settings name.
    :param factor: the name of the source that delivers it instead: a factor of a composite slot.
    :raises PassphraseError: nobody chose one.
    """
    names = [name for name in configured if factor or host.plugins.load("passphrase", name).interactive]
    if not names:
        raise NoSecret(
            f"no source asks for a new passphrase: sources are {', '.join(configured)}",
            hint=f"give --passphrase-source {','.join((*configured, 'prompt'))}, or --new-passphrase-fd",
        )
    return _first(host, names, _request(host, store, key_id, Purpose.CHANGE), derive, factor, profile)


def keep(
    host: Host, store: str, source: str, key_id: str, secret: Secret, profile: Mapping[str, str] = NO_PROFILE
) -> None:
    """Have a source keep a secret, and see that it gives it back: see :meth:`vault_core.api.Context.keep`."""
    opened = _writable(host, store, source, profile)
    request = _request(host, store, key_id, Purpose.CREATE)
    opened.put(request, secret)
    again = opened.get(_request(host, store, key_id, Purpose.UNLOCK))
    if again != secret:
        raise PassphraseError(f"passphrase source {source!r} does not give back what it was to keep")


def forget(host: Host, store: str, source: str, key_id: str, profile: Mapping[str, str] = NO_PROFILE) -> bool:
    """Have a source forget a secret: see :meth:`vault_core.api.Context.forget`."""
    opened = _writable(host, store, source, profile)
    return opened.forget(_request(host, store, key_id, Purpose.CHANGE))


def _first(
    host: Host,
    names: Sequence[str],
    request: PassphraseRequest,
    derive: Callable[[Secret], Secret],
    factor: str | None,
    profile: Mapping[str, str],
) -> Secret:
    """The key from the first of these sources that has a secret."""
    tried: list[str] = []
    untold: list[str] = []  # why sources could not answer: told with what comes of it, and once
    try:
        for position, name in enumerate(names):
            spec = host.plugins.load("passphrase", name)
            if spec.remote and host.local:
                _context(host, request.store, spec, profile)  # what is set wrongly is told all the same
                tried.append(f"{name} (not asked: it needs the network)")
                continue
            if spec.interactive and request.may_ask:
                _tell(untold)
            try:
                source = _open(host, request.store, spec, profile)
                key = _try_source(host, spec, source, request, derive, tried)
            except SourceUnavailable as error:
                tried.append(f"{name} ({error.message})")
                if factor:
                    raise SourceUnavailable(_missing(request.store, tried), hint=error.hint) from None
                if not spec.interactive:
                    untold.append(f"passphrase source {name!r}: {error.message}")
                continue
            except WrongSecret as error:
                if spec.interactive or not _asks_somebody(host, names[position + 1 :], error):
                    raise
                untold.append(error.message)
                continue
            if key is not None:
                return key
        untold.clear()
    finally:
        _tell(untold)
    raise _nothing(host, request.store, names, tried, factor)


def _tell(lines: list[str]) -> None:
    for line in lines:
        output.notice(line)
    lines.clear()


def _open(host: Host, store: str, spec: PassphraseSourceSpec, profile: Mapping[str, str]) -> PassphraseSource:
    return open_source(host.plugins, spec, _context(host, store, spec, profile))


def _context(host: Host, store: str, spec: PassphraseSourceSpec, profile: Mapping[str, str]) -> HostContext:
    settings = host.settings.store(store)
    return host.context("passphrase", spec.name, spec.options, store=settings, profile=profile)


def _writable(host: Host, store: str, name: str, profile: Mapping[str, str]) -> PassphraseSource:
    spec = host.plugins.load("passphrase", name)
    if not spec.writable:
        raise PassphraseError(
            f"passphrase source {name!r} cannot keep a key", hint="name a source that keeps keys, as a keychain does"
        )
    return _open(host, store, spec, profile)


def _asks_somebody(host: Host, names: Sequence[str], wrong: WrongSecret) -> bool:
    """Whether one of these sources is going to ask a person. Only now are they loaded.

    :raises WrongSecret: one of them does not load: what is wrong comes first.
    """
    try:
        return host.why_nobody_can_be_asked() is None and any(
            host.plugins.load("passphrase", name).interactive for name in names
        )
    except PluginError as error:
        raise WrongSecret(wrong.message, hint=f"correct it; nobody was asked instead, as {error.message}") from None


def _request(host: Host, store: str, key_id: str, purpose: Purpose) -> PassphraseRequest:
    return PassphraseRequest(
        store=store,
        key_id=key_id,
        purpose=purpose,
        may_ask=host.why_nobody_can_be_asked() is None,
        deadline=host.deadline(),
    )


def _try_source(
    host: Host,
    spec: PassphraseSourceSpec,
    source: PassphraseSource,
    request: PassphraseRequest,
    derive: Callable[[Secret], Secret],
    tried: list[str],
) -> Secret | None:
    """The key, or None where the source had no secret; ``tried`` says why.

    :raises WrongSecret: it had one that is wrong.
    :raises SourceUnavailable: it cannot answer.
    """
    import dataclasses

    for attempt in range(1, TRIES + 1 if spec.interactive else 2):
        try:
            secret = source.get(dataclasses.replace(request, attempt=attempt))
        except QuestionRefused:
            raise PassphraseError(f"no passphrase was given for store {request.store!r}") from None
        if secret is None:
            reason = host.why_nobody_can_be_asked() if spec.interactive else None
            tried.append(f"{spec.name} ({reason or 'not set'})")
            return None
        try:
            with _one_at_a_time(host):
                return derive(secret)
        except WrongSecret:
            if spec.interactive:
                continue
            tried.append(f"{spec.name} (wrong)")
            raise WrongSecret(
                f"the passphrase from source {spec.name!r} does not open store {request.store!r}",
                hint="check where it comes from; 'awsv explain PROFILE' names the sources",
            ) from None
    raise WrongSecret(f"wrong passphrase for store {request.store!r}, three times")


def _nothing(host: Host, store: str, names: Sequence[str], tried: list[str], factor: str | None) -> NoSecret:
    if factor:
        return NoSecret(_missing(store, tried))
    removed = [name for name in host.settings.environ.get(REMOVED, "").split(",") if "PASSPHRASE" in name]
    message = f"no passphrase for store {store!r}: tried {', '.join(tried)}"
    if removed:
        return NoSecret(
            f"{message}; awsv removed {' and '.join(removed)} from the environment of what it started",
            hint=f"run this outside of 'awsv exec', or start that one with --keep-env {removed[0]}",
        )
    return NoSecret(message, hint=_what_would_help(host, store, names))


def _what_would_help(host: Host, store: str, names: Sequence[str]) -> str:
    """Only what one of these sources would take."""
    found = []
    if any(host.plugins.load("passphrase", name).interactive for name in names):
        found.append("run it in a terminal")
    if "env" in names:
        found.append(f"set AWS_VAULT_{re.sub('[^A-Z0-9]', '_', store.upper())}_PASSPHRASE_FILE")
    return ", or ".join(found) or f"to be asked for it, give --passphrase-source {','.join((*names, 'prompt'))}"


def _missing(store: str, tried: list[str]) -> str:
    return f"no secret for store {store!r} from its source {', '.join(tried)}"


@contextmanager
def _one_at_a_time(host: Host) -> Iterator[None]:
    """One derivation at a time per user: sixteen of them would take a gigabyte and starve each other."""
    try:
        lock = files.lock(host.settings.state_dir / "derive.lock")
        lock.acquire(timeout=30)
    except OSError:  # TimeoutError is one
        # A courtesy to the machine, not a matter of correctness: a full disk must not lock anybody out.
        yield
        return
    try:
        yield
    finally:
        lock.release()
