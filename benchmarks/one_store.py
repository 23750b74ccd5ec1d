"""One process that opens a store through its key slot, so without a key derivation, and gets, puts or lists.

``python one_store.py FOLDER get|put|list REPEAT [OTHER]`` opens the store anew each time, as a command does, and prints
the seconds of each time and the peak memory of the process (KiB). With a second folder the two take turns, so that what
slows the machine down slows both. ``store.py`` starts it, and made the stores with :func:`make`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from vault_core import vlt
from vault_core.api import Secret
from vault_core.keyslots import new_slot
from vault_plugin_file import vlt_file
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

SOURCE = "keychain"
VALUE = Secret(json.dumps({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "x" * 40}))


def name(number: int) -> str:
    """An entry's name, as long as those of real profiles."""
    return f"credentials/customer-{number:05}-admin"


def make(folder: Path, entries: int) -> int:
    """A store with so many entries, and beside it the key of its key slot; its bytes."""
    ctx = FakeContext(folder)
    identity, dek = os.urandom(16), Secret(os.urandom(32))
    slot = new_slot.key(identity, ctx, SOURCE)
    table = vlt.SlotTable(identity, (slot.wrap(dek),))
    made = {name(i): vlt_file.seal_entry(table, dek, name(i), 1, VALUE) for i in range(entries)}
    data = vlt_file.encode(table, dek, 1, made)
    (folder / "store").mkdir(mode=0o700)
    (folder / "store" / "store.vlt").write_bytes(data)
    (folder / "store" / "store.vlt").chmod(0o600)
    [key] = ctx.kept.values()
    (folder / "key").write_bytes(key.reveal())
    return len(data)


def work(folder: Path, action: str, last: int) -> None:
    """Open the store and do one thing with it: with its last entry, which is as far away as any."""
    ctx = FakeContext(folder, factors={SOURCE: [(folder / "key").read_text()]})
    store = FileBackend(ctx, folder / "store")
    if action == "get":
        item = store.get(name(last))
        if item is None or item.value != VALUE:
            raise SystemExit(f"{name(last)} is not there")
    elif action == "put":
        store.put(name(last), VALUE)
    elif len(list(store.keys())) != last + 1:
        raise SystemExit("list: some are missing")


def peak_memory() -> int:
    """The most memory that this process has held, in KiB. On Linux ``ru_maxrss`` begins with the parent's."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    folders, action, repeat = [Path(path) for path in (sys.argv[1], *sys.argv[4:])], sys.argv[2], int(sys.argv[3])
    taken: list[list[float]] = [[] for _ in folders]
    for _ in range(repeat):
        for folder, seconds in zip(folders, taken, strict=True):
            start = time.perf_counter()
            work(folder, action, int(folder.name) - 1)
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": taken[0], "others": taken[1:], "memory": peak_memory()}))


if __name__ == "__main__":
    main()
