"""The operations of ``awsv file``: create, verify, open a backup, restore, rekey and accept.

Each leaves either the old state or the new one, even if the process is killed.
"""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from vault_core.api import Cancelled, StorageConflict, StorageCorrupt, StorageError, StorageUnavailable
from vault_core.vlt import SlotTable
from vault_plugin_file import awsvault, vlt_file
from vault_plugin_file.atomic_file import LockedFile, Unconfirmed
from vault_plugin_file.backup import read_copy
from vault_plugin_file.location import STORE_NAME
from vault_plugin_file.rollback_guard import Memory, RollbackStatus
from vault_plugin_file.store import State, StoreFile, state_of, valid

ANOTHER_BACKUP = "try a different backup file"


def create(store: StoreFile) -> State:
    """Create an empty store.

    :raises StorageConflict: the store exists.
    """
    awsvault.refuse_among(store.ctx, store.file.folder)
    taken = StorageConflict(f"there is already a store at {store.where}", hint="awsv file status")
    if store.look()[0] is not None:
        raise taken

    def empty(state: State) -> State:
        if state.epoch:
            raise taken
        return state

    return store.update(empty, create=True)


def need(store: StoreFile) -> State:
    """The store's state.

    :raises StorageUnavailable: there is no store.
    """
    state = store.read()
    if state is None:
        raise store.missing()
    return state


def open_copy(store: StoreFile, path: Path) -> State:
    """Unlock and decrypt a backup like the store itself.

    :raises StorageCorrupt: the file is damaged, or not a backup.
    """
    data = read_copy(path)
    with valid(str(path), ANOTHER_BACKUP):
        envelope = vlt_file.parse(data)
        try:
            dek = store.key_slots.open_copy(envelope.table, str(path))
        except StorageCorrupt as error:
            raise StorageCorrupt(error.message, hint=ANOTHER_BACKUP) from None
        return State(data, envelope.table, dek, envelope.epoch, vlt_file.decrypt(envelope, dek).whole())


def damaged_entries(state: State) -> list[str]:
    """The sorted names of the entries that do not open. The rest of the state is authenticated already."""
    return sorted(name for name, entry in state.entries.items() if not _opens(state, name, entry))


def _opens(state: State, name: str, entry: vlt_file.Entry) -> bool:
    try:
        vlt_file.open_entry(state.table, state.dek, name, entry)
    except ValueError:
        return False
    return True


def require_whole(state: State, where: str, hint: str) -> None:
    """:raises StorageCorrupt: some entries are damaged; the message names them."""
    damaged = damaged_entries(state)
    if damaged:
        count = f"{len(damaged)} of {len(state.entries)} entries"
        raise StorageCorrupt(f"{where} is damaged: {count} do not open: {', '.join(damaged)}", hint=hint)


def rekey(store: StoreFile, may_drop: Callable[[Sequence[str]], bool]) -> tuple[State, SlotTable]:
    """Replace the data key: encrypt every entry again, and wrap the new key in every slot. No secret is asked twice.

    :param may_drop: gets the descriptions of the slots that could not be unlocked; whether they may be dropped.
    :returns: the new state, and the old slot table.
    :raises Cancelled: they may not.
    """
    with store.key_slots.remembering():
        old = need(store)
    require_whole(old, store.where, "remove these entries, or restore them from a backup, first")
    table, dek, dropped = store.key_slots.rekey(old.table)
    if dropped and not may_drop([slot.describe() for slot in dropped]):
        store.key_slots.forget_kept(table)
        raise Cancelled("nothing was changed")

    def reseal(state: State) -> State:
        if state.table != old.table:
            raise StorageConflict(f"another process changed the slots of {store.where}; nothing was changed")
        entries = {}
        for name, entry in state.entries.items():
            value = vlt_file.open_entry(state.table, state.dek, name, entry)
            entries[name] = vlt_file.seal_entry(table, dek, name, state.epoch + 1, value)
        return state._replace(table=table, dek=dek, entries=entries)

    new = store.update(reseal, create=False)
    store.key_slots.forget_kept(old.table)
    return new, old.table


def restore(
    store: StoreFile, path: Path, may_replace: Callable[[], bool], changing: AbstractContextManager[None]
) -> tuple[State, Path | None]:
    """Replace the store with a backup, as its newest write, so that no machine takes it for an older copy.

    :param may_replace: called if the store exists; whether it may be replaced.
    :param changing: entered around the change, which may change the stored keys.
    :returns: the new state, and the path at which the old file was kept.
    :raises StorageCorrupt: the backup is damaged; nothing was changed.
    :raises Cancelled: the store may not be replaced.
    """
    awsvault.refuse_among(store.ctx, store.file.folder)
    copy = open_copy(store, path)
    require_whole(copy, str(path), f"{ANOTHER_BACKUP}; nothing was changed")
    if store.file.read() is not None and not may_replace():
        raise Cancelled("nothing was changed")
    with changing, store.file.locked(store.ctx.check) as file:
        memory = store.rollback_guard.read(copy.table.store)
        data = file.read()
        kept = _keep(store, file, data)
        if memory.here - {copy.table.store}:
            store.rollback_guard.forget()  # first: a crash after this leaves a store without an anchor, and no alarm
        epoch = _newest(copy, memory, data)
        return store.write(file, copy._replace(epoch=epoch)), kept


def _keep(store: StoreFile, file: LockedFile, data: bytes | None) -> Path | None:
    """Keep the old file next to the store. Its name has the time and random digits, so it never replaces another."""
    if data is None:
        return None
    name = f"{STORE_NAME}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(4).hex()}.old"
    try:
        file.keep(name, data)
    except Unconfirmed as error:
        raise StorageUnavailable(
            f"the old file could not be kept as {name} ({str(error).lower()}); the store was not changed",
            hint="check the disk, then repeat the command",
        ) from None
    return store.file.folder / name


def _newest(copy: State, memory: Memory, data: bytes | None) -> int:
    """The highest known epoch of the backup's store."""
    states = [copy.store_state, *([memory.newest] if memory.newest else [])]
    with contextlib.suppress(ValueError):  # the file is damaged, and so has no valid epoch
        states += [state_of(vlt_file.parse(data))] if data is not None else []
    return max(state.epoch for state in states if state.store == copy.table.store)


def accept(store: StoreFile, flag: RollbackStatus, changing: AbstractContextManager[None]) -> str:
    """Record the current file in the anchors, because the user says that it is the right one.

    :param flag: what the user expects it to be: older, a fork, or replaced (which includes gone).
    :param changing: entered around the change, after which the keys of the current file are used.
    :returns: a message that says what was done.
    :raises StorageConflict: the file is something else.
    """
    if not store.rollback_guard.enabled:
        return "the anchor is off: nothing is recorded, so there is nothing to accept"
    envelope, status = store.glance()
    if status.trusted and not store.rollback_guard.damaged:
        return f"there is nothing to accept: {store.where} is as this machine has recorded it, or newer"
    needed = RollbackStatus.REPLACED if status is RollbackStatus.GONE else status
    if needed is not flag and not status.trusted:
        raise StorageConflict(
            f"{store.where} is not what you accept ({flag.value}), but {status.value}",
            hint=f"to accept that: {store.accepting(needed)}",
        )
    if envelope is None:
        with changing:
            store.rollback_guard.forget()
        return f"the store that was at {store.where} is forgotten; 'awsv add' or 'awsv file init' creates a new one"
    state = store.decode(envelope, ask=True)
    with changing:
        store.rollback_guard.accept(state.store_state, flag)
    if not (left := store.glance()[1]).trusted:
        return (
            f"recorded which store is at {store.where}, but the state of that store is not the newest ({left.value});"
            f" to accept that, too: {store.accepting(left)}"
        )
    return f"recorded {store.where} as it is now (write {state.epoch})"


def check_backup_target(store: StoreFile, path: Path) -> None:
    """:raises StorageError: the path is a folder, or the store itself."""
    if path.is_dir():
        raise StorageError(
            f"{path} is a folder", hint=f"name a file in it: {store.command('backup', path / STORE_NAME)}"
        )
    if path.exists() and store.file.path.exists() and path.samefile(store.file.path):
        raise StorageError(f"{path} is the store itself", hint="choose another name for the backup")
