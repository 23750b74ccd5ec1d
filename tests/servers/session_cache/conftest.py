"""A home where ``role`` has a live session, made once for the tests of a module."""

from __future__ import annotations

import pytest

from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy
from support.stored import UNLOCKED, Snapshot, add, key_of

CONFIG = f"""
[profile work]
region = eu-west-1
[profile role]
region = eu-west-1
role_arn = arn:aws:iam::{ACCOUNT}:role/RoleA
source_profile = work
"""


@pytest.fixture
def front(module_front: RecordingProxy) -> RecordingProxy:
    module_front.forget()
    return module_front


@pytest.fixture
def logged_in(home: Home, moto: MotoServer) -> Home:
    home.configure(CONFIG)
    add(home, moto.alice)
    return home


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, module_front: RecordingProxy, moto: MotoServer
) -> tuple[Home, Snapshot]:
    home = Home(tmp_path_factory.mktemp("cache") / "machine", module_front.url)
    home.configure(CONFIG)
    add(home, moto.alice)
    key_of(home, env=UNLOCKED)
    return home, Snapshot(home)


@pytest.fixture
def live(prepared: tuple[Home, Snapshot], front: RecordingProxy) -> Home:
    """A home where ``role`` has a live session."""
    home, snapshot = prepared
    snapshot.restore()
    return home
