"""The kit for plugin authors: contracts that a plugin's tests inherit, and stand-ins for the host.

A storage backend proves itself with five lines::

    from vault_testkit import StorageContract

    class TestSqlite(StorageContract):
        entry_point = "sqlite"

and, once in the project's root ``conftest.py``, ``pytest_plugins = ["vault_testkit.pytest_plugin"]``, which adds
``--contract-budget``, the table at the end of the run and the fixtures. Where the store must be reached first, the
class has a fixture ``setup`` that returns a :class:`Setup`.

A contract is imported when it is first named: the processes that a test starts at a store need none, nor pytest.
"""

import importlib
from typing import TYPE_CHECKING, Any

from vault_testkit.clock import FakeClock
from vault_testkit.context import FakeContext
from vault_testkit.setup import Setup
from vault_testkit.terminal import FakeTerminal

if TYPE_CHECKING:
    from vault_testkit.mfa import MfaContract
    from vault_testkit.passphrase import PassphraseContract
    from vault_testkit.session import SessionContract
    from vault_testkit.storage import StorageContract

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kind = name.removesuffix("Contract").lower()
    return getattr(importlib.import_module(f"vault_testkit.{kind}"), name)
