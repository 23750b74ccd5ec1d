"""Somebody's settings, in process: a home, an environment and perhaps a ``config.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vault_core.settings import Settings


class Person:
    """Somebody with a home, an environment and perhaps a ``config.toml``."""

    def __init__(self, root: Path) -> None:
        self.environ = {"HOME": str(root), "XDG_CONFIG_HOME": str(root / "config")}
        self.file = root / "config/awsv/config.toml"
        self.file.parent.mkdir(mode=0o700, parents=True)

    def settings(self, config: str | bytes = "", flags: Mapping[str, str] | None = None, **environ: str) -> Settings:
        self.file.write_bytes(config if isinstance(config, bytes) else config.encode())
        return Settings({**self.environ, **environ}, flags)
