"""S8: the content of one anchor, the comparison of a store with it, and what a write of it keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vault_core import vlt
from vault_core.api import StorageUnavailable
from vault_plugin_file import atomic_file, rollback_guard, vlt_file
from vault_plugin_file.rollback_guard import Memory, RollbackGuard, RollbackStatus, StoreState, compare
from vault_testkit.context import FakeContext

A, B = b"a" * 16, b"b" * 16


def mark(epoch: Any, store: Any = A, mac: Any = b"m" * 32) -> Any:
    return StoreState(store, epoch, mac)


def fields(**changes: Any) -> Any:
    value = {"epoch": 1, "format": 1, "mac": vlt.to_base64(b"m" * 32), "store": vlt.to_base64(A)}
    return vlt.canonical({**value, **changes})


@pytest.mark.parametrize("epoch", [1, vlt_file.MAX_EPOCH])
def test_store_state_round_trips(epoch: Any) -> None:
    assert StoreState.parse(mark(epoch).to_bytes()) == mark(epoch)


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 0},
        {"epoch": -1},
        {"epoch": vlt_file.MAX_EPOCH + 1},
        {"epoch": True},
        {"format": 0},
        {"format": 2},
        {"mac": vlt.to_base64(b"m" * 31)},
        {"mac": vlt.to_base64(b"m" * 33)},
        {"mac": ""},
        {"store": vlt.to_base64(b"a" * 15)},
        {"store": vlt.to_base64(b"a" * 17)},
        {"more": 1},
    ],
    ids=str,
)
def test_parse_refuses_field_out_of_range(changes: Any) -> None:
    with pytest.raises(ValueError):
        StoreState.parse(fields(**changes))


def test_compare_with_newest_state_returns_status() -> None:
    assert compare(None, mark(5)) is RollbackStatus.UNKNOWN
    assert compare(mark(5), mark(4)) is RollbackStatus.OLDER
    assert compare(mark(5), mark(5)) is RollbackStatus.SAME
    assert compare(mark(5), mark(5, mac=b"x" * 32)) is RollbackStatus.FORK
    assert compare(mark(5), mark(6, mac=b"x" * 32)) is RollbackStatus.NEWER
    assert [status for status in RollbackStatus if status.trusted] == [
        RollbackStatus.UNKNOWN,
        RollbackStatus.SAME,
        RollbackStatus.NEWER,
    ]


@pytest.mark.parametrize(
    ("here", "found", "status"),
    [
        ((), None, RollbackStatus.UNKNOWN),
        ((A,), None, RollbackStatus.GONE),
        ((A,), mark(5), RollbackStatus.SAME),
        ((), mark(4), RollbackStatus.OLDER),
        ((B,), mark(5), RollbackStatus.REPLACED),
        ((A, B), mark(5), RollbackStatus.REPLACED),
    ],
    ids=str,
)
def test_compare_checks_place_first(here: Any, found: Any, status: Any) -> None:
    assert Memory(frozenset(here), A, mark(5), complete=True).compare(found) is status


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    made = tmp_path / "real"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def anchored(ctx: FakeContext, folder: Any) -> Any:
    """A function that makes the anchor of a store in a folder."""
    return lambda where=folder, context=ctx: RollbackGuard(context, where / "store.vlt")


def files(ctx: Any) -> Any:
    return {path.name: json.loads(path.read_bytes()) for path in (ctx.state_dir / "anchors").glob("*.json")}


def old_style(ctx: Any, name: Any, value: Any) -> None:
    """The anchor of a place with the newest state, as version 0.1.0 wrote it."""
    path = ctx.state_dir / "anchors" / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(value.to_bytes())
    path.chmod(0o600)


def test_newest_state_at_any_place_of_same_store_is_used(ctx: FakeContext, anchored: Any) -> None:
    for number, (epoch, store) in enumerate([(3, A), (7, A), (5, A), (9, B)]):
        old_style(ctx, f"{number}.json", mark(epoch, store))
    found = anchored().read(A)
    assert (found.newest, found.complete, found.here) == (mark(7), False, frozenset())


def test_each_place_and_store_has_its_own_anchor(ctx: FakeContext, anchored: Any, tmp_path: Path) -> None:
    for number in range(40):
        where = tmp_path / str(number)
        where.mkdir()
        anchored(where).pin(mark(1, number.to_bytes(16, "big")))
    assert len(files(ctx)) == 80
    assert all(anchored(tmp_path / str(number)).read().here for number in range(40))


def test_linked_place_is_recorded_by_both_paths(ctx: FakeContext, anchored: Any, folder: Any, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder.parent)
    anchored(link / "real").pin(mark(1))
    assert len(files(ctx)) == 3
    assert anchored().read().here == {A}
    link.unlink()
    (link / "real").mkdir(parents=True)
    assert anchored(link / "real").read().here == {A}


def test_memory_is_complete_if_every_path_has_anchor(
    ctx: FakeContext, anchored: Any, folder: Any, tmp_path: Path
) -> None:
    anchored().pin(mark(1))
    assert anchored().read(A).complete
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert not anchored(link).read(A).complete
    anchored(link).advance(mark(1))
    assert anchored(link).read(A).complete


def test_advance_without_change_takes_no_lock(ctx: FakeContext, anchored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    anchored().pin(mark(2))

    def refuse(*_args: Any) -> Any:
        raise AssertionError("locked")

    monkeypatch.setattr(atomic_file.AtomicFile, "locked", refuse)
    for value in (mark(2), mark(1), mark(2, mac=b"x" * 32)):
        anchored().advance(value)
    assert files(ctx)[f"store-{A.hex()}.json"]["epoch"] == 2


def test_advance_never_lowers_state_or_changes_place(ctx: FakeContext, anchored: Any) -> None:
    anchored().pin(mark(2))
    anchored().advance(mark(1))
    anchored().advance(mark(2, mac=b"x" * 32))
    assert anchored().read(A).newest == mark(2)
    anchored().advance(mark(3))
    anchored().advance(mark(1, B))
    found = anchored().read()
    assert (found.here, found.newest) == ({A}, mark(3))


def test_advance_keeps_state_written_during_wait(
    ctx: FakeContext, anchored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchored().pin(mark(2))
    real = atomic_file.AtomicFile.locked

    def late(self: Any, check: Any) -> Any:
        monkeypatch.setattr(atomic_file.AtomicFile, "locked", real)
        anchored().pin(mark(9))
        return real(self, check)

    monkeypatch.setattr(atomic_file.AtomicFile, "locked", late)
    anchored().advance(mark(3))
    assert anchored().read(A).newest == mark(9)


def test_accept_replaced_keeps_newest_state(ctx: FakeContext, anchored: Any) -> None:
    anchored().pin(mark(5))
    anchored().accept(mark(3), RollbackStatus.REPLACED)
    assert anchored().read(A).newest == mark(5)
    anchored().accept(mark(3), RollbackStatus.OLDER)
    assert anchored().read(A).newest == mark(3)
    anchored().accept(mark(1, B), RollbackStatus.REPLACED)
    found = anchored().read()
    assert (found.here, found.newest) == ({B}, mark(1, B))


def test_pin_never_records_older_state(ctx: FakeContext, anchored: Any) -> None:
    anchored().pin(mark(5))
    anchored().pin(mark(4))
    assert anchored().read(A).newest == mark(5)
    anchored().pin(mark(5, mac=b"x" * 32))
    assert anchored().read(A).newest == mark(5, mac=b"x" * 32)


def test_damaged_flag_lasts_until_next_read_and_warns_once(ctx: FakeContext, anchored: Any) -> None:
    one = anchored()
    one.pin(mark(1))
    path = ctx.state_dir / "anchors" / f"store-{A.hex()}.json"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    for _ in range(2):
        assert one.read(A).newest == mark(1)  # the places still know
        assert one.damaged
    assert len(ctx.notes) == 1
    one.advance(mark(2))
    assert path.read_bytes() == good[:-1]
    path.write_bytes(good)
    assert one.read(A).newest == mark(1)
    assert not one.damaged


def test_advance_with_damaged_place_records_nothing(ctx: FakeContext, anchored: Any) -> None:
    one = anchored()
    one.pin(mark(1))
    one.path.write_bytes(b"{}")
    one.read(A)
    one.advance(mark(2))
    one.advance(mark(1, B))
    assert sorted(path.name for path in one.path.parent.glob("store-*.json")) == [f"store-{A.hex()}.json"]
    assert one.read(A).newest == mark(1)


def test_pin_warns_if_place_cannot_be_written(ctx: FakeContext, anchored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = anchored()
    one.path.with_name(f"{one.path.name}.lock").mkdir(parents=True)
    one.path.parent.chmod(0o700)
    one.pin(mark(1))
    assert len(ctx.notes) == 1
    assert "is not a regular file" in ctx.notes[0]
    with pytest.raises(StorageUnavailable, match="is not a regular file"):
        one.accept(mark(1), RollbackStatus.OLDER)


def test_forget_removes_place_and_keeps_store(ctx: FakeContext, anchored: Any) -> None:
    anchored().pin(mark(4))
    anchored().forget()
    assert list(files(ctx)) == [f"store-{A.hex()}.json"]
    assert anchored().read().here == frozenset()
    assert anchored().read(A).newest == mark(4)


def test_forget_removes_symlink(ctx: FakeContext, anchored: Any, tmp_path: Path) -> None:
    one = anchored()
    one.pin(mark(4))
    one.path.unlink()
    one.path.symlink_to(tmp_path / "nowhere")
    one.forget()
    assert not one.path.is_symlink()


def test_disabled_guard_reads_and_writes_nothing(tmp_path: Path, folder: Any, anchored: Any) -> None:
    off = FakeContext(tmp_path / "off", store="file", options={"anchor": False})
    one = anchored(context=off)
    one.pin(mark(1))
    one.advance(mark(1))
    one.accept(mark(1), RollbackStatus.OLDER)
    one.forget()
    assert one.read(A) == Memory(frozenset(), A, None, complete=True)
    assert not off.state_dir.exists()


def test_lock_of_anchor_has_short_timeout() -> None:
    assert rollback_guard._PATIENCE <= 2
    assert rollback_guard._LIMIT <= 65_536
