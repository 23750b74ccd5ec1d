"""The Secret Service: what is stored in it, and that no fault of it blocks awsv."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from support.busy import seconds
from support.dbus_services import MUTE, PROMPTING
from support.secret_service import LOGIN, DesktopSession, desktop
from vault_core.api import ABSENT, Cancelled, Secret, StorageCorrupt, StorageLocked, StorageUnavailable
from vault_plugin_keychain import bus
from vault_plugin_keychain.kinds import SECRET_SERVICE
from vault_plugin_keychain.plugin import vault_storage_backends
from vault_plugin_keychain.storage import KeychainStore
from vault_testkit import FakeContext

KEY = "credentials/work"
VALUE = Secret("a value")
SPEC = next(spec for spec in vault_storage_backends() if spec.name == "secret-service")
AT_ONCE = 3.0
"""Seconds; D-Bus would wait for 25."""


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with desktop() as session:
        yield session


@pytest.fixture
def empty_session() -> Iterator[DesktopSession]:
    """A session with a bus and no service."""
    with desktop(logged_in=False) as session:
        yield session


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., KeychainStore]:
    """A function that opens a store for an environment."""

    def store(environ: Mapping[str, str], *, dialogs: bool = False, **options: str) -> KeychainStore:
        return KeychainStore(context(tmp_path, environ, dialogs=dialogs, **options), SECRET_SERVICE)

    return store


def context(tmp_path: Path, environ: Mapping[str, str], *, dialogs: bool = False, **options: str) -> FakeContext:
    given = {name.replace("_", "-"): text for name, text in options.items()}
    return FakeContext(tmp_path, declared=SPEC.options, options=given, environ=environ, can_show_dialog=dialogs)


def refused(store: KeychainStore, kind: type[Exception], *words: str, within: float = AT_ONCE) -> None:
    """Get, put and list fail in time, with this error and these words."""
    for action in (lambda: store.get(KEY), lambda: store.put(KEY, VALUE), lambda: list(store.keys())):
        started = time.monotonic()
        with pytest.raises(kind) as caught:
            action()
        assert time.monotonic() - started < seconds(within)
        for word in words:
            assert word in str(caught.value)


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_item_has_attributes_of_awsv(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    version = store(session.env).put(KEY, VALUE)
    ((attributes, secret),) = session.items()
    assert attributes.items() >= {"application": "awsv", "service": "awsv", "username": KEY}.items()
    assert secret == f"1:{version}:a value".encode()


def test_value_of_five_thousand_bytes_round_trips(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    value = Secret("".join(chr(33 + number % 94) for number in range(5_000)))
    store(session.env).put(KEY, value)
    item = store(session.env).get(KEY)
    assert item is not None
    assert item.value == value


def test_each_name_is_separate_store(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    ours, theirs = store(session.env), store(session.env, name="other")
    ours.put(KEY, VALUE)
    assert (theirs.get(KEY), list(theirs.keys()), theirs.delete(KEY)) == (None, [], False)
    theirs.put(KEY, Secret("another"), expect=ABSENT)
    assert list(ours.keys()) == list(theirs.keys()) == [KEY]


def test_items_of_other_programs_are_not_listed(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    import secretstorage
    from jeepney.io.blocking import open_dbus_connection

    with open_dbus_connection(session.env["DBUS_SESSION_BUS_ADDRESS"]) as connection:
        collection = secretstorage.get_default_collection(connection)
        collection.create_item("a mail account", {"service": "awsv", "username": "ana"}, b"secret")
    assert list(store(session.env).keys()) == []


def copy_of(session: DesktopSession, text: bytes) -> None:
    """Another item of the same key, like a program that synchronises or merges collections creates."""
    import secretstorage
    from jeepney.io.blocking import open_dbus_connection

    attributes = {"service": "awsv", "username": KEY, "application": "awsv"}
    with open_dbus_connection(session.env["DBUS_SESSION_BUS_ADDRESS"]) as connection:
        secretstorage.get_default_collection(connection).create_item("x", attributes, text)


def test_foreign_item_is_named(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    copy_of(session, b"edited by hand")
    for action in (lambda: store(session.env).get(KEY), lambda: store(session.env).put(KEY, VALUE, expect=ABSENT)):
        with pytest.raises(StorageCorrupt, match=KEY) as caught:
            action()
        assert "edited" not in str(caught.value)
    assert store(session.env).delete(KEY) is True


def test_delete_removes_all_copies(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    store(session.env).put(KEY, VALUE)
    copy_of(session, b"1:0123456789abcdef:older")
    assert list(store(session.env).keys()) == [KEY]
    assert store(session.env).delete(KEY) is True
    assert (store(session.env).get(KEY), session.items()) == (None, [])


def test_put_leaves_one_copy(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    for text in (b"1:0123456789abcdef:older", b"1:fedcba9876543210:oldest"):
        copy_of(session, text)
    copies = 2
    assert len(session.items()) == copies
    version = store(session.env).put(KEY, VALUE)
    ((_, secret),) = session.items()
    assert secret == f"1:{version}:a value".encode()


def test_collection_is_found_by_label(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    store(session.env).put(KEY, VALUE)
    named = store(session.env, collection_name=LOGIN)
    assert list(named.keys()) == [KEY]
    refused(store(session.env, collection_name="awsvault"), StorageUnavailable, "'awsvault'", f"'{LOGIN}'")


OPENED = """
import json, sys
from pathlib import Path
from vault_core.api import Secret
from vault_testkit import FakeContext
from vault_plugin_keychain.kinds import SECRET_SERVICE
from vault_plugin_keychain.storage import KeychainStore
job = json.load(sys.stdin)
options = {"name": "awsv", "collection-name": None}
store = KeychainStore(FakeContext(Path(job["root"]), options=options, environ=job["environ"]), SECRET_SERVICE)
"""
WRITE = """
for number in range(job["rounds"]):
    store.put(f"credentials/{job['hand']}-{number}", Secret(f"{job['hand']} {number}"))
    store.put("credentials/contended", Secret(f"{job['hand']} {number}"))
    assert store.get("credentials/contended") is not None
    list(store.keys())
"""
READ = """
for _ in range(job["rounds"]):
    assert store.get("credentials/none") is None
"""
HANDS = 8


def together(work: str, session: DesktopSession, root: Path, rounds: int) -> None:
    """Eight processes do this at the same time, and all succeed."""
    job = {"root": str(root), "environ": dict(session.env), "rounds": rounds}
    argv = [sys.executable, "-c", OPENED + work]
    hands = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={}) for _ in range(HANDS)
    ]
    for number, hand in enumerate(hands):
        assert hand.stdin
        hand.stdin.write(json.dumps(job | {"hand": number}))
        hand.stdin.close()
    for hand in hands:
        assert hand.stderr
        with hand.stderr as said:
            assert (said.read(), hand.wait(seconds(60))) == ("", 0)


@pytest.mark.slow
def test_eight_concurrent_writers_lose_nothing(
    session: DesktopSession, store: Callable[..., KeychainStore], tmp_path: Path
) -> None:
    rounds = 3
    together(WRITE, session, tmp_path, rounds)
    ours = store(session.env)
    written = {f"credentials/{hand}-{number}": f"{hand} {number}" for hand in range(HANDS) for number in range(rounds)}
    assert set(ours.keys()) == {*written, "credentials/contended"}
    for key, text in written.items():
        item = ours.get(key)
        assert item is not None
        assert item.value == Secret(text)
    assert len(session.items()) == len(written) + 1


@pytest.mark.slow
def test_many_short_clients_do_not_crash_daemon(
    session: DesktopSession, store: Callable[..., KeychainStore], tmp_path: Path
) -> None:
    """gnome-keyring 42.1 aborts if a client's first message reads a property while other clients come and go."""
    together(READ, session, tmp_path, 1_500 if os.environ.get("AWSV_DEEP") else 150)
    assert list(store(session.env).keys()) == []


# -- what can be wrong -------------------------------------------------------------------------------------------------


@pytest.mark.process
def test_missing_bus_is_unavailable(store: Callable[..., KeychainStore], tmp_path: Path) -> None:
    refused(store({}), StorageUnavailable, "DBUS_SESSION_BUS_ADDRESS is not set")
    refused(store({"XDG_RUNTIME_DIR": str(tmp_path)}), StorageUnavailable, "DBUS_SESSION_BUS_ADDRESS is not set")
    for address in (f"unix:path={tmp_path}/none", "tcp:host=localhost", "nonsense", "unix:"):
        refused(store({"DBUS_SESSION_BUS_ADDRESS": address}), StorageUnavailable, address)


@pytest.mark.process
@pytest.mark.parametrize("answers", [[], [b"OK 0123456789abcdef0123456789abcdef\r\n"]], ids=["silent", "half"])
def test_unresponsive_bus_is_unavailable(
    answers: list[bytes], store: Callable[..., KeychainStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts the connection, and perhaps the authentication, and then does not answer."""
    monkeypatch.setattr(bus, "PATIENCE", 0.7)
    monkeypatch.setattr(bus, "_CONNECTING", 0.7)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/bus")
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    for answer in answers:
                        client.recv(100)
                        client.sendall(answer)
                    while client.recv(1000):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            environ = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus"}
            refused(store(environ), StorageUnavailable, "timed out")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_default_bus_is_found_without_variable(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    store({"XDG_RUNTIME_DIR": str(session.root)}).put(KEY, VALUE)  # its socket is called "bus", as systemd's
    assert list(store(session.env).keys()) == [KEY]


def test_missing_service_is_unavailable(empty_session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    refused(store(empty_session.env), StorageUnavailable, "no program provides the Secret Service")


def test_unresponsive_service_is_unavailable(
    empty_session: DesktopSession, store: Callable[..., KeychainStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "PATIENCE", 0.7)
    empty_session.run_service(MUTE)
    refused(store(empty_session.env), StorageUnavailable, "does not answer within 0.7 s")
    assert bus.PATIENCE < AT_ONCE


def test_wait_for_reply_can_be_cancelled(
    empty_session: DesktopSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_session.run_service(MUTE)
    ctx = context(tmp_path, empty_session.env)
    ends = time.monotonic() + 0.2

    def check() -> None:
        if time.monotonic() > ends:
            raise Cancelled("the time for this is over")

    monkeypatch.setattr(ctx, "check", check)
    started = time.monotonic()
    with pytest.raises(Cancelled):
        KeychainStore(ctx, SECRET_SERVICE).get(KEY)
    assert time.monotonic() - started < seconds(2.0)


def test_missing_default_collection_is_unavailable(
    empty_session: DesktopSession, store: Callable[..., KeychainStore]
) -> None:
    empty_session.run_service(PROMPTING, "none")
    refused(store(empty_session.env), StorageUnavailable, "no default collection")


def test_locked_collection_without_dialog_is_locked(
    session: DesktopSession, store: Callable[..., KeychainStore]
) -> None:
    store(session.env).put(KEY, VALUE)
    session.lock()
    refused(store(session.env), StorageLocked, f"'{LOGIN}'", "dialogs are not allowed here")
    refused(store({**session.env, "DISPLAY": ":7"}), StorageLocked, "dialogs are not allowed here")
    refused(store(session.env, dialogs=True), StorageLocked, "DISPLAY and WAYLAND_DISPLAY are not set")
    # The real daemon's dialog, which has no display to appear on: the daemon says so at once.
    refused(store({**session.env, "DISPLAY": ":7"}, dialogs=True), StorageLocked, "could not be shown")
    session.unlock()
    assert list(store(session.env).keys()) == [KEY]


def test_answered_dialog_unlocks_collection(
    empty_session: DesktopSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_session.run_service(PROMPTING, "opened")
    ctx = context(tmp_path, {**empty_session.env, "WAYLAND_DISPLAY": "wayland-0"}, dialogs=True)
    assert list(KeychainStore(ctx, SECRET_SERVICE).keys()) == []
    assert ctx.notes == [f"the collection '{LOGIN}' of the Secret Service is locked: answer your desktop's dialog"]


@pytest.mark.parametrize(
    ("how", "words"), [("dismissed", "the dialog was dismissed"), ("ignored", "the dialog was not answered within 1 s")]
)
def test_unanswered_dialog_is_locked(
    how: str,
    words: str,
    empty_session: DesktopSession,
    store: Callable[..., KeychainStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus, "DIALOG_PATIENCE", 1.0)
    empty_session.run_service(PROMPTING, how)
    environ = {**empty_session.env, "DISPLAY": ":7"}
    refused(store(environ, dialogs=True), StorageLocked, words)


def test_killed_daemon_is_unavailable(session: DesktopSession, store: Callable[..., KeychainStore]) -> None:
    ours = store(session.env)
    ours.put(KEY, VALUE)
    session.kill_daemon()
    refused(ours, StorageUnavailable, "no program provides the Secret Service")
    session.log_in()
    item = ours.get(KEY)  # the same object goes on
    assert item is not None
    assert item.value == VALUE


def test_killed_daemon_is_restarted_by_bus(store: Callable[..., KeychainStore]) -> None:
    with desktop(activation=True) as session:
        ours = store(session.env)
        ours.put(KEY, VALUE)
        session.kill_daemon()
        refused(ours, StorageLocked, f"'{LOGIN}'", within=10)


def test_wait_for_other_writers_times_out(
    session: DesktopSession, store: Callable[..., KeychainStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    from vault_plugin_keychain import storage

    ours = store(session.env)
    ours.put(KEY, VALUE)
    monkeypatch.setattr(storage, "LOCK_SECONDS", 0.3)
    with (tmp_path / "state/plugin-keychain.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StorageUnavailable, match=r"another process has held the lock .*plugin-keychain\.lock"):
            ours.delete(KEY)
        assert ours.get(KEY) is not None  # who reads does not wait
    assert ours.delete(KEY) is True


def test_lock_that_cannot_be_created_is_named(
    session: DesktopSession, store: Callable[..., KeychainStore], tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(StorageUnavailable, match=r"cannot lock .*keychain\.lock"):
        store(session.env).put(KEY, VALUE)
    assert session.items() == []
