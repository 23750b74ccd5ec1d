"""Which passphrase sources the slots of a store may use before the store is authenticated.

A slot names the source that keeps its key, and a forged file can name any source. So a slot may use a source only if
the settings name it, or if this machine has seen it in that store's own slots, authenticated by the data key. The state
folder has one small file for each store with such slots. Nothing in it is secret.
"""

import json
from contextlib import suppress
from pathlib import Path

from vault_core import files
from vault_core.api import StoreContext
from vault_core.vlt.slot_table import SlotTable

_LIMIT = 4096
"""Bytes; eight slots of four sources need less."""


def may_be_asked(ctx: StoreContext, store: bytes) -> frozenset[str]:
    """The names of the sources that slots of this store may use."""
    return frozenset(ctx.sources) | _read(_path(ctx, store))


def remember(ctx: StoreContext, table: SlotTable) -> None:
    """Allow the sources that these slots name, besides those named before: an older copy still opens.

    If this cannot be written down, the next command's hint says how to name the source.
    """
    path, named = _path(ctx, table.store), frozenset(source for slot in table.slots for source in slot.sources)
    known = _read(path)
    if named <= known:
        return
    with suppress(OSError):
        files.replace(path, json.dumps(sorted(known | named)).encode())


def _path(ctx: StoreContext, store: bytes) -> Path:
    return ctx.state_dir / "sources" / f"{store.hex()}.json"


def _read(path: Path) -> frozenset[str]:
    """Empty if there is no file, or if it is not one of ours."""
    try:
        names = json.loads(files.read(path, limit=_LIMIT, follow=False))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
