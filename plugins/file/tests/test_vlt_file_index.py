"""The index of a store: a look-up parses one entry; every other operation parses and checks them all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault_core import vlt
from vault_core.api import Secret, StorageCorrupt
from vault_plugin_file import vlt_file

TEXT = st.text("abz019._-", min_size=1, max_size=12)
NAMES = st.tuples(TEXT, TEXT).map("/".join)
SEALED = st.binary(max_size=40).map(vlt.to_base64)


def index(entries: Any, epoch: int = 9) -> Any:
    return vlt_file.Index(vlt.canonical(entries), epoch)


@given(st.dictionaries(NAMES, st.tuples(SEALED, st.integers(1, 9))), st.lists(NAMES, max_size=5))
def test_index_finds_each_name_and_no_other(entries: Any, others: Any) -> None:
    made = index({name: {"s": sealed, "v": version} for name, (sealed, version) in entries.items()})
    expected = {name: vlt_file.Entry(version, sealed) for name, (sealed, version) in entries.items()}
    assert {name: made[name] for name in entries} == expected
    for name in others:
        assert made.get(name) == expected.get(name)
    assert dict(made) == made.whole() == expected


@pytest.mark.parametrize("name", ["", "a", "a/b:", 'a/b":{"s":"', "a/B", "\xe9/x", "a/b,", "?/x"])
def test_index_does_not_find_invalid_name(name: Any) -> None:
    assert name not in index({"a/b": {"s": "AAAA", "v": 1}, "a/c": {"s": "AAAA", "v": 2}})


@pytest.mark.parametrize("field", [{"v": 0}, {"v": 10}, {"v": 10**20}, {"v": -1}, {"v": "1"}, {"s": 1}, {"x": 1}])
def test_malformed_entry_is_refused(field: Any) -> None:
    made = index({"a/a": {"s": "AAAA", "v": 1}, "a/b": {"s": "AAAA", "v": 1, **field}, "a/c": {"s": "AAAA", "v": 1}})
    for look in (lambda: made["a/b"], made.whole):
        with pytest.raises((KeyError, ValueError)):
            look()


def many(opened: Any, number: Any) -> None:
    """A store with this number of entries."""
    opened().put("a/0", Secret("x"))
    store = opened()
    list(store.keys())
    state = store.store._seen
    entries = dict(state.entries)
    for i in range(1, number):
        entries[f"a/{i}"] = vlt_file.seal_entry(state.table, state.dek, f"a/{i}", 1, Secret("x" * 100))
    store.store.file.path.write_bytes(vlt_file.encode(state.table, state.dek, 3, entries))


def test_get_parses_few_rows(opened: Any, monkeypatch: pytest.MonkeyPatch, figure: Any) -> None:
    """One entry is decoded, in a store of any size. Times are not checked, as they depend on the machine."""
    real, decoded, rows = vlt_file.Entry, [], []

    def next_row(text: Any, start: Any, search: Any = vlt_file._next_row) -> Any:
        rows.append(start)
        return search(text, start)

    many(opened, 1000)
    monkeypatch.setattr(vlt_file, "Entry", lambda *fields: decoded.append(fields) or real(*fields))
    monkeypatch.setattr(vlt_file, "_next_row", next_row)
    assert opened().get("a/777").value == Secret("x" * 100)
    looked = len(rows)
    assert len(decoded) == 1
    assert looked <= 30
    assert opened().get("a/nothing") is None
    assert len(decoded) == 1
    assert len(list(opened().keys())) == 1000
    assert len(decoded) == 1001
    figure(f"get among 1,000 entries: {looked} rows looked at, 1 entry decoded; list: 1,000")


def test_list_or_write_refuses_malformed_entry(opened: Any) -> None:
    """Only a process with the key can write one, so a get of another entry does not check for it."""
    many(opened, 3)
    store = opened()
    list(store.keys())
    state = store.store._seen
    entries = {**state.entries, "a/1": vlt_file.Entry(99, state.entries["a/1"].sealed)}
    path = store.store.file.path
    path.write_bytes(vlt_file.encode(state.table, state.dek, 4, entries))
    before = path.read_bytes()
    assert opened().get("a/2").value == Secret("x" * 100)
    for act in (
        lambda: opened().get("a/1"),
        lambda: opened().keys(),
        lambda: opened().put("a/4", Secret("y")),
        lambda: opened().delete("a/0"),
    ):
        with pytest.raises(StorageCorrupt):
            act()
    assert path.read_bytes() == before
