"""A backend whose module imports what it needs when it is named, not when it is opened."""

from __future__ import annotations

from typing import Any

import pytest  # in place of an SDK: what is surely installed here, and neither the core's nor the standard library's

from vault_core.api import hookimpl
from vault_plugin_bad.toy import Toy, spec


class Greedy(Toy):
    sdk = pytest


@hookimpl
def vault_storage_backends() -> Any:
    return (spec("greedy", Greedy),)
