"""Copying: what a vault says is not believed until it was read back, and nothing is replaced unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from vault_core.api import ABSENT, Credentials, Expect, Secret
from vault_core.errors import StorageConflict, StorageUnavailable
from vault_core.importing.copy import Mover, State, compared
from vault_core.storage.vault import StoredKey

ONE = Credentials(access_key_id="AKIA1", secret_access_key=Secret("one"))
TWO = Credentials(access_key_id="AKIA2", secret_access_key=Secret("two"))


class Store:
    """A vault, as far as copying uses one.

    :param lies: names under which it keeps something else than it was given.
    :param full: how many keys it takes.
    """

    def __init__(self, keys: dict[str, Credentials] | None = None, *, lies: str = "", full: int = 99) -> None:
        self.keys = dict(keys or {})
        self.lies = lies
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
        self.keys[name] = TWO if name == self.lies else key


def states(store: Any, keys: dict[str, Credentials], **options: Any) -> dict[str, State]:
    outcomes = list(Mover(lambda _: store, **options).copy(keys))
    return {one.name: one.state for one in compared(outcomes, lambda _: store)}


def telling(told: list[str]) -> Callable[[Any, str], AbstractContextManager[None]]:
    """What :class:`Mover` enters around a change: it notes the name."""

    @contextmanager
    def changing(_: Any, name: str) -> Iterator[None]:
        told.append(name)
        yield

    return changing


def test_a_store_that_keeps_something_else_is_found_out() -> None:
    found = states(Store(lies="b"), {"a": ONE, "b": ONE})
    assert found == {"a": State.COPIED, "b": State.FAILED}


def test_a_store_that_loses_a_key_is_found_out() -> None:
    store = Store()
    outcomes = list(Mover(lambda _: store).copy({"a": ONE}))  # type: ignore[arg-type, return-value]
    assert [one.state for one in compared(outcomes, lambda _: Store())] == [State.FAILED]  # type: ignore[arg-type, return-value]


def test_what_is_there_is_replaced_only_if_that_was_said() -> None:
    there = {"same": ONE, "other": TWO}
    store = Store(there)
    wanted = {"same": State.SAME, "other": State.CONFLICT, "new": State.COPIED}
    assert states(store, dict.fromkeys(wanted, ONE)) == wanted
    assert store.keys == {**there, "new": ONE}
    assert states(store, {"other": ONE}, overwrite=True) == {"other": State.REPLACED}
    assert store.keys["other"] == ONE


def test_somebody_who_is_faster_wins() -> None:
    store = Store()
    store.faster = "a"
    assert states(store, {"a": ONE, "b": ONE}) == {"a": State.CONFLICT, "b": State.COPIED}


def test_a_store_that_fails_ends_it_with_what_is_done() -> None:
    store = Store(full=1)
    assert states(store, {"a": ONE, "b": ONE, "c": ONE}) == {"a": State.COPIED, "b": State.FAILED}
    with pytest.raises(StorageUnavailable):
        states(Store(full=0), {"a": ONE})


def test_a_dry_run_says_what_would_be_and_tells_nobody_of_a_change() -> None:
    store, told = Store({"other": TWO}), []
    options = {"dry_run": True, "changing": telling(told)}
    outcomes = list(Mover(lambda _: store, **options).copy({"new": ONE, "other": ONE}))  # type: ignore[arg-type, return-value]  # a fake
    assert [one.state for one in outcomes] == [State.COPIED, State.CONFLICT]
    assert (store.keys, told) == ({"other": TWO}, [])


def test_only_what_was_written_drops_sessions() -> None:
    told: list[str] = []
    states(Store({"same": ONE}), {"same": ONE, "new": ONE}, changing=telling(told))
    assert told == ["new"]


def test_only_an_own_key_is_in_the_way_and_not_everybodys() -> None:
    """In a store of several people everybody's key is found under a name too, and no own one may hide it unseen."""
    asked: list[bool | None] = []

    class Common(Store):
        def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
            asked.append(shared)
            return super().get(name)

    store: Any = Common()
    assert [one.state for one in Mover(lambda _: store).copy({"a": ONE})] == [State.COPIED]
    assert asked[0] is False
