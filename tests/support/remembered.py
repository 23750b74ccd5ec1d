"""A home with a memo, for tests of the hot path (:mod:`vault_core.fast`)."""

import os
import posix
import time
from pathlib import Path
from typing import Any

import pytest

from vault_core import consulted
from vault_core.fast import answer, leave
from vault_core.fast.leave import Answer
from vault_core.settings import Settings

PROFILE = b"work"
JSON, ENV = '{"Version": 1}', "AWS_ACCESS_KEY_ID=ASIA"


class Machine:
    """A home with a memo of the profile ``work``, whose run consulted a file, a missing one, a folder, variables."""

    packages: tuple[str, ...] = ()
    """Those of the plugins that gave the answer."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.runtime = root / "home", root / "run"
        for folder in (self.home, self.runtime / "awsv", self.home / ".local/state/awsv", self.home / "folder"):
            folder.mkdir(parents=True, mode=0o700)
        self.config, self.missing = self.home / "config", self.home / "missing/config"
        self.config.write_text("[profile work]\n")
        texts = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime), "SET": "text", "PATH": "/usr/bin:/bin"}
        self.environ = {os.fsencode(name): os.fsencode(text) for name, text in texts.items()}
        self.settings = Settings(texts)
        self.until = time.time() + 600
        monkeypatch.setattr(posix, "environ", self.environ)
        monkeypatch.setattr(consulted, "_files", None)
        monkeypatch.setattr(leave, "_SETTLED", -3600.0)  # the files have just been written

    def leave(self, **changes: Any) -> None:
        """Consult everything, and leave a memo."""
        consulted.start()
        consulted.note("f", self.config, self.config.stat())
        consulted.note("n", self.missing, None)
        consulted.look("d", self.home / "folder")
        for name in ("SET", "UNSET", "HOME"):
            self.settings.environ.get(name)
        fields = {"until": self.until, "json": JSON, "env": ENV, "given": {"A": "1"}, "hidden": (), "can_exec": True}
        leave.leave(self.settings, "work", Answer(**{**fields, **changes}), self.packages)

    def set(self, **texts: str) -> None:
        """Set further variables."""
        self.settings = Settings({**self.settings.environ.texts, **texts})
        self.environ |= {os.fsencode(name): os.fsencode(text) for name, text in texts.items()}

    @property
    def shares(self) -> tuple[Path, Path]:
        """The files of the memo: the sealed one, and the one with key and pad."""
        [state] = (self.home / ".local/state/awsv/memos").iterdir()
        [runtime] = (self.runtime / "awsv/memos").iterdir()
        return state, runtime

    def holds(self) -> bool:
        """Whether the hot path would use the memo."""
        try:
            return answer.read(PROFILE, self.environ).holds(self.environ)
        except (LookupError, OSError, ValueError):
            return False
