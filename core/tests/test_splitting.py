"""Split over a dictionary that takes 64 bytes: every value comes back, whatever interrupts it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from support.memory_backend import MemoryBackend
from vault_core import splitting
from vault_core.api import ABSENT, Secret, StorageConflict, StorageCorrupt, StorageDenied, StorageUnavailable
from vault_core.splitting import LEAST_LIMIT, MOST_PARTS, ORPHANED, PARTS, PATIENCE, Manifest, Split

KEY = "credentials/prod"
LONG = "".join(chr(33 + number % 94) for number in range(1000))
OTHER = LONG[::-1]


class Killed(BaseException):
    """The process dies here."""


class Limited(MemoryBackend):
    """Takes 64 bytes, and dies (or runs ``meanwhile``) before the ``last``-th of its calls."""

    def __init__(self, kept: Any = None, last: Any = None, meanwhile: Any = None) -> None:
        super().__init__(kept)
        self.left = last
        self.meanwhile = meanwhile

    def _count(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left == 0:
            if self.meanwhile is None:
                raise Killed
            self.meanwhile()

    def get(self, key: Any) -> Any:
        self._count()
        return super().get(key)

    def put(self, key: Any, value: Any, **expect: Any) -> Any:
        assert 1 <= len(value.reveal()) <= LEAST_LIMIT
        self._count()
        return super().put(key, value, **expect)

    def delete(self, key: Any, **expect: Any) -> Any:
        self._count()
        return super().delete(key, **expect)

    def keys(self) -> Any:
        self._count()
        return super().keys()


def opened(inner: Any) -> Any:
    return Split(inner, LEAST_LIMIT)


def parts(inner: Any) -> Any:
    return [key for key in inner.kept if key.startswith(PARTS)]


def later(monkeypatch: Any, seconds: Any) -> None:
    now = time.time()
    monkeypatch.setattr(splitting.time, "time", lambda: now + seconds)  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 129, 1000, 70_000])
def test_a_value_of_any_size_comes_back(size: Any) -> None:
    inner = Limited()
    value = Secret(("~" + LONG * 71)[1 : size + 1])
    version = opened(inner).put(KEY, value)
    found = opened(inner).get(KEY)
    assert found is not None
    assert (found.value, found.version) == (value, version)
    assert list(opened(inner).keys()) == [KEY]
    assert len(parts(inner)) == (0 if size <= 64 else -(-size // 64))


def test_a_value_that_looks_like_a_manifest_is_none() -> None:
    inner = Limited()
    opened(inner).put(KEY, Secret(LONG))
    opened(inner).put("credentials/dev", Secret(inner.kept[KEY]))
    found = opened(inner).get("credentials/dev")
    assert found is not None
    assert found.value.reveal_text() == inner.kept[KEY]


@pytest.mark.parametrize("new", [OTHER, "short", None], ids=["parts", "whole", "deleted"])
def test_what_was_replaced_leaves_no_part(new: Any) -> None:
    inner = Limited()
    store = opened(inner)
    store.put(KEY, Secret(LONG))
    before = set(parts(inner))
    if new is None:
        assert store.delete(KEY)
        assert inner.kept == {}
    else:
        store.put(KEY, Secret(new))
        assert before.isdisjoint(parts(inner))


def kill(inner: Any, work: Any) -> Any:
    """Run a change to its end; dies where ``inner`` does."""
    try:
        work(opened(inner))
    except Killed:
        return True
    return False


@pytest.mark.parametrize("old", [None, "short", LONG], ids=["new", "was-whole", "was-in-parts"])
@pytest.mark.parametrize("new", ["tiny", OTHER, None], ids=["whole", "in-parts", "deleted"])
def test_killed_at_every_step(old: Any, new: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Limited()
    if old is not None:
        opened(start).put(KEY, Secret(old))
    steps = 0
    while True:
        steps += 1
        inner = Limited(start.kept, last=steps)
        died = kill(inner, lambda store: store.delete(KEY) if new is None else store.put(KEY, Secret(new)))
        inner.left = None
        found = opened(inner).get(KEY)
        text = found.value.reveal_text() if found else None
        assert text in ((old, new) if died else (new,))
        with monkeypatch.context() as patch:
            later(patch, ORPHANED + 2)
            opened(inner).put("credentials/dev", Secret("x"))
        manifest = Manifest.parse(Secret(inner.kept[KEY])) if KEY in inner.kept else None
        assert sorted(parts(inner)) == sorted(manifest.parts(KEY) if manifest else [])
        assert opened(inner).get(KEY) == found
        if not died:
            break
    assert steps > 1


def test_parts_that_another_process_is_writing_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Limited(last=5)
    assert kill(inner, lambda store: store.put(KEY, Secret(LONG)))
    inner.left = None
    there = parts(inner)
    assert there
    opened(inner).put("credentials/dev", Secret("x"))
    assert parts(inner) == there


def test_who_may_not_list_may_write() -> None:
    """What was put is there, so nothing that comes after it may say that it failed."""

    class Unlisted(Limited):
        def keys(self) -> Any:
            raise StorageDenied("the policy lets nobody list")

    inner = Unlisted()
    for value in ("short", LONG):
        version = opened(inner).put(KEY, Secret(value))
        found = opened(inner).get(KEY)
        assert found is not None
        assert (found.value, found.version) == (Secret(value), version)


def test_who_holds_a_long_value_is_told() -> None:
    class Held(Limited):
        def get(self, key: Any) -> Any:
            item = super().get(key)
            return item and replace(item, holder="ana since yesterday")

    inner = Held()
    opened(inner).put(KEY, Secret(LONG))
    found = opened(inner).get(KEY)
    assert found is not None
    assert (found.value, found.holder) == (Secret(LONG), "ana since yesterday")


def test_the_loser_of_a_race_leaves_no_part() -> None:
    inner = Limited()
    opened(inner).put(KEY, Secret("short"))
    with pytest.raises(StorageConflict):
        opened(inner).put(KEY, Secret(LONG), expect=ABSENT)
    assert inner.kept == {KEY: "short"}


def test_a_put_whose_answer_was_lost_loses_no_value() -> None:
    """A client that puts it again meets its own manifest, and tells of a conflict."""

    class Repeating(Limited):
        def put(self, key: Any, value: Any, **expect: Any) -> Any:
            version = super().put(key, value, **expect)
            return super().put(key, value, **expect) if key == KEY else version

    inner = Repeating()
    version = opened(inner).put(KEY, Secret(LONG), expect=ABSENT)
    item = opened(inner).get(KEY)
    assert (item.value, item.version) == (Secret(LONG), version)


def test_a_version_is_the_one_that_expect_takes() -> None:
    inner = Limited()
    store = opened(inner)
    version = store.put(KEY, Secret(LONG), expect=ABSENT)
    assert store.put(KEY, Secret(OTHER), expect=version) != version
    with pytest.raises(StorageConflict):
        store.delete(KEY, expect=version)


def test_a_reader_that_meets_a_writer_starts_again() -> None:
    inner = Limited()
    opened(inner).put(KEY, Secret(LONG))
    inner.meanwhile = lambda: opened(inner).put(KEY, Secret(OTHER))
    for step in (2, 3, 10):
        inner.left = step
        found = opened(inner).get(KEY)
        assert found is not None
        assert found.value.reveal_text() in (LONG, OTHER)
        opened(inner).put(KEY, Secret(LONG))


def test_parts_stay_where_nobody_knows_whether_they_became_the_value() -> None:
    """A request may arrive after its sender has given up; without its parts it would be a damaged value."""

    class Silent(Limited):
        def put(self, key: Any, value: Any, **expect: Any) -> Any:
            if key == KEY:
                raise StorageUnavailable("no answer")
            return super().put(key, value, **expect)

    inner = Silent()
    with pytest.raises(StorageUnavailable, match="no answer"):
        opened(inner).put(KEY, Secret(LONG))
    assert len(parts(inner)) == 16


def test_a_manifest_that_lies_about_its_parts_costs_no_more_calls_than_there_are() -> None:
    inner = Limited()
    opened(inner).put(KEY, Secret(LONG))
    inner.kept[KEY] = inner.kept[KEY].replace(".16.", f".{MOST_PARTS}.")
    inner.left = 1000
    assert opened(inner).delete(KEY)
    assert inner.kept == {}


WHOLE = Manifest.new(2, b"x").text().reveal_text()


@pytest.mark.parametrize(
    ("old", "new", "is_one"),
    [
        (".2.", ".2.", True),
        (".2.", f".{MOST_PARTS}.", True),
        (".2.", f".{MOST_PARTS + 1}.", False),
        (".2.", ".0.", False),
        (".2.", ".-1.", False),
        (".2.", ".02.", False),  # of one manifest there is one spelling
        (".2.", ". 2.", False),
        ("~", "~0", False),
        ("~", "", False),
        ("~0", "~", False),
        (".2.", ".", False),
    ],
)
def test_what_is_a_manifest(old: Any, new: Any, is_one: Any) -> None:
    assert (Manifest.parse(Secret(WHOLE.replace(old, new, 1))) is not None) is is_one


def test_a_part_is_named_after_160_bits_of_its_key() -> None:
    (name,) = Manifest("0" * 15, 1, b"").parts(KEY)
    assert name == "part/d2556d6c3590d557e0065b3d942e1ab1feb81ad1.000000000000000.0"


def test_what_nobody_here_wrote_is_not_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Limited({"part/odd": "v", "part/a.!.0": "v", "credentials/dev": "v"})
    later(monkeypatch, 10 * ORPHANED)
    opened(inner).put(KEY, Secret("short"))
    assert sorted(inner.kept) == ["credentials/dev", KEY, "part/a.!.0", "part/odd"]


def test_a_sweep_that_fails_does_not_fail_the_put(monkeypatch: pytest.MonkeyPatch) -> None:
    class Down(Limited):
        def keys(self) -> Any:
            raise StorageUnavailable("no answer")

    inner = Down()
    opened(inner).put(KEY, Secret("short"))
    assert inner.kept == {KEY: "short"}


@pytest.mark.parametrize(("seconds", "stays"), [(ORPHANED - 60, True), (ORPHANED + 60, False)])
def test_parts_are_left_behind_after_an_hour(seconds: Any, stays: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Limited(last=10)
    with pytest.raises(Killed):
        opened(inner).put(KEY, Secret(LONG))
    inner.left = None
    assert parts(inner)
    later(monkeypatch, seconds)
    opened(inner).put("credentials/dev", Secret("short"))
    assert bool(parts(inner)) is stays


@pytest.mark.parametrize("seconds", [PATIENCE + 1, -PATIENCE - 1])
def test_a_clock_that_was_set_in_either_direction_ends_a_put(seconds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Limited(last=5, meanwhile=lambda: later(monkeypatch, seconds))
    with pytest.raises(StorageUnavailable, match="nothing was changed"):
        opened(inner).put(KEY, Secret(LONG))
    assert inner.kept == {}


def test_closing_closes_what_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(Limited, "close", lambda self: closed.append(self))
    inner = Limited()
    opened(inner).close()
    assert closed == [inner]


@pytest.mark.parametrize("damage", ["missing", "changed", "manifest", "count"])
def test_damage_is_told_and_can_be_replaced(damage: Any) -> None:
    inner = Limited()
    store = opened(inner)
    store.put(KEY, Secret(LONG))
    part = parts(inner)[3]
    if damage == "missing":
        del inner.kept[part]
    elif damage == "changed":
        inner.kept[part] = "x" * 64
    elif damage == "manifest":
        inner.kept[KEY] = inner.kept[KEY][:-1]
    else:
        inner.kept[KEY] = inner.kept[KEY].replace(".16.", ".9999999999.")
    with pytest.raises(StorageCorrupt, match=KEY):
        store.get(KEY)
    store.put(KEY, Secret(OTHER))
    found = store.get(KEY)
    assert found is not None
    assert found.value.reveal_text() == OTHER


def test_whoever_takes_too_long_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Limited()
    opened(inner).put(KEY, Secret(LONG))
    before = dict(inner.kept)
    inner.left, inner.meanwhile = 5, lambda: later(monkeypatch, PATIENCE + 1)
    with pytest.raises(StorageUnavailable, match="nothing was changed"):
        opened(inner).put(KEY, Secret(OTHER))
    assert inner.kept == before


def test_limits() -> None:
    with pytest.raises(ValueError, match="64"):
        Split(MemoryBackend(), 63)
    with pytest.raises(StorageDenied, match="parts"):
        opened(Limited()).put(KEY, Secret(b"x" * (64 * splitting.MOST_PARTS + 1)))
    put = lambda key: opened(Limited()).put(key, Secret("v"))  # noqa: E731 - the third of three
    for refuses in (opened(Limited()).get, opened(Limited()).delete, put):
        with pytest.raises(StorageDenied, match="reserved"):
            refuses(PARTS + "x")


def test_parts_are_in_use_for_far_less_time_than_makes_them_orphans() -> None:
    """Other machines go by these numbers, too: who writes may be a new awsv, and who sweeps an old one."""
    assert (LEAST_LIMIT, PATIENCE, ORPHANED, MOST_PARTS) == (64, 600, 3600, 100_000)
