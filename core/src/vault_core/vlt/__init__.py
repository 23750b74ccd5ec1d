"""Key derivation, key slots and sealed values: the only cryptography of the core (``docs/file-format.md``).

A storage plugin that encrypts by itself (``at_rest=BACKEND``) finds here what the core's own sealed stores are made of,
as ``from vault_core.api import sealing``. Importing this package costs nothing: a name is loaded when it is first used,
and ``cryptography`` with the first primitive.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "SEALED_EXTRA",
    "Argon2id",
    "Forged",
    "KdfUpgrade",
    "NewSlot",
    "NewerFormat",
    "Slot",
    "SlotTable",
    "canonical",
    "decrypt",
    "encrypt",
    "fields",
    "from_base64",
    "hkdf",
    "integer",
    "lp",
    "mac",
    "parse_canonical",
    "record_secrets",
    "same",
    "seal",
    "to_base64",
    "unseal",
]

if TYPE_CHECKING:
    from vault_core.keyslots.kdf_upgrade import KdfUpgrade
    from vault_core.keyslots.new_slot import NewSlot
    from vault_core.keyslots.replay import record_secrets
    from vault_core.vlt.encoding import (
        NewerFormat,
        canonical,
        fields,
        from_base64,
        integer,
        lp,
        parse_canonical,
        to_base64,
    )
    from vault_core.vlt.kdf import Argon2id
    from vault_core.vlt.primitives import SEALED_EXTRA, Forged, decrypt, encrypt, hkdf, mac, same, seal, unseal
    from vault_core.vlt.slot import Slot
    from vault_core.vlt.slot_table import SlotTable
else:
    _HOMES = {
        "Argon2id": "vlt.kdf",
        "NewSlot": "keyslots.new_slot",
        "KdfUpgrade": "keyslots.kdf_upgrade",
        "Slot": "vlt.slot",
        "SlotTable": "vlt.slot_table",
        "record_secrets": "keyslots.replay",
        **dict.fromkeys(
            ("SEALED_EXTRA", "Forged", "decrypt", "encrypt", "hkdf", "mac", "same", "seal", "unseal"), "vlt.primitives"
        ),
    }

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"vault_core.{_HOMES.get(name, 'vlt.encoding')}"), name)
        globals()[name] = value  # the next use finds it here, thousands in one reading of a large store
        return value
