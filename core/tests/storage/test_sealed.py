"""SealedBackend over a dictionary and over a folder of files: what the backend sees, and what it can get away with."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from support.memory_backend import BOTH, MemoryBackend
from vault_core.api import (
    ABSENT,
    ANY,
    Capability,
    Item,
    PassphraseError,
    Secret,
    StorageBackend,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    WrongSecret,
)
from vault_core.storage.sealed import SLOTS_KEY, SealedBackend
from vault_core.vlt.encoding import canonical, to_base64
from vault_testkit.context import FakeContext

GOLDEN = Path(__file__).with_name("sealed-values.json")


class Folder(StorageBackend):
    """One file a key, no ``expect`` but ABSENT."""

    def __init__(self, root: Any) -> None:
        self.root = root

    def get(self, key: Any) -> Any:
        path = self.root / key.replace("/", "@")
        return Item(value=Secret(path.read_bytes()), version="") if path.exists() else None

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        path = self.root / key.replace("/", "@")
        if expect is ANY:
            path.write_bytes(value.reveal())
            return ""
        temp = self.root / f".{threading.get_ident()}"
        temp.write_bytes(value.reveal())
        try:
            os.link(temp, path)
        except FileExistsError:
            raise StorageConflict(key) from None
        finally:
            temp.unlink()
        return ""

    def delete(self, key: Any, *, expect: Any = ANY) -> Any:
        path = self.root / key.replace("/", "@")
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    def keys(self) -> Any:
        return (path.name.replace("@", "/") for path in self.root.iterdir() if not path.name.startswith("."))


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    return FakeContext(tmp_path, store="team", passphrases=["right"])


@pytest.fixture(params=["dictionary", "folder"])
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "dictionary":
        return MemoryBackend()
    (tmp_path / "folder").mkdir()
    return Folder(tmp_path / "folder")


def opened(inner: Any, ctx: Any, capabilities: Any = BOTH) -> Any:
    return SealedBackend(inner, ctx, capabilities)


def test_values_come_back_and_the_backend_sees_none_of_them(inner: Any, ctx: FakeContext) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    opened(inner, ctx).put("credentials/a", Secret(secret))
    store = opened(inner, ctx)
    assert store.get("credentials/a").value.reveal_text() == secret
    assert list(store.keys()) == ["credentials/a"]
    assert sorted(inner.keys()) == ["credentials/a", SLOTS_KEY]
    for key in inner.keys():  # noqa: SIM118 - a backend is no dictionary
        kept = inner.get(key).value.reveal()
        assert all(0x20 <= byte < 0x7F for byte in kept)
        assert secret.encode() not in kept
    assert store.delete("credentials/a") is True
    assert store.delete("credentials/a") is False
    assert store.get("credentials/a") is None


def test_nothing_is_asked_before_the_first_value(ctx: FakeContext) -> None:
    inner = MemoryBackend()
    store = opened(inner, ctx)
    assert store.get("credentials/a") is None
    assert list(store.keys()) == []
    assert store.delete("credentials/a") is False
    assert ctx.unlocked == []
    store.put("credentials/a", Secret("x"))
    store.put("credentials/b", Secret("y"))
    assert store.get("credentials/b").value == Secret("y")
    assert len(ctx.unlocked) == 1
    other = opened(inner, ctx)
    assert sorted(other.keys()) == ["credentials/a", "credentials/b"]
    assert other.get("credentials/none") is None
    assert other.delete("credentials/b") is True
    assert len(ctx.unlocked) == 1


def test_expectations_go_through(ctx: FakeContext) -> None:
    inner = MemoryBackend()
    store = opened(inner, ctx)
    version = store.put("a/b", Secret("1"), expect=ABSENT)
    assert store.get("a/b").version == version
    with pytest.raises(StorageConflict):
        store.put("a/b", Secret("2"), expect=ABSENT)
    newer = store.put("a/b", Secret("2"), expect=version)
    with pytest.raises(StorageConflict):
        store.put("a/b", Secret("3"), expect=version)
    with pytest.raises(StorageConflict):
        store.delete("a/b", expect=version)
    assert store.get("a/b").value == Secret("2")
    assert store.delete("a/b", expect=newer) is True


@pytest.mark.parametrize(("capabilities", "expected"), [(BOTH, ABSENT), (Capability.NONE, ANY)])
def test_the_table_is_created_only_with_what_the_backend_declares(
    ctx: FakeContext, capabilities: Any, expected: Any
) -> None:
    inner = MemoryBackend()
    opened(inner, ctx, capabilities).put("a/b", Secret("1"))
    assert inner.asked == [(SLOTS_KEY, expected), ("a/b", ANY)]


def test_exchanged_values(inner: Any, ctx: FakeContext) -> None:
    store = opened(inner, ctx)
    for key in ("credentials/dev", "credentials/prod"):
        store.put(key, Secret(f"value of {key}"))
    dev, prod = (inner.get(key).value for key in ("credentials/dev", "credentials/prod"))
    inner.put("credentials/dev", prod)
    inner.put("credentials/copy", dev)
    for key in ("credentials/dev", "credentials/copy"):
        with pytest.raises(StorageCorrupt, match=f"{key} in store team is damaged: it was changed, or belongs"):
            store.get(key)
    assert store.get("credentials/prod").value == Secret("value of credentials/prod")


def test_a_value_of_another_store(ctx: FakeContext) -> None:
    one, two = MemoryBackend(), MemoryBackend()
    opened(one, ctx).put("a/b", Secret("1"))
    opened(two, ctx).put("a/b", Secret("2"))
    one.kept["a/b"] = two.kept["a/b"]
    with pytest.raises(StorageCorrupt):
        opened(one, ctx).get("a/b")
    one.kept[SLOTS_KEY] = two.kept[SLOTS_KEY]  # table and value: that is the other store, whole
    assert opened(one, ctx).get("a/b").value == Secret("2")


def test_every_changed_character_of_a_value(ctx: FakeContext) -> None:
    inner = MemoryBackend()
    store = opened(inner, ctx)
    store.put("a/b", Secret("value"))
    good = inner.kept["a/b"]
    for position in range(len(good)):
        for other in (chr(ord(good[position]) ^ 1), "é", ""):
            inner.kept["a/b"] = good[:position] + other + good[position + 1 :]
            with pytest.raises(StorageCorrupt, match="a/b in store team is damaged"):
                store.get("a/b")
    inner.kept["a/b"] = good
    assert store.get("a/b").value == Secret("value")


def test_wrong_passphrase(inner: Any, ctx: FakeContext, tmp_path: Path) -> None:
    opened(inner, ctx).put("a/b", Secret("1"))
    wrong = opened(inner, FakeContext(tmp_path, store="team", passphrases=["wrong"]))
    for call in (lambda: wrong.get("a/b"), lambda: wrong.put("a/c", Secret("2"))):
        with pytest.raises(WrongSecret, match="store team") as caught:
            call()
        assert caught.value.exit_code == 5
    assert "a/c" not in list(inner.keys())


def test_no_passphrase_creates_nothing(inner: Any, tmp_path: Path) -> None:
    with pytest.raises(PassphraseError):
        opened(inner, FakeContext(tmp_path)).put("a/b", Secret("1"))
    assert list(inner.keys()) == []


def table_of(inner: Any) -> Any:
    return json.loads(inner.kept[SLOTS_KEY])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.update(mac=to_base64(bytes(32))), "authentication code is wrong"),
        (lambda table: table["slots"].append({**table["slots"][0], "id": "0" * 16}), "authentication code is wrong"),
        (lambda table: table.update(format=2), "newer version of awsv: format 2"),
        (lambda table: table.update(format=True), "format is not an integer"),
        (lambda table: table.pop("format"), "format is not an integer"),
        (lambda table: table.update(extra=1), "unknown field"),
        (lambda table: table.pop("mac"), "no field 'mac'"),
        (lambda table: table["slots"][0].update(type="fido2"), "newer version"),
    ],
)
def test_a_changed_table(ctx: FakeContext, change: Any, message: Any) -> None:
    inner = MemoryBackend()
    opened(inner, ctx).put("a/b", Secret("1"))
    table = table_of(inner)
    change(table)
    inner.kept[SLOTS_KEY] = canonical(table).decode()
    before = dict(inner.kept)
    for call in (lambda: opened(inner, ctx).get("a/b"), lambda: opened(inner, ctx).put("a/c", Secret("2"))):
        with pytest.raises(StorageCorrupt, match=message):
            call()
    assert inner.kept == before


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", '"x"', "{", "[" * 50_000, "é"])
def test_a_table_that_is_none(ctx: FakeContext, text: Any) -> None:
    inner = MemoryBackend({SLOTS_KEY: text, "a/b": "vlt1:AAAA"})
    with pytest.raises(StorageCorrupt, match="meta/slots in store team is damaged"):
        opened(inner, ctx).get("a/b")


def test_a_missing_table_is_never_made_again(inner: Any, ctx: FakeContext) -> None:
    opened(inner, ctx).put("a/b", Secret("1"))
    inner.delete(SLOTS_KEY)
    for call in (lambda: opened(inner, ctx).get("a/b"), lambda: opened(inner, ctx).put("a/b", Secret("2"))):
        with pytest.raises(StorageCorrupt, match=r"its slot table .* is missing"):
            call()
    assert list(inner.keys()) == ["a/b"]


def test_the_reserved_key(inner: Any, ctx: FakeContext) -> None:
    store = opened(inner, ctx)
    for call in (store.get, store.delete, lambda key: store.put(key, Secret("x"))):
        with pytest.raises(StorageDenied, match="reserved"):
            call(SLOTS_KEY)


def test_two_create_at_once(inner: Any, tmp_path: Path) -> None:
    """Both ask for the new passphrase before either has written the table; one table wins and nothing is lost."""
    barrier = threading.Barrier(4, timeout=20)

    class Together(FakeContext):
        def unlock(self, key_id: Any, derive: Any, *, create: bool = False, source: Any = None) -> Any:
            if create:
                barrier.wait()
            return super().unlock(key_id, derive, create=create, source=source)

    def work(number: Any) -> None:
        store = opened(inner, Together(tmp_path, store="team", passphrases=["right"]))
        store.put(f"credentials/{number}", Secret(f"value {number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = opened(inner, FakeContext(tmp_path, store="team", passphrases=["right"]))
    values = {key: store.get(key).value.reveal_text() for key in store.keys()}  # noqa: SIM118 - a backend is no dictionary
    assert values == {f"credentials/{number}": f"value {number}" for number in range(4)}


def test_the_loser_of_a_race_needs_the_winners_passphrase(ctx: FakeContext, tmp_path: Path) -> None:
    inner = MemoryBackend()

    class Slow(FakeContext):
        def unlock(self, key_id: Any, derive: Any, *, create: bool = False, source: Any = None) -> Any:
            if create:
                opened(inner, ctx).put("a/first", Secret("1"))
            return super().unlock(key_id, derive, create=create, source=source)

    with pytest.raises(WrongSecret):
        opened(inner, Slow(tmp_path, passphrases=["another"])).put("a/second", Secret("2"))
    assert sorted(inner.kept) == ["a/first", SLOTS_KEY]


def test_the_golden_store_opens_for_ever(independent: Any, tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    store = opened(MemoryBackend(golden["kept"]), FakeContext(tmp_path, passphrases=[golden["passphrase"]]))
    assert {key: store.get(key).value.reveal_text() for key in golden["entries"]} == golden["entries"]
    identity, dek = independent.open_table(golden["kept"][SLOTS_KEY].encode(), golden["passphrase"])
    for key, value in golden["entries"].items():
        assert independent.read_value(identity, dek, key, golden["kept"][key].encode()).decode() == value


def test_a_new_store_opens_with_the_second_implementation(ctx: FakeContext, independent: Any) -> None:
    inner = MemoryBackend()
    opened(inner, ctx).put("credentials/a", Secret("value"))
    identity, dek = independent.open_table(inner.kept[SLOTS_KEY].encode(), "right")
    assert independent.read_value(identity, dek, "credentials/a", inner.kept["credentials/a"].encode()) == b"value"
    with pytest.raises(independent.Wrong):
        independent.open_table(inner.kept[SLOTS_KEY].encode(), "wrong")


def test_close_forgets_the_key(ctx: FakeContext) -> None:
    inner = MemoryBackend()
    store = opened(inner, ctx)
    store.put("a/b", Secret("1"))
    store.close()
    store.close()
    store.get("a/b")
    assert len(ctx.unlocked) == 2
