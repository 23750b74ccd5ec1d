"""S1 to S4: damage of every kind to the bytes of a store is always an error of the expected class."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.file_store import header_of, through_backend, untouched, with_header
from support.security import DEEP
from vault_core import vlt
from vault_core.api import Secret, StorageCorrupt, StorageError, WrongSecret
from vault_core.keyslots import new_slot
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

HEAD = 16


def read(data: Any, dek: Any) -> Any:
    """Everything that a reader verifies, except for the derivation of the slot key."""
    envelope = vlt_file.parse(data)
    entries = vlt_file.decrypt(envelope, dek)
    return {name: vlt_file.open_entry(envelope.table, dek, name, entry) for name, entry in entries.items()}


def refused(data: Any, dek: Any) -> Any:
    with pytest.raises(ValueError):
        read(data, dek)
    return True


def test_decode_returns_values(made: Any, folder: Any, values: Any) -> None:
    data, _, dek, _ = made
    assert {name: value.reveal_text() for name, value in read(data, dek).items()} == values
    assert through_backend(folder, data) is None


# -- S1, S2: bits and lengths ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_s1_flipped_bit_is_refused(made: Any, figure: Any) -> None:
    data, _, dek, _ = made
    changed = bytearray(data)
    for bit in range(len(data) * 8):
        changed[bit // 8] ^= 1 << bit % 8
        assert refused(bytes(changed), dek)
        changed[bit // 8] ^= 1 << bit % 8
    assert bytes(changed) == data
    figure(f"{len(data) * 8} bits flipped, 0 accepted")


@pytest.fixture
def keyed(made: Any, tmp_path: Path) -> Any:
    """A store with a key slot and a passphrase slot, and a context that has both secrets."""
    _, table, dek, entries = made
    context = FakeContext(tmp_path, passphrases=["right"], options={"anchor": False})
    table = vlt.SlotTable(table.store, table.slots[:1])
    table = table.add(dek, new_slot.key(table.store, context, "keychain"))
    return vlt_file.encode(table, dek, 3, entries), context


def bits_of_the_id(data: Any) -> Any:
    """Where the store's id is, as text: of each character a bit makes another one that is as good."""
    text = header_of(data)["store"].encode()
    start = data.index(text)
    return list(range(start * 8, (start + len(text)) * 8))


def test_s1_flipped_bit_is_refused_by_backend(keyed: Any, folder: Any, figure: Any) -> None:
    """The errors are typed and name the file. (5: the store's id is in every slot's key, so none of them opens.)"""
    data, context = keyed
    assert through_backend(folder, data, context) is None
    bits = range(len(data) * 8) if DEEP else random.Random(1).sample(range(len(data) * 8), 400) + bits_of_the_id(data)
    outcomes = Counter()
    for bit in bits:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        error = through_backend(folder, bytes(changed), context)
        assert isinstance(error, (StorageError, WrongSecret)), bit
        assert str(folder / "store.vlt") in error.message
        outcomes[error.exit_code] += 1
    assert outcomes.keys() == {4, 5}
    figure(
        f"{len(bits)} of {len(data) * 8} bits flipped: {outcomes[4]} times exit 4, {outcomes[5]} times 5, 0 accepted"
    )


def test_s2_truncated_file_is_refused(made: Any, figure: Any) -> None:
    data, _, dek, _ = made
    assert all(refused(data[:length], dek) for length in range(len(data)))
    figure(f"{len(data)} truncations, 0 accepted")


def test_s2_inserted_or_deleted_bytes_are_refused(made: Any, figure: Any) -> None:
    data, _, dek, _ = made
    for position in range(len(data)):
        assert refused(data[:position] + data[position + 1 :], dek)
        assert refused(data[:position] + b"\0" + data[position:], dek)
        assert refused(data[:position] + data[position : position + 1] + data[position:], dek)
    figure(f"{len(data)} deletions, {2 * len(data)} insertions, 14 appends, 0 accepted")
    for count in (1, 15, 16, 17, 4095, 4096, 8192):
        assert refused(data + bytes(count), dek)
        assert refused(data + data[-count:], dek)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 15, 16, 100, 1200, 4000])
def test_truncated_file_is_reported_as_truncated(made: Any, folder: Any, length: Any) -> None:
    error = through_backend(folder, made[0][:length])
    assert isinstance(error, StorageCorrupt)
    assert "store.vlt is damaged: it is truncated" in error.message
    assert error.hint


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(made: Any, tail: Any) -> None:
    data, _, dek, _ = made
    for candidate in (tail, vlt_file.MAGIC + tail, data[:HEAD] + tail, data[: len(data) // 2] + tail):
        assert refused(candidate, dek)


@pytest.mark.parametrize("data", [b"PK\x03\x04" + bytes(100), b"not a store\n", b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_foreign_file_is_reported_as_not_a_store(folder: Any, data: Any) -> None:
    error = through_backend(folder, data)
    assert isinstance(error, StorageCorrupt)
    assert "is not an awsv store" in error.message
    assert (folder / "store.vlt").read_bytes() == data


@pytest.mark.parametrize(
    "break_",
    [lambda d: d.replace(b"\r\n", b"\n"), lambda d: d.replace(b"\n", b"\r\n"), lambda d: bytes(b & 127 for b in d)],
)
def test_text_mode_damage_is_refused_by_signature(made: Any, break_: Any) -> None:
    with pytest.raises(ValueError):
        vlt_file.parse(break_(made[0]))


# -- S3: header --------------------------------------------------------------------------------------------------------


TEXTS = {
    "duplicate key": lambda text: text.replace(b'{"epoch":3,', b'{"epoch":3,"epoch":3,'),
    "reordered": lambda text: b'{"fsalt"' + text.split(b',"fsalt"')[1][:-1] + b',"epoch":3}',
    "float epoch": lambda text: text.replace(b'"epoch":3', b'"epoch":3.0'),
    "exponent": lambda text: text.replace(b'"epoch":3', b'"epoch":3e0'),
    "NaN epoch": lambda text: text.replace(b'"epoch":3', b'"epoch":NaN'),
    "infinite epoch": lambda text: text.replace(b'"epoch":3', b'"epoch":Infinity'),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "CRLF": lambda text: text.replace(b",", b",\r\n", 1),
    "space": lambda text: text.replace(b":", b": ", 1),
    "trailing newline": lambda text: text + b"\n",
    "two objects": lambda text: text + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "needless escape": lambda text: text.replace(b'"epoch"', b'"\\u0065poch"'),
    "raw UTF-8": lambda text: text.replace(b"a second", "zweiter ü".encode()),
    "deep": lambda text: b"[" * 60_000,
    "empty": lambda text: b"{}",
    "huge number": lambda text: text.replace(b'"epoch":3', b'"epoch":' + b"9" * 5000),
    "null": lambda text: b"null",
}
FIELDS = {
    "unknown key": {"extra": 1},
    "epoch 0": {"epoch": 0},
    "negative epoch": {"epoch": -1},
    "epoch 2^63": {"epoch": 2**63},
    "epoch true": {"epoch": True},
    "epoch text": {"epoch": "3"},
    "epoch null": {"epoch": None},
    "fsalt short": {"fsalt": vlt.to_base64(bytes(31))},
    "fsalt not canonical": {"fsalt": "A" * 42 + "B="},
    "fsalt url alphabet": {"fsalt": "-" * 43 + "="},
    "fsalt without padding": {"fsalt": "A" * 43},
    "store short": {"store": vlt.to_base64(bytes(15))},
    "store null": {"store": None},
    "no slots": {"slots": []},
    "slots null": {"slots": None},
}


@pytest.mark.parametrize("name", TEXTS)
def test_s3_header_with_invalid_json_is_refused(made: Any, independent: Any, name: Any, folder: Any) -> None:
    data, _, dek, _ = made
    length = int.from_bytes(data[12:16], "big")
    text = TEXTS[name](data[16 : 16 + length])
    assert text != data[16 : 16 + length]
    changed = with_header(data, text)
    assert refused(changed, dek)
    untouched(folder, changed)
    with pytest.raises((independent.Damaged, independent.Newer)):
        independent.read_file(changed, "right")


@pytest.mark.parametrize("name", FIELDS)
def test_s3_header_with_invalid_field_is_refused(made: Any, independent: Any, name: Any, folder: Any) -> None:
    """Refused because of its form, before the authentication code is checked."""
    data = made[0]
    changed = with_header(data, vlt.canonical({**header_of(data), **FIELDS[name]}))  # type: ignore[dict-item]  # of every type
    with pytest.raises(ValueError):
        vlt_file.parse(changed)
    untouched(folder, changed)
    with pytest.raises((independent.Damaged, independent.Newer)):
        independent.read_file(changed, "right")


@pytest.mark.parametrize("field", ["epoch", "fsalt", "slots", "store"])
def test_s3_header_without_field_is_refused(made: Any, field: Any, folder: Any) -> None:
    header = header_of(made[0])
    del header[field]
    changed = with_header(made[0], vlt.canonical(header))
    with pytest.raises(ValueError, match=f"no field '{field}'"):
        vlt_file.parse(changed)
    untouched(folder, changed)


def test_s3_too_many_or_duplicate_slots_are_refused(made: Any, folder: Any) -> None:
    header = header_of(made[0])
    for slots in ([{**header["slots"][0], "id": f"{n:016x}"} for n in range(9)], [header["slots"][0]] * 2):
        changed = with_header(made[0], vlt.canonical({**header, "slots": slots}))
        with pytest.raises(ValueError, match=r"1 to 8|the same id"):
            vlt_file.parse(changed)
        untouched(folder, changed)


@pytest.mark.parametrize("length", [0, 65_537, 2**32 - 1])
def test_invalid_header_length_is_refused(made: Any, length: Any) -> None:
    data = made[0]
    with pytest.raises(ValueError, match=f"header length is {length}"):
        vlt_file.parse(data[:12] + length.to_bytes(4, "big") + data[16:])


# -- S4: versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 2, 65_535])
@pytest.mark.parametrize("write", [False, True])
def test_s4_newer_version_is_reported(made: Any, folder: Any, snapshot: Any, version: Any, write: Any) -> None:
    data = made[0][:8] + version.to_bytes(2, "big") + made[0][10:]
    error = through_backend(folder, data)
    before = snapshot()
    context = FakeContext(folder.parent, passphrases=["right"])
    store = FileBackend(context, folder)
    calls = [lambda: store.get("a/b"), lambda: list(store.keys())]
    if write:
        calls = [lambda: store.put("a/b", Secret("x")), lambda: store.delete("a/b")]  # type: ignore[list-item, return-value]  # their results are not used
    for call in calls:
        with pytest.raises(StorageCorrupt, match="was written by a newer version of awsv") as caught:
            call()
        assert caught.value.exit_code == 4
        assert caught.value.message == error.message
    assert context.unlocked == []  # nobody is asked for a passphrase that cannot help
    assert snapshot() == before


def test_unknown_flags_are_refused(made: Any, folder: Any) -> None:
    error = through_backend(folder, made[0][:10] + b"\x80\0" + made[0][12:])
    assert "newer version of awsv: unknown flags 0x8000" in error.message


# -- S7: exchanges -----------------------------------------------------------------------------------------------------


def test_s7_parts_of_old_and_new_file_do_not_mix(made: Any) -> None:
    data, table, dek, entries = made
    other = vlt_file.encode(table, dek, 3, entries)
    assert len(other) == len(data)
    payload = len(data) - 4096 - 16
    for cut in (payload, payload - 32):
        assert refused(data[:cut] + other[cut:], dek)
        assert refused(other[:cut] + data[cut:], dek)
