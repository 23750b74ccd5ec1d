"""Copying: every key is read back, and nothing is replaced without --overwrite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import ABSENT, Credentials, Expect, ImportScan, Secret
from vault_core.errors import StorageConflict, StorageUnavailable
from vault_core.importing.copy import State, import_scan
from vault_core.importing.vaults import Vaults
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
        self.store = SimpleNamespace(identity="1", name="file", place="/store")

    def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
        key = self.keys.get(name)
        return StoredKey(key, key.access_key_id) if key else None

    def holds(self, name: str, key: Credentials) -> bool:
        return self.keys.get(name) == key

    def put(self, name: str, key: Credentials, *, expect: Expect) -> None:
        there = self.get(name)
        if name == self.faster or expect != (there.version if there else ABSENT):
            raise StorageConflict("taken")
        if len(self.keys) >= self.full:
            raise StorageUnavailable("the disk is full")
        self.keys[name] = TWO if name == self.wrong else key


def states(
    store: Any,
    keys: dict[str, Credentials],
    changing: Callable[[Any, str], AbstractContextManager[None]] = lambda *_: nullcontext(),
    *,
    reopened: Any = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> dict[str, State]:
    """The state of each key after it was copied.

    :param reopened: the store that is opened for the comparison.
    """
    opened = iter([store] * len(keys))
    vaults = Vaults(lambda _: next(opened, reopened or store), lambda _: False)
    report = import_scan(ImportScan("there", dict(keys)), vaults, changing, overwrite=overwrite, dry_run=dry_run)
    return {key.profile: key.state for key in report.keys}


def recording(names: list[str]) -> Callable[[Any, str], AbstractContextManager[None]]:
    """The context that :func:`import_scan` enters around a write; it records the name."""

    @contextmanager
    def changing(_: Any, name: str) -> Iterator[None]:
        names.append(name)
        yield

    return changing


def test_copy_of_another_key_fails() -> None:
    found = states(Store(wrong="b"), {"a": ONE, "b": ONE})
    assert found == {"a": State.COPIED, "b": State.FAILED}


def test_copy_that_the_reopened_store_lacks_fails() -> None:
    assert states(Store(), {"a": ONE}, reopened=Store()) == {"a": State.FAILED}


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
    found = states(store, {"new": ONE, "other": ONE}, recording(names), dry_run=True)
    assert found == {"new": State.COPIED, "other": State.CONFLICT}
    assert (store.keys, names) == ({"other": TWO}, [])


def test_copy_enters_a_change_only_for_written_keys() -> None:
    names: list[str] = []
    states(Store({"same": ONE}), {"same": ONE, "new": ONE}, recording(names))
    assert names == ["new"]


def test_copy_to_a_shared_store_reads_own_keys_only() -> None:
    """A shared key of the same name does not count as a stored one."""
    asked: list[bool | None] = []

    class Common(Store):
        def get(self, name: str, *, shared: bool | None = None) -> StoredKey | None:
            asked.append(shared)
            return super().get(name)

    assert states(Common(), {"a": ONE}) == {"a": State.COPIED}
    assert asked[0] is False
