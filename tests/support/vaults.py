"""Stores that tests need before the first command: made in this process, of the lowest cost that nobody is warned of.

A store made by ``awsv add`` derives its key for a quarter of a second, and so does each command that opens it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.home import Home
from vault_core.api import Secret
from vault_core.storage.vault import CREDENTIALS, encode
from vault_core.vlt import Argon2id, primitives, to_base64
from vault_plugin_file.backend import FileBackend
from vault_testkit import FakeContext

PASSPHRASE = "correct horse battery staple"
UNLOCKED = {"AWS_VAULT_FILE_PASSPHRASE": PASSPHRASE}
"""The environment that opens the store without asking."""


class _Pbkdf2(Argon2id):
    """PBKDF2 at its lower limit, wherever a new slot's cost is asked for: a third of the time of a new store's.

    Argon2id at its lower limit would be faster still, and each command that opens the store would say that it is weak.
    """

    def to_json(self) -> dict[str, Any]:
        return {"alg": "pbkdf2-sha256", "rounds": 600_000, "salt": SALT}


CHEAP = _Pbkdf2()
SALT = to_base64(os.urandom(16))
"""Of every slot that this process makes, so that it derives the key of a passphrase once; others take a salt each."""
NOWHERE = "http://127.0.0.1:9"
"""An endpoint where nobody listens."""

KEY_ID = "AKIAQ2QZ7YJ3LEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OTHER_ID = "AKIA5TWXR7L2OEXAMPLE"
OTHER_SECRET = "o7MDENGbPxRfiCYzEXAMPLEKEYwJalrXUtnFEMIa"


def offline(tmp_path: Path) -> Home:
    """A person's machine without AWS."""
    return Home(tmp_path / "machine", NOWHERE)


def store_path(home: Home) -> Path:
    """Where the default store of a home lies."""
    return Path(home.env["XDG_DATA_HOME"], "awsv", "store.vlt")


@functools.cache
def _derived(secret: bytes, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", secret, salt, rounds)


@contextmanager
def _derived_once() -> Iterator[None]:
    """This process opens the stores of many tests, and each derivation takes longer than everything else about it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(primitives, "pbkdf2", _derived)
        yield


@_derived_once()
def fill(home: Home, keys: Mapping[str, tuple[str, str]], *, passphrase: str = PASSPHRASE) -> None:
    """Put keys (name to key id and secret) into the default store of a home, as ``awsv add`` does."""
    backend = FileBackend(FakeContext(home.root, passphrases=[passphrase]), store_path(home).parent, cost=CHEAP)
    for name, (key_id, secret) in keys.items():
        value = json.dumps({"access_key_id": key_id, "secret_access_key": secret})
        backend.put(CREDENTIALS + encode(name), Secret(value))
    backend.close()


def stores(home: Home, **folders: Path) -> None:
    """Name file stores in ``config.toml``: name to folder."""
    file = Path(home.env["XDG_CONFIG_HOME"], "awsv/config.toml")
    file.parent.mkdir(mode=0o700, exist_ok=True)
    tables = (f'[store.{name}]\nbackend = "file"\ndir = "{folder}"\n' for name, folder in folders.items())
    file.write_text("".join(tables))


@_derived_once()
def stored(home: Home, *, passphrase: str = PASSPHRASE, folder: Path | None = None) -> dict[str, tuple[str, str]]:
    """What a store holds: name to key id and secret.

    :param folder: of the store; that of the home's default store if there is none.
    """
    from vault_core.storage.vault import decode

    backend = FileBackend(FakeContext(home.root, passphrases=[passphrase]), folder or store_path(home).parent)
    found = {}
    for key in backend.keys():  # noqa: SIM118 - a backend is no mapping
        if not key.startswith(CREDENTIALS):
            continue
        item = backend.get(key)
        assert item is not None
        fields = json.loads(item.value.reveal())
        found[decode(key.removeprefix(CREDENTIALS))] = (fields["access_key_id"], fields["secret_access_key"])
    return found


class Snapshot:
    """A home as it is now, for many tests that each start from it: making a session costs half a second."""

    def __init__(self, home: Home) -> None:
        self._root = home.root
        self._copy = home.root.with_name(f"{home.root.name}.{os.urandom(4).hex()}")
        shutil.copytree(self._root, self._copy, symlinks=True)

    def restore(self) -> None:
        """Have the home be as it was. Its paths, which sessions depend on, are the same."""
        for path in self._root.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(self._copy, self._root, symlinks=True, dirs_exist_ok=True)


def snapshot(folder: Path) -> Mapping[str, str]:
    """Every file below a folder with a hash of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def data(home: Home) -> Mapping[str, str]:
    """What durable data a home holds, the store's lock left out."""
    found = snapshot(Path(home.env["XDG_DATA_HOME"]))
    return {name: value for name, value in found.items() if not name.endswith(".lock")}


def ended(child: Any) -> int:
    """The exit code, once all is said; the terminal echoes again."""
    import pexpect

    child.expect(pexpect.EOF)
    child.wait()
    code: int = child.exitstatus
    return code
