"""A home where ``work`` has a live session, made once for the tests of a module."""

from __future__ import annotations

import pytest

from support.home import Home
from support.moto import MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import MFA, UNLOCKED, Snapshot, add

CONFIG = f"""
[profile work]
region = eu-west-1

[profile other]
region = eu-north-1

[profile nowhere]

[profile mfa]
mfa_serial = {MFA}
"""


@pytest.fixture
def front(module_front: RecordingProxy) -> RecordingProxy:
    module_front.forget()
    return module_front


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, module_front: RecordingProxy, moto: MotoServer
) -> tuple[Home, Snapshot]:
    home = Home(tmp_path_factory.mktemp("exec") / "machine", module_front.url)
    home.configure(CONFIG)
    add(home, moto.alice, "work", "other", "nowhere", "mfa", "-dash", "ünï codé/..")
    assert home.awsv("exec", "-j", "work", env=UNLOCKED).returncode == 0
    return home, Snapshot(home)


@pytest.fixture
def logged_in(prepared: tuple[Home, Snapshot], front: RecordingProxy) -> Home:
    """The session of ``work`` is live, so most tests ask nobody for anything."""
    home, snapshot = prepared
    snapshot.restore()
    return home
