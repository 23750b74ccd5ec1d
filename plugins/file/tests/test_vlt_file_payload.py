"""The payload of a store: its form, which cannot be broken without the key, and its fresh keys (S17)."""

from __future__ import annotations

from typing import Any

import pytest

from support.security import sample
from vault_core import vlt
from vault_core.api import Secret
from vault_plugin_file import vlt_file


def read(data: Any, dek: Any) -> Any:
    """All entries in these bytes."""
    envelope = vlt_file.parse(data)
    entries = vlt_file.decrypt(envelope, dek)
    return {name: vlt_file.open_entry(envelope.table, dek, name, entry) for name, entry in entries.items()}


def rebuilt(made: Any, plaintext: Any) -> Any:
    """The store with another plaintext, encrypted with the right keys."""
    data, table, dek, _ = made
    envelope = vlt_file.parse(data)
    head = envelope.signed + envelope.mac
    key = vlt.hkdf(dek.reveal(), envelope.fsalt, b"vlt/v1/payload" + vlt.lp(table.store, 3))
    return head + vlt.encrypt(key, plaintext, head)


def framed(index: Any, size: Any = None, fill: bytes = b"\0") -> Any:
    text = (len(index) if size is None else size).to_bytes(4, "big") + index
    return text + fill * (-len(text) % 4096)


SEALED = vlt.to_base64(bytes(60))
FULL = b'{"a/b":{"s":"' + b"A" * 4070 + b'","v":1}}'  # with its length exactly one block


@pytest.mark.parametrize(
    "plaintext",
    [
        framed(b"{}", size=2**32 - 1),
        framed(b"{}", size=3),
        framed(FULL, size=len(FULL) + 1),
        framed(b"{}", size=1),
        framed(b"{}", fill=b"\1"),
        framed(b"{}") + bytes(4096),
        framed(b""),
        framed(b"[]"),
        framed(b"{} "),
        framed(b'{"a/b":1}'),
        framed(b'{"a/b":{"s":"","v":1},"a/b":{"s":"","v":1}}'),
        framed(vlt.canonical({"a/b": {"s": SEALED, "v": 0}})),
        framed(vlt.canonical({"a/b": {"s": SEALED, "v": 4}})),
        framed(vlt.canonical({"a/b": {"s": SEALED, "v": True}})),
        framed(vlt.canonical({"a/b": {"s": 1, "v": 1}})),
        framed(vlt.canonical({"a/b": {"s": SEALED, "v": 1, "x": 1}})),
        framed(vlt.canonical({"ab": {"s": SEALED, "v": 1}})),
        framed(vlt.canonical({"a/" + "b" * 899: {"s": SEALED, "v": 1}})),
    ],
)
def test_payload_of_invalid_form_is_refused(made: Any, independent: Any, plaintext: Any) -> None:
    data = rebuilt(made, plaintext)
    with pytest.raises(ValueError):
        vlt_file.decrypt(vlt_file.parse(data), made[2]).whole()
    with pytest.raises(independent.Damaged):
        independent.read_file(data, "right")


def test_empty_index_and_full_block_round_trip(made: Any) -> None:
    dek = made[2]
    assert read(rebuilt(made, framed(b"{}")), dek) == {}
    assert len(framed(FULL)) == 4096
    assert list(vlt_file.decrypt(vlt_file.parse(rebuilt(made, framed(FULL))), dek)) == ["a/b"]
    _, table, dek, entries = made
    for size in range(2200, 2216):  # some of these end exactly at a block
        more = {**entries, "x/y": vlt_file.seal_entry(table, dek, "x/y", 3, Secret("v" * size))}
        data = vlt_file.encode(table, dek, 3, more)
        assert read(data, dek)["x/y"] == Secret("v" * size)


# -- S17: fresh keys ---------------------------------------------------------------------------------------------------


def test_s17_two_writes_of_same_content_share_no_bytes(made: Any) -> None:
    _, table, dek, entries = made
    one, two = (vlt_file.parse(vlt_file.encode(table, dek, 3, entries)) for _ in range(2))
    blocks = [{envelope.payload[i : i + 16] for i in range(0, len(envelope.payload), 16)} for envelope in (one, two)]
    assert not blocks[0] & blocks[1]
    assert one.fsalt != two.fsalt


def test_s17_salts_are_never_reused(made: Any, figure: Any) -> None:
    """Of the file and of an entry: 32 bytes each, 31 of them in the first 42 characters of base64."""
    _, table, dek, entries = made
    count = sample(1000, 10_000)
    files, sealed = set(), set()
    for _ in range(count):
        entry = vlt_file.seal_entry(table, dek, "credentials/a", 3, Secret("one"))
        sealed.add(entry.sealed[:42])
        files.add(vlt_file.parse(vlt_file.encode(table, dek, 3, {**entries, "credentials/a": entry})).fsalt)
    assert (len(files), len(sealed)) == (count, count)
    figure(f"{count} writes of one content, {len(files)} different salts of the file, {len(sealed)} of the entry")


def test_file_contains_no_name_or_value(made: Any, values: Any) -> None:
    data = made[0]
    for text in (*values, *values.values(), "credentials", "seeds"):
        assert text.encode() not in data[16:]
