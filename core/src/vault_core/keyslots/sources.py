"""Which passphrase sources the slots of a store may have asked before the store is proven.

A slot names the source that keeps its key, and anybody can write a name into a file. So a source is asked for a slot
only where the settings name it, or where this machine has seen it in that store's own slots, proven by the data key:
that is remembered in the state folder, one small file for each store that has such slots. Nothing in it is secret.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vault_core import files

if TYPE_CHECKING:
    from vault_core.api import Context
    from vault_core.vlt.slot_table import SlotTable

_LIMIT = 4096
"""Bytes; eight slots of four sources have less."""


def may_be_asked(ctx: Context, store: bytes) -> frozenset[str]:
    """The names of the sources that slots of this store may have asked."""
    return frozenset(ctx.sources) | _read(_path(ctx, store))


def remember(ctx: Context, table: SlotTable) -> None:
    """Have what these slots name be asked the next time, besides what was named before: an older copy opens as it did.

    Where that cannot be kept, the person is told the next time how to name it.
    """
    path, named = _path(ctx, table.store), frozenset(source for slot in table.slots for source in slot.sources)
    known = _read(path)
    if named <= known:
        return
    with suppress(OSError):
        files.make_folder(path.parent)
        files.replace(path, json.dumps(sorted(known | named)).encode())


def _path(ctx: Context, store: bytes) -> Path:
    return ctx.state_dir / "sources" / f"{store.hex()}.json"


def _read(path: Path) -> frozenset[str]:
    """Nothing where there is no file, or one that we have not written."""
    try:
        found = json.loads(files.read(path, limit=_LIMIT, follow=False))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return frozenset(name for name in found if isinstance(name, str)) if isinstance(found, list) else frozenset()
