"""What ``awsv file`` does to a store: make it, check it, copy it, bring it back, give it another data key.

Each of these leaves the old state or the new one, whenever it is ended.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from vault_core.api import Cancelled, StorageConflict, StorageCorrupt, StorageError, StorageUnavailable
from vault_core.vlt import SlotTable
from vault_plugin_file import awsvault, vlt_file
from vault_plugin_file.atomic_file import LockedFile, Unconfirmed
from vault_plugin_file.backup import read_copy
from vault_plugin_file.location import STORE_NAME
from vault_plugin_file.rollback_guard import Memory, Verdict
from vault_plugin_file.store import State, StoreFile, mark_of, refuse

ANOTHER_BACKUP = "take another backup"


def create(store: StoreFile) -> State:
    """Make an empty store.

    :raises StorageConflict: there is one.
    """
    awsvault.refuse_among(store.ctx, store.file.folder)
    taken = StorageConflict(f"there is a store at {store.where} already", hint="awsv file status")
    if store.look()[0] is not None:
        raise taken

    def empty(state: State) -> State:
        if state.epoch:
            raise taken
        return state

    return store.update(empty, create=True)


def need(store: StoreFile) -> State:
    """The store's state.

    :raises StorageUnavailable: there is none.
    """
    state = store.read()
    if state is None:
        raise store.missing()
    return state


def open_copy(store: StoreFile, path: Path) -> State:
    """Open a backup, as if it were the store.

    :raises StorageCorrupt: it is damaged, or none.
    """
    data = read_copy(path)
    try:
        envelope = vlt_file.parse(data)
        dek = store.key_slots.open_copy(envelope.table, str(path))
        return State(data, envelope.table, dek, envelope.epoch, vlt_file.decrypt(envelope, dek).whole())
    except ValueError as error:
        refuse(str(path), error, ANOTHER_BACKUP)
    except StorageCorrupt as error:
        raise StorageCorrupt(error.message, hint=ANOTHER_BACKUP) from None


def damaged_entries(state: State) -> list[str]:
    """The names of the entries that do not open, sorted. Everything else of the state is proven already."""
    return sorted(name for name, entry in state.entries.items() if not _opens(state, name, entry))


def _opens(state: State, name: str, entry: vlt_file.Entry) -> bool:
    try:
        vlt_file.open_entry(state.table, state.dek, name, entry)
    except ValueError:
        return False
    return True


def require_whole(state: State, where: str, hint: str) -> None:
    """:raises StorageCorrupt: some entries are damaged; it names them."""
    damaged = damaged_entries(state)
    if damaged:
        count = f"{len(damaged)} of {len(state.entries)} entries"
        raise StorageCorrupt(f"{where} is damaged: {count} do not open: {', '.join(damaged)}", hint=hint)


def rekey(store: StoreFile, may_drop: Callable[[Sequence[str]], bool]) -> tuple[State, SlotTable]:
    """A new data key: every entry is sealed again, every slot made again. Who opens the store here is asked once.

    :param may_drop: whether the slots that could not be opened, described, may go.
    :returns: the new state, and the slots as they were.
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
            raise StorageConflict(f"the slots of {store.where} were changed meanwhile; nothing was changed")
        entries = {}
        for name, entry in state.entries.items():
            value = vlt_file.open_entry(state.table, state.dek, name, entry)
            entries[name] = vlt_file.seal_entry(table, dek, name, state.epoch + 1, value)
        return replace(state, table=table, dek=dek, entries=entries)

    new = store.update(reseal, create=False)
    store.key_slots.forget_kept(old.table)
    return new, old.table


def restore(
    store: StoreFile, path: Path, may_replace: Callable[[], bool], changing: AbstractContextManager[None]
) -> tuple[State, Path | None]:
    """Put a backup in the place of the store, as its newest write, so that no machine takes it for an older copy.

    :param may_replace: asked where there is a store.
    :param changing: entered around the change: other keys may be there afterwards.
    :returns: the new state, and where the old file was kept.
    :raises StorageCorrupt: the backup is damaged; nothing was changed.
    :raises Cancelled: it may not.
    """
    awsvault.refuse_among(store.ctx, store.file.folder)
    copy = open_copy(store, path)
    require_whole(copy, str(path), f"{ANOTHER_BACKUP}; nothing was changed")
    if store.file.read() is not None and not may_replace():
        raise Cancelled("nothing was changed")
    with changing, store.file.locked(store.ctx.check) as file:
        memory = store.anchor.read(copy.table.store)
        data = file.read()
        kept = _keep(store, file, data)
        if memory.here - {copy.table.store}:
            store.anchor.forget()  # first: a crash from here on leaves a store that is not remembered, and no alarm
        epoch = _newest(copy, memory, data)
        return store.write(file, replace(copy, epoch=epoch)), kept


def _keep(store: StoreFile, file: LockedFile, data: bytes | None) -> Path | None:
    """Keep the old file beside, under the time and a few random digits: it never replaces another one."""
    if data is None:
        return None
    name = f"{STORE_NAME}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(4).hex()}.old"
    try:
        file.keep(name, data)
    except Unconfirmed as error:
        raise StorageUnavailable(
            f"the old file could not be kept as {name} ({str(error).lower()}); the store is as it was",
            hint="check the disk, then repeat the command",
        ) from None
    return store.file.folder / name


def _newest(copy: State, memory: Memory, data: bytes | None) -> int:
    """The highest epoch of this store that we know of."""
    marks = [copy.mark, *([memory.newest] if memory.newest else [])]
    with contextlib.suppress(ValueError):  # damaged: its epoch means nothing
        marks += [mark_of(vlt_file.parse(data))] if data is not None else []
    return max(mark.epoch for mark in marks if mark.store == copy.table.store)


def accept(store: StoreFile, flag: Verdict, changing: AbstractContextManager[None]) -> str:
    """Remember what is there now, because a person says that it is meant.

    :param flag: what they say it is: older, a fork, or replaced (gone included).
    :param changing: entered around the change: the keys that are there now are the ones that count.
    :returns: what was done, for people.
    :raises StorageConflict: it is something else.
    """
    if not store.anchor.enabled:
        return "the anchor is off: nothing is remembered, and nothing needs to be accepted"
    envelope, verdict = store.glance()
    if verdict.trusted and not store.anchor.damaged:
        return f"there is nothing to accept: {store.where} is what this machine remembers, or newer"
    said = Verdict.REPLACED if verdict is Verdict.GONE else verdict
    if said is not flag and not verdict.trusted:
        raise StorageConflict(
            f"{store.where} is not what you say it is ({flag.value}), but {verdict.value}",
            hint=f"if that is what you want: {store.accepting(said)}",
        )
    if envelope is None:
        with changing:
            store.anchor.forget()
        return f"the store that was at {store.where} is forgotten; 'awsv add' or 'awsv file init' makes a new one"
    state = store.decode(envelope, ask=True)
    with changing:
        store.anchor.accept(state.mark, flag)
    if not (left := store.glance()[1]).trusted:
        return (
            f"{store.where} is the store that this machine remembers there, and {left.value}: {store.accepting(left)}"
        )
    return f"{store.where}, as it is now (write {state.epoch}), is what this machine remembers"


def check_backup_target(store: StoreFile, path: Path) -> None:
    """:raises StorageError: it is a folder, or the backup would replace the store itself."""
    if path.is_dir():
        raise StorageError(
            f"{path} is a folder", hint=f"name a file in it: {store.command('backup', path / STORE_NAME)}"
        )
    if path.exists() and store.file.path.exists() and path.samefile(store.file.path):
        raise StorageError(f"{path} is the store itself", hint="choose another name for the backup")
