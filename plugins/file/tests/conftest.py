"""Fixtures for the file store: a folder, contexts, and key derivation that is cheap and done once for each input."""

from __future__ import annotations

import functools
import importlib.util
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from support.file_store import KEYS
from support.vaults import UNLOCKED, fill, offline
from vault_core import vlt
from vault_core.api import Secret
from vault_core.keyslots import new_slot
from vault_core.vlt import primitives
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

CHEAP = vlt.Argon2id(memory=19_456, passes=2, lanes=1)
STORED = {"credentials/a": "one", "credentials/b": "two", "seeds/c": "three"}
INDEPENDENT = Path(__file__).parents[3] / "core" / "tests" / "vlt" / "independent.py"


@pytest.fixture(scope="session")
def independent() -> Any:
    """The second implementation of the format."""
    spec = importlib.util.spec_from_file_location("awsv_independent_format_for_files", INDEPENDENT)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def memo() -> Any:
    return functools.cache(primitives.argon2id)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch, memo: Any) -> None:
    monkeypatch.setattr(new_slot, "DEFAULT_COST", CHEAP)
    monkeypatch.setattr(primitives, "argon2id", memo)


@pytest.fixture(scope="session")
def values() -> Any:
    """What the store ``made`` holds."""
    return STORED


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, independent: Any) -> Any:
    """A store with two slots and three entries: its bytes, table, DEK and entries."""
    context = FakeContext(tmp_path_factory.mktemp("made"), passphrases=["right"])
    table, dek = new_slot.table(context, cost=CHEAP)
    first = table.to_json()
    kdf = {**first["slots"][0]["kdf"], "salt": vlt.to_base64(bytes(16))}
    second = independent.make_slot(table.store, dek.reveal(), "other", type="passphrase", kdf=kdf, label="a second")
    table = vlt.SlotTable.parse(first["store"], [first["slots"][0], second])
    entries = {
        name: vlt_file.seal_entry(table, dek, name, number, Secret(value))
        for number, (name, value) in enumerate(STORED.items(), 1)
    }
    return vlt_file.encode(table, dek, 3, entries), table, dek, entries


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """The folder of the store; it does not exist yet."""
    return tmp_path / "store"


@pytest.fixture
def path(folder: Path) -> Path:
    """The path of the store's file."""
    return folder / "store.vlt"


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    return FakeContext(tmp_path, store="file", passphrases=["right"], environ={"HOME": str(tmp_path / "home")})


@pytest.fixture
def opened(folder: Any, ctx: FakeContext) -> Any:
    """A function that opens the store again, with this context or another."""
    return lambda context=ctx, where=folder: FileBackend(context, where)


@pytest.fixture
def one_entry(opened: Any, path: Path) -> Any:
    """A store with one entry; its path."""
    opened().put("credentials/dev", Secret("x"))
    return path


@pytest.fixture
def first_write(opened: Any, path: Path) -> Any:
    """A store that was written twice; the bytes of the first write."""
    store = opened()
    store.put("credentials/dev", Secret("1"))
    first = path.read_bytes()
    store.put("credentials/dev", Secret("2"))
    return first


@pytest.fixture
def snapshot(folder: Any) -> Any:
    """A function that describes everything in the folder: names, bytes, modes and times."""

    def look() -> Any:
        found = {}
        for path in sorted(folder.rglob("*")):
            status = path.lstat()
            data = path.read_bytes() if stat.S_ISREG(status.st_mode) and path.suffix != ".lock" else None
            found[path.name] = (status.st_mode, data, None if path.suffix == ".lock" else status.st_mtime_ns)
        return found

    return look


def in_child(work: Any, *, user: Any = None, umask: Any = None) -> Any:
    """Run ``work()`` in a forked child, as another user if we are root; its exit status is 0 if it returned True."""
    child = os.fork()
    if child == 0:
        try:
            if umask is not None:
                os.umask(umask)
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            os._exit(0 if work() is True else 1)
        except BaseException as error:  # a child must never come back to the test runner
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def child() -> Any:
    """The function :func:`in_child`."""
    return in_child


@pytest.fixture
def home(tmp_path: Path) -> Any:
    """A machine with a store of two keys."""
    home = offline(tmp_path)
    fill(home, KEYS)
    home.env |= UNLOCKED
    return home
