"""What the tests of the file store do to one from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.vaults import KEY_ID, OTHER_ID, OTHER_SECRET, PASSPHRASE, SECRET
from vault_core.api import Secret, StorageCorrupt, VaultError
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

KEYS = {"work": (KEY_ID, SECRET), "other": (OTHER_ID, OTHER_SECRET)}


def content(store: FileBackend) -> dict[str, str]:
    """Everything that it holds, decrypted."""
    found = {}
    for key in store.keys():  # noqa: SIM118 - a backend is no dictionary
        item = store.get(key)
        assert item is not None
        found[key] = item.value.reveal_text()
    return found


def names(folder: Path) -> list[str]:
    """The names of the files in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def read_and_write(store: FileBackend) -> tuple[Callable[[], object], Callable[[], object]]:
    """A read and a write of one entry."""
    return (lambda: store.get("credentials/dev"), lambda: store.put("credentials/dev", Secret("y")))


def spoil(store: FileBackend, name: str) -> None:
    """Give one entry of the store the sealed value of another one; the rest stays whole."""
    state = store.store.read()
    assert state is not None
    other = next(key for key in state.entries if key != name)
    entries = {**state.entries, name: vlt_file.Entry(state.entries[name].version, state.entries[other].sealed)}
    store.store.file.path.write_bytes(vlt_file.encode(state.table, state.dek, state.epoch + 1, entries))


def put_there(folder: Path, data: bytes) -> Path:
    """Have these bytes be the store; its path."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "store.vlt"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def through_backend(folder: Path, data: bytes, context: FakeContext | None = None) -> VaultError | None:
    """The error of reading these bytes as a store, or None."""
    put_there(folder, data)
    store = FileBackend(context or FakeContext(folder.parent, passphrases=["right"]), folder)
    try:
        for key in store.keys():  # noqa: SIM118 - a backend is no dictionary
            store.get(key)
    except VaultError as error:
        return error
    return None


def with_header(data: bytes, text: bytes) -> bytes:
    """The file with another header text, its length right, the rest as it was."""
    length = int.from_bytes(data[12:16], "big")
    return data[:12] + len(text).to_bytes(4, "big") + text + data[16 + length :]


def header_of(data: bytes) -> Any:
    """The header of a store, parsed."""
    return json.loads(data[16 : 16 + int.from_bytes(data[12:16], "big")])


def untouched(folder: Path, data: bytes) -> None:
    """These bytes are refused with exit code 4 by reads and writes, nobody is asked anything, and they stay."""
    path, context = put_there(folder, data), FakeContext(folder.parent, passphrases=["right"])
    store = FileBackend(context, folder)
    written = path.stat().st_mtime_ns
    for call in (lambda: store.get("a/b"), lambda: store.put("a/b", Secret("x")), lambda: store.delete("a/b")):
        with pytest.raises(StorageCorrupt) as caught:
            call()
        assert (caught.value.exit_code, str(path) in caught.value.message) == (4, True)
    assert context.unlocked == []
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (data, written)


def done(process: Any, *, code: int = 0) -> Any:
    assert process.returncode == code, process.stderr
    assert "Traceback" not in process.stderr
    assert PASSPHRASE not in process.stdout + process.stderr
    assert SECRET not in process.stderr
    if code:
        assert process.stdout == ""
    return process.stdout if code == 0 else process.stderr


def told(process: Any) -> Any:
    """The standard error of a command that succeeded."""
    done(process)
    return process.stderr
