"""What can be read from a store without unlocking it. Nothing is authenticated."""

import stat
from pathlib import Path
from typing import Any

from vault_core import vlt
from vault_plugin_file import vlt_file
from vault_plugin_file.rollback_guard import RollbackStatus
from vault_plugin_file.store import StoreFile

_ANCHOR = {
    RollbackStatus.UNKNOWN: "nothing recorded yet",
    RollbackStatus.SAME: "this is the newest state that this machine has seen",
    RollbackStatus.NEWER: "newer than this machine has seen",
    RollbackStatus.OLDER: "OLDER than this machine has seen; if that is intended: awsv file accept --older",
    RollbackStatus.FORK: "a FORK of the copy that this machine saw last; if that is intended: awsv file accept --fork",
    RollbackStatus.REPLACED: "a DIFFERENT store than recorded; if that is intended: awsv file accept --replaced",
    RollbackStatus.GONE: "GONE: awsv file restore BACKUP, or awsv file accept --replaced to start over",
}


def status(store: StoreFile) -> dict[str, Any]:
    """The facts, as ``awsv file status --json`` prints them (plugins/file/README.md)."""
    envelope, rollback_status = store.glance()
    anchor: dict[str, Any] = {"state": rollback_status.value, "path": str(store.rollback_guard.path)}
    if store.rollback_guard.damaged:
        anchor["state"] = "damaged"
    if not store.rollback_guard.enabled:
        anchor["state"] = "off"
    facts: dict[str, Any] = {"path": store.where, "exists": envelope is not None, "anchor": anchor}
    if envelope is None:
        return facts
    slots = [_slot(slot) for slot in envelope.table.slots]
    return facts | {
        "format": vlt_file.VERSION,
        "bytes": len(envelope.data),
        "writes": envelope.epoch,
        "file_mode": _mode(store.file.path),
        "folder_mode": _mode(store.file.folder),
        "ways_in": len(slots),
        "recovery": any(slot["type"] == "recovery" for slot in slots),
        "slots": slots,
    }


def _slot(slot: vlt.Slot) -> dict[str, Any]:
    kdfs = [part["kdf"] for part in slot.head.get("factors", [slot.head]) if "kdf" in part]
    costs = [{name: value for name, value in kdf.items() if name != "salt"} for kdf in kdfs]
    return {"id": slot.id, "type": slot.type, "label": slot.label, "sources": list(slot.sources), "kdf": costs}


def _mode(path: Path) -> str:
    try:
        return f"{stat.S_IMODE(path.stat().st_mode):04o}"
    except OSError:
        return "unknown"


def lines(facts: dict[str, Any]) -> list[str]:
    """The facts as lines of text, without the slots."""
    state = facts["anchor"]["state"]
    anchor = next((text for status, text in _ANCHOR.items() if status.value == state), state)
    store = f"Store:        {facts['path']}"
    if not facts["exists"]:
        return [store, "              the file does not exist", f"Anchor:       {anchor}"]
    recovery = "with recovery key" if facts["recovery"] else "no recovery key"
    return [
        store,
        f"Format:       {facts['format']}, {counted(facts['bytes'], 'byte')}, {counted(facts['writes'], 'write')}",
        f"Permissions:  folder {facts['folder_mode']}, file {facts['file_mode']}",
        f"Slots:        {facts['ways_in']} ({recovery})",
        f"Anchor:       {anchor}",
    ]


def row(slot: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """One slot as a row of the table: id, type, label, sources, cost of a guess."""
    costs = ", ".join(_cost(kdf) for kdf in slot["kdf"]) or "- (a random key)"
    return slot["id"], slot["type"], slot["label"] or "-", ", ".join(slot["sources"]) or "-", costs


def _cost(kdf: dict[str, Any]) -> str:
    match kdf:
        case {"alg": "argon2id", "m": memory, "t": passes, "p": lanes}:
            today = vlt.Argon2id()
            less = " (less than new slots)" if memory * passes < today.memory * today.passes else ""
            return (
                f"argon2id {memory / 1024:g} MiB, {counted(passes, 'pass', 'passes')}, {counted(lanes, 'lane')}{less}"
            )
        case {"alg": "scrypt", "n": cost, "r": block, "p": lanes}:
            return f"scrypt N={cost}, r={block}, p={lanes}"
        case {"alg": "pbkdf2-sha256", "rounds": rounds}:
            return f"pbkdf2-sha256 {rounds:,} rounds"
    return str(kdf["alg"])


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 write``, ``2,000 writes``, ``2 entries``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
