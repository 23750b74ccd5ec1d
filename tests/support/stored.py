"""A vault with keys in it for tests of sessions, and what awsv writes beside it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.home import Home
from support.moto import ACCOUNT, Key
from vault_core.api import Secret
from vault_core.sealing import Argon2id
from vault_core.testing.context import FakeContext
from vault_core.vault import CREDENTIALS, encode
from vault_plugin_file.backend import FileBackend

PASSPHRASE = "correct horse battery staple"
UNLOCKED = {"AWS_VAULT_FILE_PASSPHRASE": PASSPHRASE}
"""For ``env=``: the store opens without a question."""
MFA = f"arn:aws:iam::{ACCOUNT}:mfa/alice"
CODE = "123456"


CHEAP = Argon2id(memory=19_456, passes=2, lanes=1)
"""The least that the store's format allows: opening it is not what these tests are about."""


def add(home: Home, key: Key, *names: str) -> None:
    """Store a key under names (``work`` if none is given), as ``awsv add`` does."""
    context = FakeContext(home.root, passphrases=[PASSPHRASE])
    backend = FileBackend(context, store_file(home).parent, cost=CHEAP)
    value = json.dumps({"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key})
    for name in names or ("work",):
        backend.put(CREDENTIALS + encode(name), Secret(value))
    backend.close()


def store_file(home: Home) -> Path:
    """The encrypted store."""
    return Path(home.env["XDG_DATA_HOME"]) / "awsv/store.vlt"


def key_of(home: Home, profile: str = "role", **options: object) -> str:
    """The access key that ``exec -j`` hands out."""
    done = home.awsv("exec", "-j", profile, **options)  # type: ignore[arg-type]  # passed through
    assert done.returncode == 0, done.stderr
    found: str = json.loads(done.stdout)["AccessKeyId"]
    return found


class Snapshot:
    """A home as it is now, for many tests that each start from it: making a session costs half a second."""

    def __init__(self, home: Home) -> None:
        self._root = home.root
        self._copy = home.root.with_name(f"{home.root.name}.snapshot")
        shutil.copytree(self._root, self._copy, symlinks=True)

    def restore(self) -> None:
        """Have the home be as it was. Its paths, which sessions depend on, are the same."""
        for path in self._root.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(self._copy, self._root, symlinks=True, dirs_exist_ok=True)


def state(home: Home, name: str) -> list[Path]:
    """The files of a folder of the state folder (``sessions``, ``flights``)."""
    folder = Path(home.env["XDG_STATE_HOME"]) / "awsv" / name
    return sorted(folder.iterdir()) if folder.is_dir() else []


def leaders(home: Home) -> list[dict[str, Any]]:
    """What the leaders of flights say that they are at."""
    found = []
    for path in state(home, "flights"):
        if path.suffix == ".leader" and not path.name.startswith("."):
            try:
                found.append(json.loads(path.read_text()))
            except (OSError, ValueError):  # it landed just now
                continue
    return found


def until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{seconds} s have passed, and not: {what}")
        time.sleep(0.01)
