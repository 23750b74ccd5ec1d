"""Copying: every key is read back, and nothing is replaced without --overwrite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from vault_core.api import ABSENT, Credentials, Expect, Secret
from vault_core.errors import StorageConflict, StorageUnavailable
from vault_core.importing.copy import Copier, State, compared
from vault_core.storage.vault import StoredKey

ONE = Credentials(access_key_id="AKIA1", secret_access_key=Secret("one"))
TWO = Credentials(access_key_id="AKIA2", secret_access_key=Secret("two"))


class Store:
    """The methods of a vault that copying calls.

    :param wrong: a name under which it stores another key than the given one.
    :param full: how many keys it stores before it fails.
    """

    def __init__(self, keys: dict[str, Credentials] | None = None, *, wrong: str = "", full: int = 99) -> None:
        self.keys = dict(keys or {})
        self.wrong = wrong
        self.full = full
        self.faster = ""

    def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
        key = self.keys.get(name)
        return StoredKey(key, key.access_key_id) if key else None

    def put(self, name: str, key: Credentials, *, expect: Expect) -> None:
        there = self.get(name)
        if name == self.faster or expect != (there.version if there else ABSENT):
            raise StorageConflict("taken")
        if len(self.keys) >= self.full:
            raise StorageUnavailable("the disk is full")
        self.keys[name] = TWO if name == self.wrong else key


def states(store: Any, keys: dict[str, Credentials], **options: Any) -> dict[str, State]:
    outcomes = list(Copier(lambda _: store, **options).copy(keys))
    return {one.name: one.state for one in compared(outcomes, lambda _: store)}


def recording(names: list[str]) -> Callable[[Any, str], AbstractContextManager[None]]:
    """The context that :class:`Copier` enters around a write; it records the name."""

    @contextmanager
    def changing(_: Any, name: str) -> Iterator[None]:
        names.append(name)
        yield

    return changing


def test_compared_store_with_another_key_fails() -> None:
    found = states(Store(wrong="b"), {"a": ONE, "b": ONE})
    assert found == {"a": State.COPIED, "b": State.FAILED}


def test_compared_store_without_the_key_fails() -> None:
    store = Store()
    outcomes = list(Copier(lambda _: store).copy({"a": ONE}))  # type: ignore[arg-type, return-value]
    assert [one.state for one in compared(outcomes, lambda _: Store())] == [State.FAILED]  # type: ignore[arg-type, return-value]


def test_copy_stored_key_is_replaced_only_with_overwrite() -> None:
    there = {"same": ONE, "other": TWO}
    store = Store(there)
    wanted = {"same": State.SAME, "other": State.CONFLICT, "new": State.COPIED}
    assert states(store, dict.fromkeys(wanted, ONE)) == wanted
    assert store.keys == {**there, "new": ONE}
    assert states(store, {"other": ONE}, overwrite=True) == {"other": State.REPLACED}
    assert store.keys["other"] == ONE


def test_copy_concurrent_write_is_a_conflict() -> None:
    store = Store()
    store.faster = "a"
    assert states(store, {"a": ONE, "b": ONE}) == {"a": State.CONFLICT, "b": State.COPIED}


def test_copy_after_a_store_failure_tries_no_further_key() -> None:
    store = Store(full=1)
    assert states(store, {"a": ONE, "b": ONE, "c": ONE}) == {
        "a": State.COPIED,
        "b": State.FAILED,
        "c": State.NOT_TRIED,
    }
    with pytest.raises(StorageUnavailable):
        states(Store(full=0), {"a": ONE})


def test_copy_dry_run_writes_nothing_and_enters_no_change() -> None:
    names: list[str] = []
    store = Store({"other": TWO})
    options = {"dry_run": True, "changing": recording(names)}
    outcomes = list(Copier(lambda _: store, **options).copy({"new": ONE, "other": ONE}))  # type: ignore[arg-type, return-value]  # a fake
    assert [one.state for one in outcomes] == [State.COPIED, State.CONFLICT]
    assert (store.keys, names) == ({"other": TWO}, [])


def test_copy_enters_a_change_only_for_written_keys() -> None:
    names: list[str] = []
    states(Store({"same": ONE}), {"same": ONE, "new": ONE}, changing=recording(names))
    assert names == ["new"]


def test_copy_to_a_shared_store_reads_own_keys_only() -> None:
    """A shared key of the same name does not count as a stored one."""
    asked: list[bool | None] = []

    class Common(Store):
        def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
            asked.append(shared)
            return super().get(name)

    store: Any = Common()
    assert [one.state for one in Copier(lambda _: store).copy({"a": ONE})] == [State.COPIED]
    assert asked[0] is False
