"""The file format of encrypted stores, and its cryptography (``docs/file-format.md``).

Public for storage backends that write the format themselves (``at_rest=BACKEND``); every other plugin needs only
:mod:`vault_core.api`. It is frozen separately, in ``tests/vlt_api.txt``. Everything here is pure: nothing prompts, and
nothing reads or writes a file.

Importing this package is cheap: a name is loaded at its first use, and ``cryptography`` with the first primitive.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # "X as X" tells type checkers that X is public
    # isort: off
    from vault_core.vlt.encoding import (
        NewerFormat as NewerFormat,
        canonical as canonical,
        fields as fields,
        from_base64 as from_base64,
        integer as integer,
        lp as lp,
        parse_canonical as parse_canonical,
        to_base64 as to_base64,
    )
    from vault_core.vlt.kdf import Argon2id as Argon2id
    from vault_core.vlt.keeper import KeySlots as KeySlots, SlotKeeper as SlotKeeper
    from vault_core.vlt.primitives import (
        SEALED_EXTRA as SEALED_EXTRA,
        Forged as Forged,
        decrypt as decrypt,
        encrypt as encrypt,
        hkdf as hkdf,
        mac as mac,
        same as same,
        seal as seal,
        unseal as unseal,
    )
    from vault_core.vlt.slot import NewSlot as NewSlot, Slot as Slot
    from vault_core.vlt.slot_table import SlotTable as SlotTable

_MODULES = {
    "encoding": "NewerFormat canonical fields from_base64 integer lp parse_canonical to_base64",
    "kdf": "Argon2id",
    "keeper": "KeySlots SlotKeeper",
    "primitives": "SEALED_EXTRA Forged decrypt encrypt hkdf mac same seal unseal",
    "slot": "NewSlot Slot",
    "slot_table": "SlotTable",
}
"""A module to the public names that it defines."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted(_HOMES)

if not TYPE_CHECKING:  # type checkers know the names, and report others

    def __getattr__(name: str) -> object:
        """Import a public name at its first use, and keep it: reading a large store uses a name thousands of times."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = found = getattr(import_module(f"vault_core.vlt.{_HOMES[name]}"), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
