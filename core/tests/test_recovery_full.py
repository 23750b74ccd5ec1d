"""``awsv recovery`` for a store that can take no further slot, in process."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.cli.key_slots import recovery_delivery
from vault_core.errors import StorageError
from vault_core.keyslots import new_slot, recovery_key
from vault_core.secret import Secret
from vault_core.vlt.slot_table import MAX_SLOTS, SlotTable


@pytest.mark.parametrize("to_descriptor", [True, False], ids=["descriptor", "terminal"])
def test_a_recovery_key_that_the_store_cannot_take_is_shown_to_nobody(to_descriptor: bool) -> None:
    """A person would write down and keep a key that opens nothing."""
    store, dek = os.urandom(16), Secret(os.urandom(32))
    shown: list[str] = []
    full = SlotTable(store, tuple(new_slot.recovery(store)[0].wrap(dek) for _ in range(MAX_SLOTS)))
    terminal = SimpleNamespace(write=shown.append, ask=lambda *_, **__: Secret("x"))
    host = SimpleNamespace(terminal=terminal, cannot_ask=lambda: None)
    app: Any = SimpleNamespace(host=host)
    slots: Any = SimpleNamespace(table=lambda: full, where="store 'file'")
    reader, writer = os.pipe()
    try:
        with pytest.raises(StorageError, match=f"^the store has {MAX_SLOTS} slots, which is the maximum$"):
            recovery_key.make(slots, dek, recovery_delivery(app, slots, writer if to_descriptor else None))
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
    finally:
        os.close(reader)
        os.close(writer)
    assert shown == []
