"""The index of a keychain in parts: none is left over, and an invalid index is reported as damaged, not as empty."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from support.keychains import Fragile
from vault_core.api import ABSENT, Secret, StorageConflict, StorageCorrupt
from vault_plugin_keychain import indexed, storage
from vault_plugin_keychain.indexed import IndexedKeychain
from vault_plugin_keychain.kinds import SECRET_SERVICE
from vault_plugin_keychain.storage import KeychainStore
from vault_testkit import FakeContext


class Counting(Fragile):
    """A keychain in memory that records reads and writes."""

    def __init__(self, kept: dict[str, str], **more: int | None) -> None:
        super().__init__(kept, **more)
        self.read: list[str] = []
        self.written: list[str] = []

    def get(self, name: str) -> str | None:
        self.read.append(name)
        return super().get(name)

    def set(self, name: str, text: str) -> None:
        self.written.append(name)
        super().set(name, text)


def head(text: str, *, generation: int = 1, count: int = 1, digest: str | None = None) -> str:
    found = hashlib.sha256(f"{generation} {text}".encode()).hexdigest()
    return f"{generation} {count} {digest or found} {text}"


def test_shorter_index_removes_surplus_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "_PART", 50)
    kept: dict[str, str] = {}
    items = IndexedKeychain(Fragile(kept, most=150))
    for number in range(12):
        items.set(f"credentials/{number}", "v")
    most = len(kept)
    for number in range(12):
        assert items.delete(f"credentials/{number}")
    parts = {slot: sum(name.startswith(f"index/{slot}.") for name in kept) for slot in (0, 1)}
    assert parts == {slot: int(kept[f"index/{slot}.0"].split(" ")[1]) for slot in (0, 1)}
    assert len(kept) < most / 2
    assert all(len(text) <= 150 for text in kept.values())


def test_first_part_is_written_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "_PART", 50)
    keychain = Counting({}, most=150)
    IndexedKeychain(keychain).set("credentials/" + "x" * 200, "v")
    written = [name for name in keychain.written if name.startswith("index/0.")]
    assert len(written) >= 3
    assert written[-1] == "index/0.0"


def test_number_of_parts_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "_MOST_PARTS", 4)
    keychain = Counting({"index/0.0": head("{}", count=10**3, digest="0" * 64)})
    with pytest.raises(StorageCorrupt):
        IndexedKeychain(keychain).names()
    assert {name for name in keychain.read if name.startswith("index/0.")} == {f"index/0.{part}" for part in range(4)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 1",
        "x",
        head("[]"),
        head("1"),
        head('{"entries": {}}'),
        head('{"trash": []}'),
        head('{"entries": 1, "trash": []}'),
        head('{"entries": {}, "trash": 1}'),
        head("{"),
        head('{"entries": {}, "trash": []}', digest="0" * 64),
        "2" + head('{"entries": {}, "trash": []}')[1:],
        head('{"entries": {}, "trash": []}', count=2) + "x",
    ],
)
@pytest.mark.parametrize("slot", [0, 1])
def test_single_invalid_index_slot_is_damage(text: str, slot: int) -> None:
    items = IndexedKeychain(Fragile({f"index/{slot}.0": text}))
    for use in (items.names, lambda: items.set("k", "v"), lambda: items.delete("k"), lambda: items.get("k")):
        with pytest.raises(StorageCorrupt, match="index of awsv's items"):
            use()


def test_newer_index_slot_is_used() -> None:
    texts = [json.dumps({"entries": {name: "value/x"}, "trash": []}) for name in ("new", "old")]
    for slot in (0, 1):
        kept = {f"index/{slot}.0": head(texts[0], generation=10), f"index/{1 - slot}.0": head(texts[1], generation=9)}
        assert IndexedKeychain(Fragile({**kept, "value/x": "v"})).names() == ["new"]


def test_change_removes_old_value() -> None:
    kept: dict[str, str] = {}
    items = IndexedKeychain(Fragile(kept))
    for text in ("1", "2", "3"):
        items.set("k", text)
        assert [value for name, value in kept.items() if name.startswith("value/")] == [text]
    assert items.delete("k")
    assert not items.delete("k")
    assert [name for name in kept if name.startswith("value/")] == []


def test_missing_value_is_not_an_item() -> None:
    kept: dict[str, str] = {}
    items = IndexedKeychain(Fragile(kept))
    items.set("k", "v")
    [value] = [name for name in kept if name.startswith("value/")]
    del kept[value]
    assert (items.get("k"), items.names(), items.delete("k")) == (None, [], False)


# -- the store ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    texts: dict[str, str] = {}
    monkeypatch.setattr(storage, "open_keychain", lambda _ctx, _kind, _service: Fragile(texts))
    return texts


def store(tmp_path: Path) -> KeychainStore:
    return KeychainStore(FakeContext(tmp_path, options={"name": "awsv"}), SECRET_SERVICE)


def test_expect_is_checked_by_put_and_delete(kept: dict[str, str], tmp_path: Path) -> None:
    items = store(tmp_path)
    version = items.put("k", Secret("1"), expect=ABSENT)
    for wrong in (ABSENT, "0" * 16):
        with pytest.raises(StorageConflict):
            items.put("k", Secret("2"), expect=wrong)
        with pytest.raises(StorageConflict):
            items.delete("k", expect=wrong)
    assert items.put("k", Secret("1"), expect=version) != version
    with pytest.raises(StorageConflict):
        items.put("other", Secret("1"), expect=version)


@pytest.mark.parametrize(
    "text", ["", "v", "2:0123456789abcdef:v", "1:0123456789abcde:v", "1:0123456789ABCDEF:v", " 1:0123456789abcdef:v"]
)
def test_text_without_envelope_is_corrupt(kept: dict[str, str], tmp_path: Path, text: str) -> None:
    items = store(tmp_path)
    items._texts.set("k", text)
    with pytest.raises(StorageCorrupt, match="is not from awsv"):
        items.get("k")


def test_value_that_looks_like_envelope_round_trips(kept: dict[str, str], tmp_path: Path) -> None:
    items = store(tmp_path)
    for value in ("1:0123456789abcdef:x", ":", "a:b"):
        items.put("k", Secret(value))
        found = items.get("k")
        assert found is not None
        assert found.value == Secret(value)


def test_lock_is_private_and_released(kept: dict[str, str], tmp_path: Path) -> None:
    items = store(tmp_path)
    mask = os.umask(0)
    try:
        items.put("k", Secret("v"))
        before = len(list(Path("/dev/fd").iterdir()))
        for _ in range(3):
            items.put("k", Secret("v"))
            with pytest.raises(StorageConflict):
                items.delete("k", expect=ABSENT)
        assert len(list(Path("/dev/fd").iterdir())) == before
    finally:
        os.umask(mask)
    lock = tmp_path / "state/plugin-keychain.lock"
    assert (lock.stat().st_mode & 0o777, lock.parent.stat().st_mode & 0o777) == (0o600, 0o700)
