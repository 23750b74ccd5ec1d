"""Plugins that return what they should not, and how that is told."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vault_core.errors import PluginFault
from vault_core.plugins.discovery import KINDS, AvailablePlugin
from vault_core.plugins.loader import Plugins

CANARY = "canary-in-a-value"


class Shelf(Plugins):
    """Plugins that are at hand without being installed, all from one distribution."""

    def __init__(self, **specs: Any) -> None:
        super().__init__()
        self._loaded = {(kind, spec.name): spec for kind, spec in specs.items()}
        self._offers = tuple(
            AvailablePlugin(kind, spec.name, "vault-plugin-odd", "1.0", "m") for kind, spec in specs.items()
        )


async def later(*_: object, **__: object) -> None:
    raise AssertionError(CANARY)


def late(*_: object) -> Iterator[str]:
    yield "credentials/a"
    raise KeyError(CANARY)


def gives(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def refused(action: Callable[[], Any], kind: str, method: str, what: str) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(PluginFault) as caught:
            action()
        message, hint, code = caught.value.message, caught.value.hint, caught.value.exit_code
        del caught
        gc.collect()
    assert message.startswith(
        f"{method}() of {KINDS[kind]} 'odd' (from vault-plugin-odd 1.0) returned {what}; it must "
    )
    assert CANARY not in message
    assert (hint, code) == ("this is a bug of vault-plugin-odd", 3)
    assert not [str(warning.message) for warning in heard if "never awaited" in str(warning.message)]
