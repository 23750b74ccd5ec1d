"""Whose a key is: what the session provider is asked, and what is made of its answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import (
    AccessDenied,
    CallerIdentity,
    Credentials,
    IdentifiesCaller,
    SessionError,
    SessionProvider,
    SessionRequest,
    SessionSpec,
    SourceNeed,
)
from vault_core.errors import PluginError
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret
from vault_core.sessions import identify as module
from vault_core.sessions.identify import KeyCheck, identify
from vault_core.settings import Settings


def key(name: str) -> Credentials:
    return Credentials(access_key_id=name, secret_access_key=Secret("canary"))


class Issuing(SessionProvider):
    def issue(self, request: object) -> Any:
        raise AssertionError


class Identifying(Issuing, IdentifiesCaller):
    """Knows every key but two."""

    def __init__(self) -> None:
        self.requests: list[SessionRequest] = []

    def identify(self, request: SessionRequest) -> CallerIdentity:
        self.requests.append(request)
        assert request.source is not None
        match request.source.access_key_id:
            case "DEAD":
                raise AccessDenied("AWS refused it")
            case "LATE":
                raise SessionError("AWS did not answer")
        return CallerIdentity(account="123456789012", arn="arn:aws:iam::123456789012:user/ana")


class One(Plugins):
    """One session provider."""

    def __init__(self, provider: SessionProvider) -> None:
        super().__init__()
        self.spec = SessionSpec(
            name="sts",
            summary="s",
            open=lambda _: provider,
            parameters=lambda _, profile: dict(profile.keys),
            source=SourceNeed.REQUIRED,
        )

    def load(self, kind: str, name: str, **_: Any) -> Any:
        assert (kind, name) == ("session", "sts")
        return self.spec


def checked(provider: SessionProvider, tmp_path: Path, **keys: Credentials) -> dict[str, KeyCheck]:
    profiles: Any = SimpleNamespace(endpoint=lambda name, _service: {"region": f"region of {name}"})
    return identify(Host(Settings({"HOME": str(tmp_path)}), One(provider)), profiles, keys)


def test_every_different_key_is_asked_for_once(tmp_path: Path) -> None:
    provider = Identifying()
    found = checked(provider, tmp_path, a=key("LIVE"), b=key("DEAD"), c=key("LIVE"), d=key("LATE"))
    alive = KeyCheck("alive", "123456789012", "arn:aws:iam::123456789012:user/ana")
    assert found == {
        "a": alive,
        "b": KeyCheck("dead", reason="AWS refused it"),
        "c": KeyCheck("alive", alive.account, alive.arn, duplicate_of="a"),
        "d": KeyCheck("unknown", reason="AWS did not answer"),
    }
    assert sorted(one.source.access_key_id for one in provider.requests if one.source) == ["DEAD", "LATE", "LIVE"]


def test_a_key_has_thirty_seconds_and_the_endpoint_of_its_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Identifying()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1_000.0))
    checked(provider, tmp_path, a=key("LIVE"))
    [request] = provider.requests
    assert request.deadline == 1_030
    assert request.parameters == {"region": "region of a"}
    with pytest.raises(AssertionError, match="needs no MFA code"):
        request.mfa()


def test_a_provider_that_knows_no_owners_ends_the_check(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"^session provider 'sts' cannot identify the owner of a key$") as caught:
        checked(Issuing(), tmp_path, a=key("LIVE"))
    assert caught.value.hint == "update vault-plugin-aws"
