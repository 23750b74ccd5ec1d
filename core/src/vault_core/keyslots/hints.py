"""Errors and hints about a store: command lines for it, and how to get into it."""

from vault_core.api import StoreContext
from vault_core.errors import StorageUnavailable
from vault_core.settings import DEFAULTS
from vault_core.vlt.slot_table import SlotTable


def on_store(ctx: StoreContext, command: str) -> str:
    """A command line for the store of a context."""
    backend = "" if ctx.store in ("", DEFAULTS["backend"]) else f" --backend {ctx.store}"
    return f"awsv {command}{backend}"


def other_ways(ctx: StoreContext, table: SlotTable) -> str:
    """What opens the store besides a passphrase: the hint after a wrong one. Slot types are public."""
    if table.of_type("recovery"):
        return on_store(ctx, "passwd --recovery")
    others = [slot.describe() for slot in table.slots if slot.type != "passphrase"]
    if others:
        return f"the only other way in is {' or '.join(others)}: check its sources"
    return "no other way in exists (no recovery key was made): find the passphrase, or restore from a backup"


def missing_store(ctx: StoreContext) -> StorageUnavailable:
    """The error for a store that does not exist yet."""
    return StorageUnavailable(f"store {ctx.store!r} does not exist yet", hint=on_store(ctx, "add PROFILE"))
