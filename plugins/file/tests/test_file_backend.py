"""The four methods of the backend, when the user is asked, and what is decrypted."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from support.file_store import content
from vault_core import vlt
from vault_core.api import (
    ABSENT,
    PassphraseError,
    Secret,
    StorageConflict,
    StorageCorrupt,
    StorageError,
    VaultError,
    WrongSecret,
)
from vault_core.keyslots import new_slot, sources
from vault_core.vlt import primitives
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

KEY = "credentials/dev"


# -- the four methods --------------------------------------------------------------------------------------------------


def test_missing_store_never_prompts(opened: Any, ctx: FakeContext, folder: Any) -> None:
    store = opened()
    assert store.get(KEY) is None
    assert list(store.keys()) == []
    assert store.delete(KEY) is False
    with pytest.raises(StorageConflict):
        store.put(KEY, Secret("x"), expect="1-AAAA")
    with pytest.raises(StorageConflict):
        store.delete(KEY, expect="1-AAAA")
    assert (ctx.unlocked, ctx.notes) == ([], [])
    assert not folder.exists()


def test_put_get_keys_delete_round_trip(opened: Any) -> None:
    store = opened()
    store.put("credentials/b", Secret("two"))
    store.put("credentials/a", Secret("one"), expect=ABSENT)
    for again in (store, opened()):
        assert list(again.keys()) == ["credentials/a", "credentials/b"]
        assert again.get("credentials/a").value == Secret("one")
        assert again.get("credentials/c") is None
    assert opened().delete("credentials/a") is True
    assert store.delete("credentials/a") is False
    assert list(store.keys()) == ["credentials/b"]


def test_versions_differ_for_each_write(opened: Any) -> None:
    store = opened()
    versions = [store.put(KEY, Secret("same")) for _ in range(3)]
    store.delete(KEY)
    versions.append(store.put(KEY, Secret("same"), expect=ABSENT))
    assert len(set(versions)) == 4
    assert opened().get(KEY).version == versions[-1]
    other = store.put("credentials/other", Secret("x"))
    assert opened().get(KEY).version == versions[-1] != other


def test_expect_is_checked_by_put_and_delete(opened: Any, snapshot: Any) -> None:
    store = opened()
    first = store.put(KEY, Secret("1"), expect=ABSENT)
    second = opened().put(KEY, Secret("2"), expect=first)
    before = snapshot()
    refused = [
        (lambda: store.put(KEY, Secret("3"), expect=ABSENT), "exists already"),
        (lambda: store.put(KEY, Secret("3"), expect=first), "was changed by another process"),
        (lambda: store.put("a/none", Secret("3"), expect=first), "no longer exists"),
        (lambda: store.delete(KEY, expect=first), "was changed by another process"),
        (lambda: store.delete("a/none", expect=first), "no longer exists"),
    ]
    for call, reason in refused:
        with pytest.raises(StorageConflict, match=reason):
            call()
    assert snapshot() == before
    assert store.delete(KEY, expect=second) is True


def test_backend_asks_for_passphrase_once(opened: Any, ctx: FakeContext) -> None:
    store = opened()
    store.put("a/1", Secret("1"))
    store.put("a/2", Secret("2"))
    opened(ctx).put("a/3", Secret("3"))
    assert [store.get(key).value.reveal() for key in store.keys()] == [b"1", b"2", b"3"]  # noqa: SIM118 - no dictionary
    assert len(ctx.unlocked) == 2
    store.close()
    store.close()
    assert store.get("a/1").value == Secret("1")
    assert len(ctx.unlocked) == 3


def test_creation_asks_for_new_passphrase(opened: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = ctx.unlock
    monkeypatch.setattr(
        ctx,
        "unlock",
        lambda key_id, derive, **more: (seen.append(more.get("create", False)), real(key_id, derive, **more))[1],
    )
    opened().put(KEY, Secret("x"))
    opened().get(KEY)
    assert seen == [True, False]


def test_missing_passphrase_is_an_error(opened: Any, folder: Any, tmp_path: Path) -> None:
    with pytest.raises(PassphraseError):
        opened(FakeContext(tmp_path)).put(KEY, Secret("x"))
    assert not folder.exists()


def test_wrong_passphrase_changes_no_file(opened: Any, tmp_path: Path, snapshot: Any) -> None:
    opened().put(KEY, Secret("x"))
    before = snapshot()
    wrong = opened(FakeContext(tmp_path, passphrases=["wrong"]))
    for call in (
        lambda: wrong.get(KEY),
        lambda: list(wrong.keys()),
        lambda: wrong.put(KEY, Secret("y")),
        lambda: wrong.delete(KEY),
    ):
        with pytest.raises(WrongSecret, match=r"wrong passphrase for .*store.vlt") as caught:
            call()
        assert caught.value.exit_code == 5
    assert snapshot() == before


def test_passphrase_is_never_asked_for_under_lock(
    opened: Any, ctx: FakeContext, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process can write while the user types a passphrase."""
    real = ctx.unlock

    def slow(key_id: Any, derive: Any, **more: Any) -> Any:
        if len(ctx.unlocked) == 0:
            ctx.unlocked.append("asking")
            FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder).put("credentials/other", Secret("o"))
        return real(key_id, derive, **more)

    monkeypatch.setattr(ctx, "unlock", slow)
    opened().put(KEY, Secret("x"))
    assert list(opened().keys()) == [KEY, "credentials/other"]


def test_concurrent_creation_keeps_one_passphrase(
    opened: Any, ctx: FakeContext, folder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = ctx.unlock

    def late(key_id: Any, derive: Any, *, create: bool = False, source: Any = None) -> Any:
        if create:
            FileBackend(FakeContext(tmp_path, passphrases=["first"]), folder).put("a/first", Secret("1"))
        return real(key_id, derive, create=create, source=source)

    monkeypatch.setattr(ctx, "unlock", late)
    with pytest.raises(WrongSecret):
        opened().put("a/second", Secret("2"))
    assert list(opened(FakeContext(tmp_path, passphrases=["first"])).keys()) == ["a/first"]


def test_lock_is_free_during_every_prompt(
    opened: Any, ctx: FakeContext, folder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also if another process created the store between the prompt and the lock."""
    real, asked = ctx.unlock, []

    def noted(key_id: Any, derive: Any, *, create: bool = False, source: Any = None) -> Any:
        if create:
            FileBackend(FakeContext(tmp_path, passphrases=["right"]), folder).put("a/first", Secret("1"))
        with (folder / "store.vlt.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        asked.append(create)
        return real(key_id, derive, create=create, source=source)

    monkeypatch.setattr(ctx, "unlock", noted)
    opened().put("a/second", Secret("2"))
    assert asked == [True, False]
    assert list(opened().keys()) == ["a/first", "a/second"]


def test_new_data_key_with_same_identity_is_unlocked_again(
    opened: Any, folder: Any, independent: Any, ctx: FakeContext
) -> None:
    """After a change of the data key, a backend that has the old key unlocks the slots again."""
    store = opened()
    store.put(KEY, Secret("old"))
    table, dek = store.store._seen.table, Secret(os.urandom(32))
    kdf = {**table.slots[0].head["kdf"], "salt": vlt.to_base64(os.urandom(16))}
    slot = independent.make_slot(table.store, dek.reveal(), "right", type="passphrase", kdf=kdf)
    table = vlt.SlotTable.parse(vlt.to_base64(table.store), [slot])
    entry = vlt_file.seal_entry(table, dek, KEY, 2, Secret("new"))
    (folder / "store.vlt").write_bytes(vlt_file.encode(table, dek, 2, {KEY: entry}))
    assert store.get(KEY).value == Secret("new")
    store.put("a/b", Secret("x"))
    assert list(opened().keys()) == ["a/b", KEY]


def test_get_decrypts_index_once_and_no_other_entry(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened().put("a/1", Secret("1"))
    opened().put("a/2", Secret("2"))
    seen = []
    real = primitives.decrypt
    for module in (primitives, vlt):
        monkeypatch.setattr(
            module, "decrypt", lambda key, data, aad: (seen.append(bytes(aad[:13])), real(key, data, aad))[1]
        )
    store = opened()
    for _ in range(3):
        store.get("a/1")
        list(store.keys())
    payloads = [aad for aad in seen if aad.startswith(b"\x89VLT")]
    entries = [aad for aad in seen if aad.startswith(b"vlt/v1/entry")]
    assert (len(payloads), len(entries)) == (1, 3)
    opened().put("a/3", Secret("3"))
    seen.clear()
    assert list(store.keys()) == ["a/1", "a/2", "a/3"]
    assert len(seen) == 1


def test_entry_of_old_data_key_is_refused(opened: Any, folder: Any, ctx: FakeContext) -> None:
    """A different store in the same place is detected even without an anchor: its own passphrase is asked for."""
    ctx.options["anchor"] = False  # type: ignore[index]  # a plain dictionary, behind a Mapping
    store = opened()
    store.put(KEY, Secret("old"))
    (folder / "store.vlt").unlink()
    opened().put(KEY, Secret("new"))
    asked = len(ctx.unlocked)
    assert store.get(KEY).value == Secret("new")
    assert store.put(KEY, Secret("newer"))
    assert len(ctx.unlocked) == asked + 1


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "/a",
        "a/",
        "a/b/c",
        "A/b",
        "a/ü",
        "a/b\n",
        "a/b\0",
        "a/🔑",
        "a/" + "b" * 899,
        "a/" + "b" * 65_536,
    ],
    ids=lambda key: ascii(key[:8]),
)
def test_s21_invalid_key_is_refused(opened: Any, folder: Any, key: Any) -> None:
    with pytest.raises(StorageError, match="invalid key"):
        opened().put(key, Secret("x"))
    assert opened().get(key) is None
    assert not folder.exists()


def test_longest_key_is_accepted_and_empty_value_is_refused(opened: Any) -> None:
    store = opened()
    store.put("a/" + "b" * 898, Secret("x"))
    assert list(opened().keys()) == ["a/" + "b" * 898]
    with pytest.raises(StorageError, match="invalid key, or empty value"):
        store.put(KEY, Secret(""))


def test_write_to_full_store_is_refused_and_changes_nothing(opened: Any, snapshot: Any) -> None:
    store = opened()
    store.put(KEY, Secret("x"))
    before = snapshot()
    with pytest.raises(StorageError, match=r"store.vlt is full: it would have .* bytes") as caught:
        store.put("a/large", Secret(b"x" * 13_000_000))
    assert caught.value.exit_code == 4
    assert snapshot() == before


@pytest.mark.slow
def test_s21_store_holds_ten_thousand_entries(opened: Any, figure: Any) -> None:
    store = opened()
    store.put("a/0", Secret("x"))
    table, dek, entries = store.store._seen.table, store.store._seen.dek, dict(store.store._seen.entries)
    for number in range(1, 10_000):
        entries[f"a/{number}"] = vlt_file.seal_entry(table, dek, f"a/{number}", 1, Secret("x" * 100))
    store.store.file.path.write_bytes(vlt_file.encode(table, dek, 2, entries))
    again = opened()
    assert len(list(again.keys())) == 10_000
    again.put("a/new", Secret("y"))
    assert again.get("a/9999").value == Secret("x" * 100)
    assert again.delete("a/5000") is True
    left = content(opened())
    assert left == {f"a/{number}": "x" * 100 if number else "x" for number in range(10_000) if number != 5000} | {
        "a/new": "y"
    }
    figure(f"10,000 entries: {store.store.file.path.stat().st_size:,} bytes, each as it was put")


def test_weaker_allowed_kdf_opens_and_is_kept(folder: Any, ctx: FakeContext, opened: Any) -> None:
    FileBackend(ctx, folder, cost=vlt.Argon2id(19_456, 2, 1)).put(KEY, Secret("x"))
    header = vlt_file.parse((folder / "store.vlt").read_bytes()).table.to_json()
    opened().put(KEY, Secret("y"))
    assert vlt_file.parse((folder / "store.vlt").read_bytes()).table.to_json() == header


def test_write_keeps_slots_of_other_types(opened: Any, folder: Any, independent: Any) -> None:
    store = opened()
    store.put(KEY, Secret("x"))
    state = store.store._seen
    recovery = independent.recovery_text(os.urandom(32))
    slot = independent.make_slot(state.table.store, state.dek.reveal(), recovery, type="recovery", label="printed")
    value = state.table.to_json()
    table = vlt.SlotTable.parse(value["store"], [slot, *value["slots"]])
    (folder / "store.vlt").write_bytes(vlt_file.encode(table, state.dek, 2, state.entries))
    opened().put("credentials/b", Secret("y"))
    data = (folder / "store.vlt").read_bytes()
    for secret, kind in (("right", "passphrase"), (recovery, "recovery")):
        assert independent.read_file(data, secret, kind) == (3, {KEY: b"x", "credentials/b": b"y"})


def test_store_with_unavailable_key_slot_only_is_an_error(
    opened: Any, folder: Any, independent: Any, ctx: FakeContext
) -> None:
    store = opened()
    store.put(KEY, Secret("x"))
    state = store.store._seen
    text = vlt.to_base64(bytes(32))
    slot = independent.make_slot(state.table.store, state.dek.reveal(), text, type="key", source="keychain")
    table = vlt.SlotTable.parse(state.table.to_json()["store"], [slot])
    (folder / "store.vlt").write_bytes(vlt_file.encode(table, state.dek, 2, state.entries))
    with pytest.raises(VaultError, match="key slot") as caught:
        opened().get(KEY)
    assert str(folder / "store.vlt") in caught.value.message
    assert not isinstance(caught.value, StorageCorrupt)


def test_write_after_last_epoch_is_refused(opened: Any, folder: Any) -> None:
    store = opened()
    store.put(KEY, Secret("x"))
    state = store.store._seen
    (folder / "store.vlt").write_bytes(vlt_file.encode(state.table, state.dek, vlt_file.MAX_EPOCH, state.entries))
    assert opened().get(KEY).value == Secret("x")
    with pytest.raises(StorageError, match="cannot count any more writes"):
        opened().put(KEY, Secret("y"))


def test_output_contains_no_secret(opened: Any, tmp_path: Path) -> None:
    canary = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    store = opened()
    store.put(KEY, Secret(canary))
    item = store.get(KEY)
    shown = f"{store!r} {item!r} {store.store._seen!r} {store.store._key!r} {vars(store)!r}"
    assert canary not in shown
    assert str(store.store._seen.dek.reveal()) not in shown


def test_source_of_known_store_may_be_asked(opened: Any, ctx: FakeContext, folder: Any, tmp_path: Path) -> None:
    """On another machine, which has written nothing; before that, an attacker may have written the slots."""
    opened().put(KEY, Secret("1"))
    opened().change_slots(lambda table, _dek: table.add(_dek, new_slot.key(table.store, ctx, "keychain")))
    other = FakeContext(tmp_path / "other", store="file", passphrases=["right"], sources=["env"])
    assert sources.may_be_asked(other, opened().slots().store) == {"env"}
    opened(other).get(KEY)
    assert sources.may_be_asked(other, opened().slots().store) == {"env", "keychain"}
