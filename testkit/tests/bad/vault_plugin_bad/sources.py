"""Bad passphrase sources, MFA sources and session providers, and a good one of each."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from vault_core.api import (
    Credentials,
    MfaSource,
    MfaSourceSpec,
    PassphraseError,
    PassphraseSource,
    PassphraseSourceSpec,
    Purpose,
    Secret,
    SessionProvider,
    SessionSpec,
    SourceNeed,
    hookimpl,
)

KEPT: dict[str, Secret] = {}


class Drawer(PassphraseSource):
    """Keeps what it is given, for as long as the process lives."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def get(self, request: Any) -> Any:
        return KEPT.get(request.key_id)

    def put(self, request: Any, secret: Any) -> None:
        KEPT[request.key_id] = secret

    def forget(self, request: Any) -> Any:
        return KEPT.pop(request.key_id, None) is not None


class KeepsForEver(Drawer):
    """Says that it has forgotten."""

    def forget(self, request: Any) -> Any:
        return request.key_id in KEPT


class KeepsByName(Drawer):
    """Files under the name of the store, so that a store with another name finds nothing."""

    def get(self, request: Any) -> Any:
        return KEPT.get(request.store + request.key_id)

    def put(self, request: Any, secret: Any) -> None:
        KEPT[request.store + request.key_id] = secret

    def forget(self, request: Any) -> Any:
        return KEPT.pop(request.store + request.key_id, None) is not None


class Asks(PassphraseSource):
    """Asks as it should."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def get(self, request: Any) -> Any:
        return self.context.ask("passphrase: ") if request.may_ask else None


class Nags(Asks):
    """Asks, whoever may be asked."""

    def get(self, request: Any) -> Any:
        return self.context.ask("passphrase: ")


class Repeats(Asks):
    """Shows what it has understood."""

    def get(self, request: Any) -> Any:
        found = super().get(request)
        if found:
            self.context.notify(f"using {found.reveal_text()}")
        return found


class Stumbles(Asks):
    """Does not know every purpose."""

    def get(self, request: Any) -> Any:
        return {Purpose.UNLOCK: None, Purpose.CREATE: None}[request.purpose]


class Persists(Asks):
    """Takes no for another chance."""

    def get(self, request: Any) -> Any:
        try:
            return super().get(request)
        except Exception:
            raise PassphraseError("nobody answered") from None


class Codes(MfaSource):
    def __init__(self, context: Any) -> None:
        self.context = context

    def code(self, request: Any) -> Any:
        return Secret("123456")


class FiveDigits(Codes):
    def code(self, request: Any) -> Any:
        return Secret("23456")


class Sessions(SessionProvider):
    def __init__(self, context: Any) -> None:
        self.context = context

    def issue(self, request: Any) -> Any:
        return Credentials(
            access_key_id="ASIAEXAMPLE",
            secret_access_key=Secret("a secret of the session"),
            session_token=Secret("the token of the session"),
            expires=datetime.now(UTC) + timedelta(hours=1),
        )


class NoZone(Sessions):
    """Ends at a time of no zone."""

    def issue(self, request: Any) -> Any:
        session = super().issue(request)
        return Credentials(
            access_key_id=session.access_key_id,
            secret_access_key=session.secret_access_key,
            session_token=session.session_token,
            expires=datetime(2999, 1, 1),  # noqa: DTZ001 - the fault
        )


def parameters(options: Any, profile: Any) -> Any:
    return {"region": profile.keys.get("region", "us-east-1")}


def with_the_time(options: Any, profile: Any) -> Any:
    return {"now": time.time()}


def passphrase(name: Any, open: Any, **more: Any) -> Any:
    return PassphraseSourceSpec(name=name, summary="for tests", open=open, **more)


@hookimpl
def vault_passphrase_sources() -> Any:
    return (
        passphrase("drawer", Drawer, writable=True),
        passphrase("keeps-for-ever", KeepsForEver, writable=True),
        passphrase("keeps-by-name", KeepsByName, writable=True),
        passphrase("asks", Asks, interactive=True),
        passphrase("nags", Nags, interactive=True),
        passphrase("asks-in-secret", Asks),
        passphrase("repeats", Repeats, interactive=True),
        passphrase("stumbles", Stumbles),
        passphrase("persists", Persists, interactive=True),
    )


@hookimpl
def vault_mfa_sources() -> Any:
    return (
        MfaSourceSpec(name="codes", summary="for tests", open=Codes),
        MfaSourceSpec(name="five-digits", summary="for tests", open=FiveDigits),
    )


@hookimpl
def vault_session_providers() -> Any:
    return tuple(
        SessionSpec(name=name, summary="for tests", open=provider, parameters=pure, source=SourceNeed.NEVER)
        for name, provider, pure in (
            ("sessions", Sessions, parameters),
            ("no-zone", NoZone, parameters),
            ("with-the-time", Sessions, with_the_time),
        )
    )
