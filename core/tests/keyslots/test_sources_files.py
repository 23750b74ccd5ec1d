"""The small file that says which sources a store's slots may have asked: what is read of it, and how it is written."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from vault_core.keyslots import sources
from vault_core.vlt.slot import Slot
from vault_core.vlt.slot_table import SlotTable
from vault_testkit.context import FakeContext

pytestmark = pytest.mark.security("S5")

STORE = bytes(range(16))


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    return FakeContext(tmp_path, store="file", sources=("prompt",))


@pytest.fixture
def path(ctx: FakeContext) -> Any:
    found = ctx.state_dir / "sources" / f"{STORE.hex()}.json"
    found.parent.mkdir(parents=True, mode=0o700)
    return found


def table(*names: Any, store: Any = STORE) -> Any:
    heads = [{"id": f"{number:016x}", "type": "key", "label": "", "source": name} for number, name in enumerate(names)]
    return SlotTable(store, tuple(Slot(head, bytes(32), bytes(48)) for head in heads))


def asked(ctx: Any, store: Any = STORE) -> Any:
    return sources.may_be_asked(ctx, store) - {"prompt"}


def test_a_link_is_not_followed(ctx: FakeContext, path: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text('["keychain"]')
    path.symlink_to(other)
    assert asked(ctx) == frozenset()
    sources.remember(ctx, table("ssm"))
    assert (asked(ctx), other.read_text()) == ({"ssm"}, '["keychain"]')


def test_a_pipe_is_not_waited_for(ctx: FakeContext, path: Any) -> None:
    os.mkfifo(path)
    keeps = os.open(path, os.O_RDWR)

    def late(*_: Any) -> Any:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 2.0)
    try:
        assert asked(ctx) == frozenset()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.close(keeps)


def test_file_above_limit_allows_nothing(ctx: FakeContext, path: Any) -> None:
    path.write_text('["keychain"]'.ljust(4096))
    assert asked(ctx) == {"keychain"}
    path.write_text('["keychain"]'.ljust(4097))
    assert asked(ctx) == frozenset()


@pytest.mark.parametrize(
    "text", ['{"keychain": 1}', '"keychain"', "1", "null", "[1, null, [], {}]", "[" * 4000, "\xff"]
)
def test_what_is_no_list_of_names_allows_nothing(ctx: FakeContext, path: Any, text: Any) -> None:
    path.write_text(text, encoding="latin-1")
    assert asked(ctx) == frozenset()


def test_names_among_other_things_count(ctx: FakeContext, path: Any) -> None:
    path.write_text('["keychain", 1, null]')
    assert asked(ctx) == {"keychain"}


def test_it_is_private_whole_and_leaves_nothing_beside(ctx: FakeContext) -> None:
    mask = os.umask(0)
    try:
        sources.remember(ctx, table("keychain", "ssm"))
    finally:
        os.umask(mask)
    [file] = (ctx.state_dir / "sources").iterdir()
    assert json.loads(file.read_text()) == ["keychain", "ssm"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_it_is_written_only_where_there_is_a_name_more(ctx: FakeContext) -> None:
    sources.remember(ctx, table())
    assert not ctx.state_dir.joinpath("sources").exists()
    sources.remember(ctx, table("keychain", "ssm"))
    [file] = (ctx.state_dir / "sources").iterdir()
    before = file.stat().st_ino, file.stat().st_mtime_ns
    for names in (("keychain",), ("ssm", "keychain"), ()):
        sources.remember(ctx, table(*names))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == before
    sources.remember(ctx, table("ssm", "vault"))
    assert asked(ctx) == {"keychain", "ssm", "vault"}


def test_each_store_has_a_file_of_its_own(ctx: FakeContext) -> None:
    other = STORE[:8] + bytes(8)
    sources.remember(ctx, table("keychain"))
    sources.remember(ctx, table("ssm", store=other))
    assert (asked(ctx), asked(ctx, other)) == ({"keychain"}, {"ssm"})
