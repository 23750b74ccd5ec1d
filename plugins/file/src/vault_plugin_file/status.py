"""What can be told of a store without opening it: nobody is asked, and nothing is proven."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from vault_core import vlt
from vault_plugin_file import vlt_file
from vault_plugin_file.rollback_guard import Verdict
from vault_plugin_file.store import StoreFile

_ANCHOR = {
    Verdict.UNKNOWN: "nothing remembered yet",
    Verdict.SAME: "this is the newest state that this machine has seen",
    Verdict.NEWER: "newer than this machine has seen",
    Verdict.OLDER: "OLDER than this machine has seen: awsv file accept --older, if that is meant",
    Verdict.FORK: "NOT the copy that this machine has seen last: awsv file accept --fork, if that is meant",
    Verdict.REPLACED: "ANOTHER store than this machine remembers: awsv file accept --replaced, if that is meant",
    Verdict.GONE: "GONE: awsv file restore BACKUP, or awsv file accept --replaced to start anew",
}


def status(store: StoreFile) -> dict[str, Any]:
    """The facts, as ``awsv file status --json`` prints them (plugins/file/README.md)."""
    envelope, verdict = store.glance()
    anchor: dict[str, Any] = {"state": verdict.value, "path": str(store.anchor.path)}
    if store.anchor.damaged:
        anchor["state"] = "damaged"
    if not store.anchor.enabled:
        anchor["state"] = "off"
    facts: dict[str, Any] = {"path": store.where, "exists": envelope is not None, "anchor": anchor}
    if envelope is None:
        return facts
    slots = [_slot(slot.to_json()) for slot in envelope.table.slots]
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


def _slot(slot: dict[str, Any]) -> dict[str, Any]:
    parts = slot.get("factors", [slot])
    kdfs = [part["kdf"] for part in parts if "kdf" in part]
    return {
        "id": slot["id"],
        "type": slot["type"],
        "label": slot["label"],
        "sources": [part["source"] for part in parts if "source" in part],
        "kdf": [{name: value for name, value in kdf.items() if name != "salt"} for kdf in kdfs],
    }


def _mode(path: Path) -> str:
    try:
        return f"{stat.S_IMODE(path.stat().st_mode):04o}"
    except OSError:
        return "unknown"


def lines(facts: dict[str, Any]) -> list[str]:
    """The facts for a person, but for the slots."""
    anchor = facts["anchor"]["state"]
    told = next((text for verdict, text in _ANCHOR.items() if verdict.value == anchor), anchor)
    found = [f"Store:        {facts['path']}"]
    if not facts["exists"]:
        return [*found, "              no file is there", f"Anchor:       {told}"]
    recovery = "with recovery key" if facts["recovery"] else "no recovery"
    return [
        *found,
        f"Format:       {facts['format']}, {counted(facts['bytes'], 'byte')}, {counted(facts['writes'], 'write')}",
        f"Permissions:  folder {facts['folder_mode']}, file {facts['file_mode']}",
        f"Ways in:      {facts['ways_in']} ({recovery})",
        f"Anchor:       {told}",
    ]


def row(slot: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """One slot for a person: id, type, label, sources, what a guess costs."""
    costs = ", ".join(_cost(kdf) for kdf in slot["kdf"]) or "none needed (a random key)"
    return slot["id"], slot["type"], slot["label"] or "-", ", ".join(slot["sources"]) or "-", costs


def _cost(kdf: dict[str, Any]) -> str:
    match kdf:
        case {"alg": "argon2id", "m": memory, "t": passes, "p": lanes}:
            today = vlt.Argon2id()
            less = " (less than new slots get)" if memory * passes < today.memory * today.passes else ""
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
