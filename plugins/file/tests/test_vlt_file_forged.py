"""S5 to S7: forged stores, with changed or exchanged parameters of key derivation, parts of slots and entries."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from support.file_store import header_of, put_there, through_backend, untouched, with_header
from vault_core import vlt
from vault_core.api import Secret, StorageCorrupt, WrongSecret
from vault_core.keyslots import new_slot
from vault_core.vlt import primitives
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

# -- S5, S6: parameters ------------------------------------------------------------------------------------------------


def with_slot(data: Any, **changes: Any) -> Any:
    header = header_of(data)
    kdf = changes.pop("kdf", {})
    header["slots"] = [copy.deepcopy(header["slots"][0])]
    header["slots"][0].update(changes)
    header["slots"][0]["kdf"].update(kdf)
    return with_header(data, vlt.canonical(header))


ODD = (0, 2**32 - 1, 2**64, -1, 1.5, "64", True)
HOSTILE = [
    *({"m": value} for value in (*ODD, 1, 19_455, 1_048_577)),
    *({"t": value} for value in (*ODD, 1, 17)),  # one pass is too few for this little memory
    *({"p": value} for value in (*ODD, 17)),
]


@pytest.mark.parametrize("kdf", HOSTILE, ids=str)
def test_s5_hostile_kdf_parameters_are_refused_without_prompt(
    made: Any, folder: Any, kdf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no prompt, no key derivation and no write."""
    derived = []
    monkeypatch.setattr(primitives, "argon2id", lambda *args, **more: derived.append(args))
    header = header_of(made[0])
    header["slots"][0]["kdf"].update(kdf)
    untouched(folder, with_header(made[0], json.dumps(header, sort_keys=True, separators=(",", ":")).encode()))
    assert derived == []


@pytest.mark.parametrize(
    "change",
    [
        {"kdf": {"m": 19_457}},
        {"kdf": {"t": 3}},
        {"kdf": {"p": 2}},
        {"kdf": {"salt": vlt.to_base64(bytes(16))}},
        {"commit": vlt.to_base64(bytes(32))},
    ],
)
def test_s6_changed_kdf_parameters_are_refused(made: Any, folder: Any, change: Any) -> None:
    data = with_slot(made[0], **change)
    assert isinstance(through_backend(folder, data), WrongSecret)
    with pytest.raises(WrongSecret):
        FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder).put("a/b", Secret("x"))
    assert (folder / "store.vlt").read_bytes() == data


@pytest.mark.parametrize("field", ["wrap", "commit", "salt"])
@pytest.mark.parametrize("between", ["slots", "stores"])
def test_s6_exchanged_slot_parts_are_refused(made: Any, folder: Any, tmp_path: Path, field: Any, between: Any) -> None:
    """Between the slots of one store, and between two stores with the same passphrase."""
    header = header_of(made[0])
    if between == "stores":
        other = new_slot.table(FakeContext(tmp_path, passphrases=["right"]))[0].to_json()["slots"]
    else:
        other = header["slots"][::-1]
    for slot, foreign in zip(header["slots"], copy.deepcopy(other), strict=False):
        part, source = (slot["kdf"], foreign["kdf"]) if field == "salt" else (slot, foreign)
        assert part[field] != source[field]
        part[field] = source[field]
    data = with_header(made[0], vlt.canonical(header))
    error = through_backend(folder, data)
    assert isinstance(error, StorageCorrupt if field == "wrap" else WrongSecret)
    for call in (
        lambda store: store.put("a/b", Secret("x")),
        lambda store: store.change_slots(lambda table, _: table),
    ):
        with pytest.raises((StorageCorrupt, WrongSecret)):
            call(FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder))
    assert (folder / "store.vlt").read_bytes() == data


def test_s6_damaged_slot_with_right_passphrase_is_corrupt(made: Any, folder: Any) -> None:
    error = through_backend(folder, with_slot(made[0], wrap=vlt.to_base64(bytes(48))))
    assert isinstance(error, StorageCorrupt)
    assert "the passphrase is right" in error.message


def test_s6_changed_slot_table_is_refused(made: Any, folder: Any) -> None:
    header = header_of(made[0])
    for slots in (
        header["slots"][:1],
        header["slots"][::-1],
        [*header["slots"], {**header["slots"][1], "id": "1" * 16}],
        [header["slots"][0], {**header["slots"][1], "label": "other"}],
    ):
        error = through_backend(folder, with_header(made[0], vlt.canonical({**header, "slots": slots})))
        assert isinstance(error, StorageCorrupt)
        assert "its header was changed" in error.message


# -- S7: exchanges -----------------------------------------------------------------------------------------------------


def test_s7_exchanged_entries_are_refused(made: Any, folder: Any) -> None:
    _, table, dek, entries = made
    a, b = entries["credentials/a"], entries["credentials/b"]
    older = vlt_file.seal_entry(table, dek, "seeds/c", 2, Secret("older"))
    other, _ = new_slot.table(FakeContext(folder.parent, passphrases=["right"]))
    foreign = vlt_file.seal_entry(other, dek, "credentials/a", 1, Secret("x"))  # even under the same key
    for changed in (
        {**entries, "credentials/a": b, "credentials/b": a},
        {**entries, "credentials/a": vlt_file.Entry(a.version, b.sealed)},
        {**entries, "credentials/a": vlt_file.Entry(a.version + 1, a.sealed)},
        {**entries, "credentials/a": vlt_file.Entry(1, older.sealed)},
        {**entries, "credentials/a": foreign},
        {**entries, "credentials/a": vlt_file.Entry(1, "")},
        {**entries, "credentials/a": vlt_file.Entry(1, "AAAA")},
    ):
        put_there(folder, vlt_file.encode(table, dek, 3, changed))
        store = FileBackend(FakeContext(folder.parent, passphrases=["right"]), folder)
        with pytest.raises(StorageCorrupt, match=r"entry credentials/a of .*store.vlt is damaged"):
            store.get("credentials/a")
        assert store.get("seeds/c").value == Secret("three")
