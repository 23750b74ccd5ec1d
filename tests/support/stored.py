"""A vault with keys in it (as of :mod:`support.vaults`) for tests of sessions, and what awsv writes beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import busy
from support.home import Home
from support.moto import ACCOUNT, Key
from support.vaults import CHEAP as CHEAP
from support.vaults import PASSPHRASE as PASSPHRASE
from support.vaults import UNLOCKED as UNLOCKED
from support.vaults import Snapshot as Snapshot
from support.vaults import fill

MFA = f"arn:aws:iam::{ACCOUNT}:mfa/alice"
CODE = "123456"


def add(home: Home, key: Key, *names: str) -> None:
    """Store a key under names (``work`` if none is given), as ``awsv add`` does."""
    fill(home, dict.fromkeys(names or ("work",), (key.access_key_id, key.secret_access_key)))


def key_of(home: Home, profile: str = "role", **options: object) -> str:
    """The access key that ``exec -j`` hands out."""
    done = home.awsv("exec", "-j", profile, **options)  # type: ignore[arg-type]  # passed through
    assert done.returncode == 0, done.stderr
    found: str = json.loads(done.stdout)["AccessKeyId"]
    return found


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
    """Wait until something is so.

    :param seconds: how long that may take on an idle machine.
    """
    began = time.monotonic()
    while not true():
        waited = time.monotonic() - began
        if waited > busy.seconds(seconds):
            raise TimeoutError(f"{waited:.0f} s have passed, and not: {what}")
        time.sleep(0.01)
