"""Items with check-and-set on a mount in memory: expected versions, and what a deletion leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from support.fake_time import FakeTime
from vault_core.api import ABSENT, ANY, Secret, StorageConflict, StorageCorrupt, StorageUnavailable
from vault_plugin_hashicorp import items
from vault_plugin_hashicorp.items import Items, State
from vault_plugin_hashicorp.login import Identity


class Mount:
    """One mount: versions by path, and the destroyed versions."""

    mount, address = "secret", "https://a"
    identity = Identity("e", "ana")
    client = SimpleNamespace(repeated=0, unanswered=0)

    def __init__(self) -> None:
        self.found: dict[str, list[dict[str, Any]]] = {}
        self.destroyed: list[tuple[str, list[int], bool]] = []

    def read(self, path: str, number: int | None = None) -> Any:
        written = self.found.get(path, [])
        number = number or len(written)
        if not 0 < number <= len(written):
            return {}, None
        return {"version": number, "created_time": f"2026-01-01T00:00:0{number}Z"}, written[number - 1]

    def write(self, path: str, content: dict[str, Any], over: int) -> dict[str, Any] | None:
        if len(self.found.get(path, [])) != over:
            return None
        self.found.setdefault(path, []).append(content)
        made: dict[str, Any] = self.read(path)[0]
        return made

    def destroy(self, path: str, versions: range, *, warn: bool) -> None:
        self.destroyed.append((path, list(versions), warn))


@pytest.fixture
def mount() -> Mount:
    return Mount()


@pytest.fixture
def folder(mount: Mount) -> Items:
    return Items(mount, "f")  # type: ignore[arg-type]  # it has what is used of a mount


def test_expect_is_checked_by_put_and_delete(folder: Items, mount: Mount) -> None:
    first = folder.put("k", Secret("1"), expect=ABSENT)
    for wrong in (ABSENT, "9@x", "1@"):
        for change in (lambda e: folder.put("k", Secret("2"), expect=e), lambda e: folder.delete("k", expect=e)):
            with pytest.raises(StorageConflict):
                change(wrong)
    second = folder.put("k", Secret("2"), expect=first)
    assert first != second
    assert folder.delete("k", expect=second)
    assert folder.get("k") is None
    for gone in (first, second):
        with pytest.raises(StorageConflict, match="no longer exists"):
            folder.put("k", Secret("3"), expect=gone)
        with pytest.raises(StorageConflict):
            folder.delete("k", expect=gone)
    assert not folder.delete("k", expect=ABSENT)
    assert not folder.delete("k", expect=ANY)
    assert len(mount.found["f/k"]) == 3
    assert folder.put("k", Secret("3"), expect=ABSENT) not in (first, second)


def test_delete_destroys_last_hundred_versions(folder: Items, mount: Mount) -> None:
    for _ in range(3):
        folder.put("k", Secret("v"))
    folder.delete("k")
    assert mount.destroyed == [("f/k", [1, 2, 3, 4], True)]
    folder.get("k")
    assert mount.destroyed[1:] == [("f/k", [1, 2, 3, 4], False)]
    folder._destroy("k", 250)
    assert mount.destroyed[2][1] == list(range(151, 251))


@pytest.mark.parametrize("value", [None, 1, "", "a\n", "\u00e9", "a\x7f"])
def test_foreign_value_is_corrupt(folder: Items, mount: Mount, value: Any) -> None:
    mount.found["f/k"] = [{"value": value}]
    with pytest.raises(StorageCorrupt, match="has no valid field 'value'"):
        folder.get("k")


def test_lost_write_is_recognised_by_mark(folder: Items, mount: Mount) -> None:
    mount.found["f/k"] = [{"value": "v", "write": "mine"}]
    assert folder._find("k", 1, "mine")
    assert folder._find("k", 1, "other") is None


def test_state_is_there_or_tombstone_by_data() -> None:
    there, gone, none = State(1, "c", {"deleted": False}), State(1, "c", {"deleted": True}), State(1, "c", None)
    assert [state.is_there for state in (there, gone, none)] == [True, False, False]
    assert [state.is_tombstone for state in (there, gone, none)] == [False, True, False]
    assert not State(1, "c", {"deleted": "yes"}).is_tombstone
    assert State(1, "c", None).version != State(1, "d", None).version != State(2, "d", None).version


@pytest.mark.parametrize(
    ("version", "alive"),
    [
        ({}, False),
        ({"destroyed": True, "deletion_time": ""}, False),
        ({"destroyed": False, "deletion_time": ""}, True),
        ({"destroyed": False, "deletion_time": "odd"}, True),
        ({"destroyed": False, "deletion_time": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}, False),
        ({"destroyed": False, "deletion_time": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, True),
        ({"destroyed": False, "deletion_time": "2020-01-01T00:00:00"}, True),
    ],
)
def test_keys_lists_living_items(folder: Items, mount: Mount, version: dict[str, Any], alive: bool) -> None:
    metadata = {"current_version": 2, "versions": {"1": {"destroyed": not alive}, "2": version}}
    mount.metadata = lambda _path: metadata  # type: ignore[attr-defined]  # this one mount has it
    assert folder._is_alive("k") is alive


class Contended(Mount):
    """Another process is always faster."""

    def write(self, path: str, content: dict[str, Any], over: int) -> dict[str, Any] | None:
        return None


def test_lost_races_end_after_thirty_seconds_of_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeTime()
    monkeypatch.setattr(items, "time", clock)
    with pytest.raises(StorageUnavailable, match=r"^other processes keep changing secret/f/k at https://a$") as caught:
        Items(Contended(), "f").put("k", Secret("1"))  # type: ignore[arg-type]  # a stand-in
    assert caught.value.hint == "try again"
    assert sum(clock.slept) == pytest.approx(30, abs=5)
    assert 0 < max(clock.slept) < 0.05
    assert len(set(clock.slept)) > 5, "in step, the same process would lose again"


def test_version_that_a_standby_lacks_is_waited_for_three_seconds(
    folder: Items, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeTime()
    monkeypatch.setattr(items, "time", clock)
    with pytest.raises(StorageUnavailable, match="may or may not have been written"):
        folder._find("k", 1, "mark")
    assert set(clock.slept) == {0.1}
    assert sum(clock.slept) == pytest.approx(3, abs=0.2)
