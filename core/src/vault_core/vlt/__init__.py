"""The file format of encrypted stores, and its cryptography (``docs/file-format.md``).

Public for storage backends that write the format themselves (``at_rest=BACKEND``); every other plugin needs only
:mod:`vault_core.api`. It is frozen separately, in ``tests/vlt_api.txt``. Everything here is pure: nothing prompts, and
nothing reads or writes a file.

Importing this package is cheap: a name is loaded at its first use, and ``cryptography`` with the first primitive.
"""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "SEALED_EXTRA",
    "Argon2id",
    "Forged",
    "KeySlots",
    "NewSlot",
    "NewerFormat",
    "Slot",
    "SlotKeeper",
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
    "same",
    "seal",
    "to_base64",
    "unseal",
]

if TYPE_CHECKING:
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
    from vault_core.vlt.keeper import KeySlots, SlotKeeper
    from vault_core.vlt.primitives import SEALED_EXTRA, Forged, decrypt, encrypt, hkdf, mac, same, seal, unseal
    from vault_core.vlt.slot import NewSlot, Slot
    from vault_core.vlt.slot_table import SlotTable
else:
    _HOMES = ("keeper", "encoding", "kdf", "slot", "slot_table", "primitives")  # the last one loads cryptography

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        homes = (vars(importlib.import_module(f"{__name__}.{home}")) for home in _HOMES)
        value = next(home[name] for home in homes if name in home)
        globals()[name] = value  # reading a large store uses a name thousands of times
        return value
