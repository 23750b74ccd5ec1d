"""The open file store: entries of one encrypted file, read without a lock and changed under one.

The passphrase is asked for at most once, at the first need, and never while the lock is held. The index is decrypted
once per state of the file; reading one entry opens no other.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from vault_core.api import (
    ABSENT,
    ANY,
    Context,
    Expect,
    Item,
    Secret,
    StorageBackend,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    StorageError,
    StorageUnavailable,
    Version,
    sealing,
)
from vault_plugin_file import awsvault, container
from vault_plugin_file.disk import LockedFile, SafeFile, Unconfirmed
from vault_plugin_file.plugin import STORE_NAME

_TRIES = 5  # a write starts again when the store was created or got another key meanwhile

_Entries = dict[str, container.Entry]
_Change = Callable[["_Opened"], _Entries | None]


@dataclass(frozen=True, slots=True)
class _Opened:
    """One state of the file, proven and readable."""

    data: bytes
    table: sealing.SlotTable
    dek: Secret
    epoch: int
    entries: _Entries


class _NeedsUnlock(Exception):
    """The key that we have is not this file's; nobody may be asked while the lock is held."""


class FileBackend(StorageBackend):
    """The store in one folder.

    :param folder: absolute; made at the first ``put``.
    :param cost: of the key derivation of a store that is created here; None means the default.
    """

    def __init__(self, ctx: Context, folder: Path, *, cost: sealing.Argon2id | None = None) -> None:
        self._ctx = ctx
        self._file = SafeFile(folder, STORE_NAME, limit=container.MAX_FILE)
        self._where = str(self._file.path)
        self._cost = cost
        self._key: tuple[bytes, Secret] | None = None  # store identity, DEK
        self._seen: _Opened | None = None
        self._told = False

    # -- the four methods ----------------------------------------------------------------------------------------------

    def get(self, key: str) -> Item | None:
        opened = self._read()
        entry = opened.entries.get(key) if opened else None
        if opened is None or entry is None:
            return None
        try:
            value = container.open_entry(opened.table, opened.dek, key, entry)
        except ValueError:
            raise StorageCorrupt(
                f"entry {key} of {self._where} is damaged: it was changed, or belongs to another name or version",
                hint="the other entries are not affected: add this one again, or restore the store from a backup",
            ) from None
        return Item(value=value, version=_version(entry))

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        if not container.is_name(key) or not value:
            raise StorageError(f"not a key and a value that a store keeps: {key!a:.80}")

        def change(opened: _Opened) -> _Entries:
            self._check_expected(key, opened.entries.get(key), expect)
            entry = container.seal_entry(opened.table, opened.dek, key, opened.epoch + 1, value)
            return {**opened.entries, key: entry}

        if expect not in (ANY, ABSENT) and self._file.read() is None:
            self._check_expected(key, None, expect)
        return _version(self._update(change, create=True).entries[key])

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        found = False

        def change(opened: _Opened) -> _Entries | None:
            nonlocal found
            self._check_expected(key, opened.entries.get(key), expect)
            found = key in opened.entries
            rest = {name: entry for name, entry in opened.entries.items() if name != key}
            return rest if found else None

        if self._file.read() is None:
            self._check_expected(key, None, expect)
            return False
        self._update(change, create=False)
        return found

    def keys(self) -> Iterator[str]:
        opened = self._read()
        return iter(sorted(opened.entries) if opened else ())

    def close(self) -> None:
        self._key = self._seen = None

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self) -> _Opened | None:
        data = self._file.read()
        if data is None:
            self._tell_missing()
            return None
        return self._decode(data, ask=True)

    def _decode(self, data: bytes, *, ask: bool) -> _Opened:
        if self._seen is not None and self._seen.data == data:
            return self._seen
        try:
            envelope = container.parse(data)
        except ValueError as error:
            self._refuse(error)
        dek = self._unlock(envelope, ask)
        try:
            entries = container.decrypt(envelope, dek)
        except ValueError as error:
            self._refuse(error)
        self._seen = _Opened(data, envelope.table, dek, envelope.epoch, entries)
        return self._seen

    def _unlock(self, envelope: container.Envelope, ask: bool) -> Secret:
        table = envelope.table
        if self._key and self._key[0] == table.store and envelope.made_with(self._key[1]):
            return self._key[1]
        if not ask:
            raise _NeedsUnlock
        self._key = (table.store, table.open(self._ctx, self._where))
        return self._key[1]

    def _refuse(self, error: ValueError) -> NoReturn:
        if isinstance(error, container.Foreign):
            raise StorageCorrupt(
                f"{self._where} is not a store of awsv: {error}",
                hint="move it away, or set AWS_VAULT_FILE_DIR to another folder",
            ) from None
        if isinstance(error, sealing.NewerFormat):
            raise StorageCorrupt(
                f"{self._where} was written by a newer version of awsv: {error}", hint="update awsv"
            ) from None
        raise StorageCorrupt(f"{self._where} is damaged: {error}", hint="restore it from a backup") from None

    # -- writing -------------------------------------------------------------------------------------------------------

    def _update(self, change: _Change, *, create: bool) -> _Opened:
        """Apply a change to whatever state the file is in once the lock is held."""
        self._refuse_foreign_folder()
        fresh: tuple[sealing.SlotTable, Secret] | None = None
        for _ in range(_TRIES):
            data = self._file.read()
            if data is not None:
                self._decode(data, ask=True)
            elif fresh is None and create:
                fresh = sealing.SlotTable.create(self._ctx, self._where, cost=self._cost)
            try:
                with self._file.locked(self._ctx.check) as file:
                    return self._rewrite(file, change, fresh)
            except _NeedsUnlock:
                continue
        raise StorageUnavailable(f"{self._where} keeps changing its key", hint="repeat the command")

    def _rewrite(self, file: LockedFile, change: _Change, fresh: tuple[sealing.SlotTable, Secret] | None) -> _Opened:
        data = file.read()
        if data is not None:
            opened = self._decode(data, ask=False)
        elif fresh is not None:
            opened = _Opened(b"", *fresh, epoch=0, entries={})
        else:
            raise StorageUnavailable(f"{self._where} disappeared", hint="look where it went before you write again")
        entries = change(opened)
        return opened if entries is None else self._write(file, opened, entries)

    def _write(self, file: LockedFile, opened: _Opened, entries: _Entries) -> _Opened:
        epoch = opened.epoch + 1
        if epoch > container.MAX_EPOCH:
            raise StorageError(f"{self._where} was written as often as its format can count", hint="make a new store")
        try:
            data = container.encode(opened.table, opened.dek, epoch, entries)
        except ValueError as error:
            raise StorageError(
                f"{self._where} is full: {error}", hint="remove entries, or use a second store"
            ) from None
        try:
            file.replace(data)
        except Unconfirmed as error:
            self._tell_outcome(file, data, epoch, str(error))
        self._key = (opened.table.store, opened.dek)
        self._seen = _Opened(data, opened.table, opened.dek, epoch, entries)
        return self._seen

    def _tell_outcome(self, file: LockedFile, data: bytes, epoch: int, reason: str) -> NoReturn:
        """The write failed when the new file may already have been in place: say which one is on disk."""
        try:
            found = file.read()
        except StorageError:
            state = "what is on disk now cannot be read"
        else:
            state = f"the new state (write {epoch}) is on disk" if found == data else "the old state is on disk"
        raise StorageUnavailable(
            f"writing {self._where} failed at the end ({reason.lower()}): {state}, and may not survive a power failure",
            hint="check the disk, then look whether the change is there before you repeat it",
        ) from None

    def _check_expected(self, key: str, entry: container.Entry | None, expect: Expect) -> None:
        if expect is ANY or (expect is ABSENT and entry is None):
            return
        if expect is ABSENT:
            raise StorageConflict(f"{key} exists already in {self._where}")
        if entry is None:
            raise StorageConflict(f"{key} is not there any more in {self._where}")
        if _version(entry) != expect:
            raise StorageConflict(f"{key} was changed meanwhile in {self._where}")

    # -- aws-vault's items ---------------------------------------------------------------------------------------------

    def _refuse_foreign_folder(self) -> None:
        folder = self._file.folder
        if count := awsvault.count_items(folder):
            raise StorageDenied(
                f"{folder} holds {_items(count)} of aws-vault, and awsv never writes among them",
                hint=f"for each profile: {self._move_in(folder)}",
            )

    def _tell_missing(self) -> None:
        """A read of a store that does not exist: if aws-vault's items are around, say where and how they move in."""
        if self._told:
            return
        self._told = True
        home = self._ctx.environ.get("HOME")
        folders = [self._file.folder, *([Path(home, ".awsvault", "keys")] if home else [])]
        for folder in folders:
            if count := awsvault.count_items(folder):
                self._ctx.notify(
                    f"no store at {self._where} yet, but {_items(count)} of aws-vault in {folder}; "
                    f"for each profile: {self._move_in(folder)}"
                )
                return

    def _move_in(self, items: Path) -> str:
        ours = self._file.folder
        setting = ""
        if ours == items:
            ours = self._ctx.data_dir if self._ctx.data_dir != items else items.with_name(f"{items.name}-awsv")
            setting = f"env AWS_VAULT_FILE_DIR={shlex.quote(str(ours))} "
        return f"aws-vault exec -n PROFILE -- {setting}awsv add --env PROFILE"


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _version(entry: container.Entry) -> Version:
    """The write that made the entry and a piece of its random salt, so that no two states share one, forks included."""
    return f"{entry.version}-{entry.sealed[:12]}"
