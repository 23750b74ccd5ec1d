"""A backend whose module reads its settings when it is named, not when it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vault_core.api import hookimpl
from vault_plugin_bad.toy import Toy, spec

SETTINGS = Path(__file__).parent.joinpath("README").exists() or Path("/dev/null").read_text()


@hookimpl
def vault_storage_backends() -> Any:
    return (spec("eager", Toy),)
