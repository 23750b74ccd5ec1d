"""The kit for plugin authors: contracts that a plugin's tests inherit, and stand-ins for the host.

A storage backend proves itself with five lines::

    from vault_core.testing import StorageContract

    class TestSqlite(StorageContract):
        entry_point = "sqlite"

and, once in the project's root ``conftest.py``, ``pytest_plugins = ["vault_core.testing.pytest_plugin"]``, which adds
``--contract-budget``, the table at the end of the run and the fixtures. Where the store must be reached first, the
class has a fixture ``setup`` that returns a :class:`Setup`.

The contracts need pytest (``pip install 'vault-core[testing]'``); the fakes and :class:`Setup` do not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vault_core.testing.clock import FakeClock
from vault_core.testing.context import FakeContext
from vault_core.testing.setup import Setup
from vault_core.testing.terminal import FakeTerminal

if TYPE_CHECKING:
    from vault_core.testing.mfa import MfaContract
    from vault_core.testing.passphrase import PassphraseContract
    from vault_core.testing.session import SessionContract
    from vault_core.testing.storage import StorageContract

__all__ = [
    "FakeClock",
    "FakeContext",
    "FakeTerminal",
    "MfaContract",
    "PassphraseContract",
    "SessionContract",
    "Setup",
    "StorageContract",
]

_NEED_PYTEST = {
    "MfaContract": "vault_core.testing.mfa",
    "PassphraseContract": "vault_core.testing.passphrase",
    "SessionContract": "vault_core.testing.session",
    "StorageContract": "vault_core.testing.storage",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_PYTEST:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(_NEED_PYTEST[name])
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise ImportError(f"{name} needs pytest: pip install 'vault-core[testing]'", name="pytest") from error
    return getattr(module, name)
