"""The index of a keychain that cannot list its items: intact after a crash at any step, and after changes by hand.

Most tests use a stand-in that crashes between any two steps of a change, as on macOS (where an item is replaced by
deleting it first); some use a real gnome-keyring through the methods that ``keyring`` has for every keychain.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.keychains import Died, Fragile
from support.secret_service import desktop
from vault_core.api import StorageCorrupt
from vault_plugin_keychain import indexed
from vault_plugin_keychain.indexed import IndexedKeychain
from vault_plugin_keychain.keychains import Keychain, KeyringKeychain
from vault_plugin_keychain.kinds import SECRET_SERVICE
from vault_plugin_keychain.secret_service import SecretService
from vault_testkit import FakeContext

A, B = "credentials/a", "credentials/b"


def limit_parts(monkeypatch: pytest.MonkeyPatch, most: int | None) -> None:
    """Make the index use many parts, none longer than ``most`` characters including a head of at most 100."""
    if most is not None:
        monkeypatch.setattr(indexed, "_PART", most - 100)


def contents(kept: dict[str, str], most: int | None = None) -> dict[str, str]:
    items = IndexedKeychain(Fragile(kept, most=most))
    found = {}
    for name in items.names():
        text = items.get(name)
        assert text is not None
        found[name] = text
    return found


def values(kept: dict[str, str]) -> list[str]:
    return [text for name, text in kept.items() if name.startswith("value/")]


CHANGES = {
    "create": (lambda items: items.set(B, "new"), {A: "old", B: "new"}),
    "replace": (lambda items: items.set(A, "new"), {A: "new"}),
    "delete": (lambda items: items.delete(A), {}),
}


@pytest.mark.parametrize("most", [None, 150])
@pytest.mark.parametrize("change", CHANGES)
def test_crash_at_any_step_leaves_old_or_new_state(
    change: str, most: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_parts(monkeypatch, most)
    action, after = CHANGES[change]
    before = {A: "old"}
    seen, steps = [], 0
    while True:
        kept: dict[str, str] = {}
        IndexedKeychain(Fragile(kept, most=most)).set(A, "old")
        dying = Fragile(kept, steps, most)
        try:
            action(IndexedKeychain(dying))
        except Died:
            seen.append(contents(kept, most))
            assert seen[-1] in (before, after), f"after {steps} steps"
            # The next writer clears up what does not count.
            IndexedKeychain(Fragile(kept, most=most)).set("credentials/next", "next")
            assert sorted(values(kept)) == sorted([*seen[-1].values(), "next"])
            assert contents(kept, most) == seen[-1] | {"credentials/next": "next"}
            steps += 1
            continue
        break
    assert contents(kept, most) == after
    assert steps == dying.done >= 3
    assert seen[0] == before
    assert seen == sorted(seen, key=lambda state: state == after), "once new, always new"


def test_two_crashes_in_a_row_lose_nothing() -> None:
    for first in range(12):
        for second in range(12):
            kept: dict[str, str] = {}
            IndexedKeychain(Fragile(kept)).set(A, "old")
            for steps, text in ((first, "one"), (second, "two")):
                with suppress(Died):
                    IndexedKeychain(Fragile(kept, steps)).set(A, text)
            assert contents(kept)[A] in ("old", "one", "two"), (first, second)


@pytest.mark.parametrize("most", [None, 150])
def test_index_behaves_like_dictionary(most: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand random changes, a tenth of them interrupted."""
    limit_parts(monkeypatch, most)
    chance = random.Random(4)
    kept: dict[str, str] = {}
    model: dict[str, str] = {}
    for number in range(1_000):
        key, text = f"credentials/{chance.randrange(8)}", str(number)
        deleting = chance.random() < 0.4
        after = {name: value for name, value in model.items() if name != key} | ({} if deleting else {key: text})
        items = IndexedKeychain(Fragile(kept, chance.randrange(8) if chance.random() < 0.1 else None, most))
        try:
            if deleting:
                assert items.delete(key) is (key in model)
            else:
                items.set(key, text)
        except Died:
            found = contents(kept, most)
            assert found in (model, after)
            model = found
        else:
            model = after
        if number % 10 == 0:
            assert contents(kept, most) == model
    assert contents(kept, most) == model
    assert sorted(values(kept)) == sorted(model.values())


def test_item_deleted_by_hand_is_not_listed() -> None:
    kept: dict[str, str] = {}
    items = IndexedKeychain(Fragile(kept))
    items.set(A, "one")
    items.set(B, "two")
    del kept[next(name for name, text in kept.items() if text == "one")]
    assert (items.names(), items.get(A), items.get(B)) == ([B], None, "two")
    assert items.delete(A) is False
    items.set(A, "again")
    assert contents(kept) == {A: "again", B: "two"}


def test_missing_or_damaged_index_slot_is_repaired() -> None:
    for damage in (None, "", "7 1 x y", "noise"):
        for slot in ("index/0.0", "index/1.0"):
            kept: dict[str, str] = {}
            IndexedKeychain(Fragile(kept)).set(A, "old")
            IndexedKeychain(Fragile(kept)).set(B, "two")
            if damage is None:
                del kept[slot]
            else:
                kept[slot] = damage
            assert contents(kept).items() <= {A: "old", B: "two"}.items()
            assert contents(kept)[A] == "old"
            IndexedKeychain(Fragile(kept)).set(B, "three")
            assert contents(kept) == {A: "old", B: "three"}


def test_index_with_wrong_digest_is_ignored() -> None:
    """Parts of two writes may form a valid index that returns the value of another name."""
    kept: dict[str, str] = {}
    for name, text in ((A, "a"), (B, "b")):
        IndexedKeychain(Fragile(kept)).set(name, text)
    slots = {slot: text for slot, text in kept.items() if slot.startswith("index/")}
    newest = max(slots, key=lambda slot: int(slots[slot].split()[0]))
    kept[newest] = slots[newest].replace(A, "x").replace(B, A).replace("x", B)
    assert kept[newest] != slots[newest]
    assert IndexedKeychain(Fragile(kept)).get(A) == "a"


def test_two_damaged_index_slots_are_an_error() -> None:
    kept: dict[str, str] = {}
    IndexedKeychain(Fragile(kept)).set(A, "secret text")
    kept |= {"index/0.0": "0 1 x {}", "index/1.0": "noise"}
    for action in (lambda: IndexedKeychain(Fragile(kept)).names(), lambda: IndexedKeychain(Fragile(kept)).set(B, "x")):
        with pytest.raises(StorageCorrupt, match="index") as caught:
            action()
        assert "secret" not in str(caught.value)


def test_read_during_replace_returns_old_or_new_value() -> None:
    """A reader takes no lock: another process replaces the value after the reader has read the index."""
    kept: dict[str, str] = {}
    IndexedKeychain(Fragile(kept)).set(A, "old")

    class Slow(Fragile):
        replaced = False

        def get(self, name: str) -> str | None:
            if name.startswith("value/") and not self.replaced:
                self.replaced = True
                IndexedKeychain(Fragile(kept)).set(A, "new")
            return super().get(name)

    assert IndexedKeychain(Slow(kept)).get(A) == "new"


# -- a real one --------------------------------------------------------------------------------------------------------


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Keychain]:
    """gnome-keyring through the methods that ``keyring`` has for every keychain."""
    with desktop() as session:
        ctx = FakeContext(tmp_path, options={"collection-name": None}, environ=session.env)
        searchable = SecretService(ctx, "awsv")

        class Plain(KeyringKeychain):
            pass

        yield Plain(SECRET_SERVICE, "awsv", searchable._backend)


def test_index_works_in_real_keychain(plain: Keychain) -> None:
    items = IndexedKeychain(plain)
    model: dict[str, str] = {}
    chance = random.Random(5)
    for number in range(25):
        key = f"credentials/{chance.randrange(5)}"
        if chance.random() < 0.3:
            assert items.delete(key) is (model.pop(key, None) is not None)
        else:
            items.set(key, f"text {number}")
            model[key] = f"text {number}"
    assert sorted(items.names()) == sorted(model)
    assert {name: items.get(name) for name in items.names()} == model
