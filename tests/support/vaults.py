"""A vault with keys in it, and the ways that tests use it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.home import Home
from support.moto import ACCOUNT, Key

PASSPHRASE = "correct horse battery staple"
UNLOCKED = {"AWS_VAULT_FILE_PASSPHRASE": PASSPHRASE}
"""For ``env=``: the store opens without a question."""
MFA = f"arn:aws:iam::{ACCOUNT}:mfa/alice"
CODE = "123456"


_made: dict[tuple[Key, tuple[str, ...]], bytes] = {}


def add(home: Home, key: Key, *names: str) -> None:
    """Store a key under names (``work`` if none is given).

    ``awsv`` itself makes the store, and an empty home that wants the same one later gets a copy.
    """
    made = (key, names or ("work",))
    store = store_file(home)
    if store.exists() or made not in _made:
        document = json.dumps({"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key})
        new = not store.exists()
        for name in made[1]:
            done = home.awsv("add", name, input=document, env=UNLOCKED)
            assert done.returncode == 0, done.stderr
        if new:
            _made[made] = store.read_bytes()
        return
    store.parent.mkdir(mode=0o700, parents=True)
    store.touch(mode=0o600)
    store.write_bytes(_made[made])


def store_file(home: Home) -> Path:
    """The encrypted store."""
    return Path(home.env["XDG_DATA_HOME"]) / "awsv/store.vlt"


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
