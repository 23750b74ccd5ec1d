"""The contracts of storage backends and of passphrase sources, with a real gnome-keyring."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from support.secret_service import DesktopSession, desktop
from vault_testkit import PassphraseContract, Setup, StorageContract


@pytest.fixture(scope="module")
def session() -> Iterator[DesktopSession]:
    with desktop() as session:
        yield session


def reached(session: DesktopSession) -> Setup:
    """The files of the daemon with the collection."""
    return Setup(environ=dict(session.env), files=[session.root / "home"])


class TestKeychain(StorageContract):
    entry_point = "keychain"
    budget = None if os.environ.get("AWSV_DEEP") else 60
    """Each operation takes a dozen D-Bus messages, and gnome-keyring writes its whole file for each change."""

    @pytest.fixture
    def setup(self, session: DesktopSession) -> Setup:
        return reached(session)

    @pytest.fixture
    def locked(self, session: DesktopSession) -> Iterator[Callable[[], None]]:
        yield session.lock
        session.unlock()


class TestKeychainKeepsKeys(PassphraseContract):
    entry_point = "keychain"

    @pytest.fixture
    def setup(self, session: DesktopSession) -> Setup:
        return reached(session)
