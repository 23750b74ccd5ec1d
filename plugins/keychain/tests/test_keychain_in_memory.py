"""Store and source over a keychain in memory: the plugin's own logic, on machines without a keychain."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.keychains import Fragile
from vault_core.api import (
    ABSENT,
    Cancelled,
    PassphraseError,
    PassphraseRequest,
    Secret,
    SourceUnavailable,
    StorageConflict,
    StorageCorrupt,
    StorageLocked,
    StorageUnavailable,
)
from vault_plugin_keychain import source, storage
from vault_plugin_keychain.kinds import KINDS, SECRET_SERVICE, Kind
from vault_plugin_keychain.source import KeychainSource
from vault_plugin_keychain.storage import KeychainStore
from vault_testkit import FakeContext

KEY = "credentials/work"
ONE, TWO = Secret("one"), Secret("two")
REQUEST = PassphraseRequest(store="file", key_id="file/lock")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The content of the keychain that every store and source of a test opens."""
    texts: dict[str, str] = {}
    for module in (storage, source):
        monkeypatch.setattr(module, "open_keychain", lambda _ctx, _kind, _service: Fragile(texts))
    return texts


@pytest.fixture
def ctx(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path, options={"name": "awsv"})


@pytest.fixture
def store(kept: dict[str, str], ctx: FakeContext) -> KeychainStore:
    return KeychainStore(ctx, SECRET_SERVICE)


@contextmanager
def another_writer(ctx: FakeContext) -> Iterator[None]:
    """The lock of another process. A flock belongs to the open file, not to the process."""
    ctx.state_dir.mkdir(parents=True, exist_ok=True)
    with (ctx.state_dir / "plugin-keychain.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# -- the store ---------------------------------------------------------------------------------------------------------


def test_change_checks_version(store: KeychainStore) -> None:
    first = store.put(KEY, ONE, expect=ABSENT)
    for wrong in (ABSENT, "0" * 16):
        with pytest.raises(StorageConflict):
            store.put(KEY, TWO, expect=wrong)
        with pytest.raises(StorageConflict):
            store.delete(KEY, expect=wrong)
    second = store.put(KEY, TWO, expect=first)
    item = store.get(KEY)
    assert item is not None
    assert (item.value, item.version, list(store.keys())) == (TWO, second, [KEY])
    assert store.delete(KEY, expect=second)
    assert (store.get(KEY), store.delete(KEY), list(store.keys())) == (None, False, [])


def test_writer_waits_for_lock_and_reader_does_not(
    store: KeychainStore, ctx: FakeContext, kept: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(KEY, ONE)
    before = dict(kept)
    monkeypatch.setattr(storage, "LOCK_SECONDS", 0.05)
    busy = r"another process has held the lock .*plugin-keychain\.lock for more than 0\.05 s"
    with another_writer(ctx):
        for change in (lambda: store.put(KEY, TWO), lambda: store.delete(KEY)):
            with pytest.raises(
                StorageUnavailable,
                match=busy,
            ):
                change()
        item = store.get(KEY)
        assert item is not None
        assert (item.value, kept) == (ONE, before)
    store.put(KEY, TWO)


def test_wait_for_lock_can_be_cancelled(
    store: KeychainStore, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise Cancelled("interrupted")

    monkeypatch.setattr(ctx, "check", interrupted)
    with another_writer(ctx), pytest.raises(Cancelled):
        store.put(KEY, ONE)


def test_lock_is_held_between_check_and_write(
    store: KeychainStore, ctx: FakeContext, kept: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers create the same key: the second tries while the first checks."""
    monkeypatch.setattr(storage, "LOCK_SECONDS", 0.05)
    look, refused = Fragile.get, []

    def look_while_another_writes(keychain: Fragile, name: str) -> str | None:
        monkeypatch.setattr(Fragile, "get", look)
        with pytest.raises(StorageUnavailable, match="another process has held"):
            KeychainStore(ctx, SECRET_SERVICE).put(KEY, TWO, expect=ABSENT)
        refused.append(name)
        return look(keychain, name)

    monkeypatch.setattr(Fragile, "get", look_while_another_writes)
    store.put(KEY, ONE, expect=ABSENT)
    assert refused
    item = store.get(KEY)
    assert item is not None
    assert item.value == ONE


@pytest.mark.parametrize("exists", [True, False], ids=["to a file", "to nothing"])
def test_symlinked_lock_file_is_not_followed(
    exists: bool, store: KeychainStore, ctx: FakeContext, kept: dict[str, str], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    if exists:
        elsewhere.write_text("kept")
    ctx.state_dir.mkdir(parents=True, mode=0o700)
    (ctx.state_dir / "plugin-keychain.lock").symlink_to(elsewhere)
    with pytest.raises(StorageUnavailable, match=r"cannot lock .*keychain\.lock"):
        store.put(KEY, ONE)
    assert kept == {}
    assert elsewhere.exists() == exists


def test_lock_file_is_private(store: KeychainStore, ctx: FakeContext) -> None:
    umask = os.umask(0)
    try:
        store.put(KEY, ONE)
    finally:
        os.umask(umask)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (ctx.state_dir, ctx.state_dir / "plugin-keychain.lock")]
    assert modes == [0o700, 0o600]


@pytest.mark.parametrize("text", ["", "one", "2:0123456789abcdef:one", "1:0123:one"])
def test_foreign_item_is_named_and_not_shown(text: str, store: KeychainStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store._texts, "get", lambda _name: text)
    with pytest.raises(StorageCorrupt, match=f"the item {KEY} in the Secret Service, under 'awsv' is not") as refused:
        store.get(KEY)
    assert "one" not in refused.value.message.split()


# -- the source --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_put_shows_who_can_read_key(kind: Kind, kept: dict[str, str], ctx: FakeContext) -> None:
    KeychainSource(ctx, kind).put(REQUEST, ONE)
    assert ctx.notes == [kind.readers]
    assert "one" not in " ".join(ctx.notes).split()


def test_key_of_any_bytes_is_kept_and_forgotten(kept: dict[str, str], ctx: FakeContext) -> None:
    keeper, secret = KeychainSource(ctx, SECRET_SERVICE), Secret(bytes(range(256)))
    assert keeper.get(REQUEST) is None
    keeper.put(REQUEST, secret)
    assert KeychainSource(ctx, SECRET_SERVICE).get(REQUEST) == secret
    assert keeper.forget(REQUEST)
    assert not keeper.forget(REQUEST)
    assert kept == {}


def test_foreign_key_is_refused(kept: dict[str, str], ctx: FakeContext) -> None:
    kept[REQUEST.key_id] = "canary!"
    with pytest.raises(PassphraseError, match="was not written by awsv") as refused:
        KeychainSource(ctx, SECRET_SERVICE).get(REQUEST)
    assert "canary" not in f"{refused.value.message} {refused.value.hint}"


def test_store_and_source_of_same_name_share_no_items(ctx: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their service names: a store lists all items of its service name."""
    services: dict[str, dict[str, str]] = {}
    for module in (storage, source):
        monkeypatch.setattr(
            module, "open_keychain", lambda _ctx, _kind, service: Fragile(services.setdefault(service, {}))
        )
    KeychainSource(ctx, SECRET_SERVICE).put(REQUEST, ONE)
    assert list(services) == ["awsv keys"]
    KeychainStore(ctx, SECRET_SERVICE).put(KEY, TWO)
    assert list(services) == ["awsv keys", "awsv"]
    assert list(services["awsv keys"]) == [REQUEST.key_id]


def test_key_with_invalid_base64_is_refused(kept: dict[str, str], ctx: FakeContext) -> None:
    KeychainSource(ctx, SECRET_SERVICE).put(REQUEST, ONE)
    for name in kept:
        kept[name] = f"!{kept[name]}"
    with pytest.raises(PassphraseError, match="was not written by awsv"):
        KeychainSource(ctx, SECRET_SERVICE).get(REQUEST)


def test_unavailable_keychain_is_source_unavailable(ctx: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise StorageLocked("it is locked", hint="unlock it")

    monkeypatch.setattr(source, "open_keychain", locked)
    with pytest.raises(SourceUnavailable, match="it is locked") as caught:
        KeychainSource(ctx, SECRET_SERVICE).get(REQUEST)
    assert caught.value.hint == "unlock it"
