"""macOS and KWallet, which are not available here: ``keyring``'s classes on stand-ins for the systems' calls."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.dbus_services import KWALLET as KWALLET_SERVICE
from support.secret_service import DesktopSession, desktop
from vault_core.api import Context, Secret, StorageLocked, StorageUnavailable
from vault_plugin_keychain import bus
from vault_plugin_keychain.keychains import Keychain
from vault_plugin_keychain.kinds import KWALLET, MACOS, Kind
from vault_plugin_keychain.opening import open_keychain
from vault_plugin_keychain.storage import KeychainStore
from vault_testkit import FakeContext

KEY = "credentials/work"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return FakeContext(tmp_path, options={"name": "awsv"})


def exercise(ctx: Context, kind: Kind) -> KeychainStore:
    """Use a store in every way; some items are left."""
    store = KeychainStore(ctx, kind)
    assert (store.get(KEY), list(store.keys())) == (None, [])
    names = [f"credentials/{number}-{'x' * 200}" for number in range(12)]
    for name in names:
        store.put(name, Secret(f"first of {name}"))
        store.put(name, Secret(f"second of {name}"))
    for name in names:
        item = KeychainStore(ctx, kind).get(name)
        assert item is not None
        assert item.value == Secret(f"second of {name}")
    assert sorted(store.keys()) == sorted(names)
    assert [store.delete(name) for name in (names[0], names[0])] == [True, False]
    assert sorted(store.keys()) == sorted(names[1:])
    return store


class MacError(Exception):
    pass


class MacNotFound(MacError):
    pass


class MacDenied(MacError):
    pass


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[tuple[str, str], str]]:
    """``keyring``'s class for macOS on a stand-in for its ``api`` module, which deletes an item to replace it."""
    kept: dict[tuple[str, str], str] = {}
    api = types.ModuleType("keyring.backends.macOS.api")

    def find(keychain: None, service: str, name: str) -> str:
        assert keychain is None
        if (service, name) not in kept:
            raise MacNotFound
        return kept[service, name]

    def delete(keychain: None, service: str, name: str) -> None:
        find(keychain, service, name)
        del kept[service, name]

    def write(keychain: None, service: str, name: str, text: str) -> None:
        kept.pop((service, name), None)
        kept[service, name] = text

    functions = {"find_generic_password": find, "set_generic_password": write, "delete_generic_password": delete}
    errors = {"Error": MacError, "NotFound": MacNotFound, "KeychainDenied": MacDenied}
    vars(api).update(functions | errors)
    monkeypatch.setitem(sys.modules, "keyring.backends.macOS.api", api)
    monkeypatch.delitem(sys.modules, "keyring.backends.macOS", raising=False)
    monkeypatch.setenv("KEYCHAIN_PATH", "/another/user.keychain")
    monkeypatch.setattr(sys, "platform", "darwin")
    yield kept
    sys.modules.pop("keyring.backends.macOS", None)


def test_macos_store_round_trips(macos: dict[tuple[str, str], str], ctx: Context) -> None:
    exercise(ctx, MACOS)
    assert {service for service, _ in macos} == {"awsv"}


def test_macos_refusal_is_storage_locked(
    macos: dict[tuple[str, str], str], ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_arguments: Any) -> str:
        raise MacDenied("-128, of secret value")

    monkeypatch.setattr(sys.modules["keyring.backends.macOS.api"], "find_generic_password", denied)
    with pytest.raises(StorageLocked, match="the macOS login keychain is locked, or refused access"):
        KeychainStore(ctx, MACOS).get(KEY)


# -- KWallet -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with desktop(logged_in=False) as session:
        yield session


def wallet(session: DesktopSession, tmp_path: Path, *, dialogs: bool = False) -> Keychain:
    given = FakeContext(tmp_path, options={"name": "awsv"}, environ=session.env, can_show_dialog=dialogs)
    return open_keychain(given, KWALLET, "awsv")


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("off", StorageUnavailable, "KWallet is switched off"),
        ("closed", StorageLocked, "the wallet 'kdewallet' of KWallet is closed, and no dialog can be shown here"),
        ("mute", StorageUnavailable, "KWallet does not answer"),
    ],
)
def test_kwallet_is_checked_before_keyring_uses_it(
    state: str,
    kind: type[Exception],
    words: str,
    session: DesktopSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus, "PATIENCE", 0.7)
    session.run_service(KWALLET_SERVICE, state, name="org.kde.kwalletd5")
    with pytest.raises(kind, match=words):
        wallet(session, tmp_path)


def test_missing_kwallet_is_unavailable(session: DesktopSession, tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="no program provides KWallet"):
        wallet(session, tmp_path)


@pytest.mark.parametrize(("state", "dialogs"), [("open", False), ("closed", True)])
def test_kwallet_without_library_is_unavailable(
    state: str, dialogs: bool, session: DesktopSession, tmp_path: Path
) -> None:
    """``keyring`` uses dbus-python for KWallet, but does not depend on it."""
    try:
        import dbus  # type: ignore[import-not-found]  # noqa: F401 - whether it is there
    except ImportError:
        pass
    else:
        pytest.skip("dbus-python is installed here")
    session.run_service(KWALLET_SERVICE, state, name="org.kde.kwalletd5")
    with pytest.raises(StorageUnavailable, match="KWallet needs a library") as caught:
        wallet(session, tmp_path, dialogs=dialogs).get(KEY)
    assert caught.value.hint is not None
    assert "dbus-python" in caught.value.hint
