"""The store's file as one object: read without a lock, changed under one, and compared with its anchor.

The passphrase is asked for at most once, at the first need, and never while the lock is held. The index is decrypted
once per state of the file. A file that is older than what this machine remembers is read where a person sees the line
that says so, and not written; another store in the place of the one remembered is neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from vault_core.api import (
    Secret,
    StorageCorrupt,
    StorageDenied,
    StorageError,
    StorageUnavailable,
    StoreContext,
    command_line,
)
from vault_core.vlt import Argon2id, KeySlots, NewerFormat, SlotTable
from vault_plugin_file import vlt_file
from vault_plugin_file.atomic_file import LockedFile, SafeFile, Unconfirmed
from vault_plugin_file.location import STORE_NAME
from vault_plugin_file.rollback_guard import Anchor, Mark, Memory, Verdict

_TRIES = 5  # a write starts again when the store was created or got another key meanwhile

Entries = Mapping[str, vlt_file.Entry]


@dataclass(frozen=True, slots=True)
class State:
    """One state of the file, proven and readable."""

    data: bytes
    table: SlotTable
    dek: Secret
    epoch: int
    entries: Entries

    @property
    def mark(self) -> Mark:
        return Mark(self.table.store, self.epoch, vlt_file.header_mac(self.data))


Change = Callable[[State], State | None]
"""From the state under the lock to the one to write (its table, DEK and entries count), or None to leave it."""


class _NeedsUnlock(Exception):
    """The key that we have is not this file's; nobody may be asked while the lock is held."""


class StoreFile:
    """The store in one folder.

    :param folder: absolute; made at the first write.
    :param cost: of the key derivation of slots that are made here; None means the default.
    """

    def __init__(self, ctx: StoreContext, folder: Path, *, cost: Argon2id | None = None) -> None:
        self.ctx = ctx
        self.file = SafeFile(folder, STORE_NAME, limit=vlt_file.MAX_FILE)
        self.where = str(self.file.path)
        self.anchor = Anchor(ctx, self.file.path)
        self.key_slots: KeySlots = ctx.key_slots(self.where, cost=cost)
        self._key: tuple[bytes, Secret] | None = None  # store identity, DEK
        self._seen: State | None = None
        self._told: set[Verdict] = set()
        self._tried: Mark | None = None

    def close(self) -> None:
        """Forget the key and what was read."""
        self._key = self._seen = None
        self.key_slots.forget()

    def missing(self) -> StorageUnavailable:
        """The error of whoever needs a store where there is none."""
        return StorageUnavailable(f"there is no store at {self.where} yet", hint=self.command("init"))

    def command(self, words: str, *operands: Path) -> str:
        """The line that runs a command of ``awsv file`` on this store."""
        backend = "" if self.ctx.store == "file" else f" --backend {self.ctx.store}"
        return command_line(f"awsv file {words}{backend}", *operands)

    def accepting(self, verdict: Verdict) -> str:
        """The line that has this machine remember the store as it is."""
        return self.command(f"accept --{verdict.value}")

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, *, whole: bool = True) -> State | None:
        """The state of the file now, or None where there is none and none is remembered.

        :param whole: have every entry's form checked; else each when it is looked up, which takes the time of one.
        :raises StorageError: it is damaged, refused, or not the store that this machine remembers.
        :raises PassphraseError: it cannot be opened.
        """
        envelope, verdict, memory = self._compare(self.file.read)
        self._refuse_place(verdict)
        if envelope is None:
            return None
        if not verdict.trusted:
            self._suspect(verdict)
        state = self.decode(envelope, ask=True, whole=whole)
        if verdict.trusted and not (memory.settled and verdict is Verdict.SAME):
            self._remember(state.mark)
        return state

    def _remember(self, mark: Mark) -> None:
        """Once for each state: where it cannot be written down, reading is not to cost more each time."""
        if self.anchor.enabled and mark != self._tried:
            self._tried = mark
            if self.file.settle():
                self.anchor.advance(mark)

    def look(self) -> tuple[vlt_file.Envelope | None, Verdict]:
        """What can be seen without a key: the file's form, and how it stands to its anchor.

        :raises StorageError: as :meth:`read`.
        """
        envelope, verdict = self.glance()
        self._refuse_place(verdict)
        return envelope, verdict

    def glance(self) -> tuple[vlt_file.Envelope | None, Verdict]:
        """As :meth:`look`, for who goes on with a store that is gone or replaced."""
        return self._compare(self.file.read)[:2]

    def _compare(self, read: Callable[[], bytes | None]) -> tuple[vlt_file.Envelope | None, Verdict, Memory]:
        store: bytes | None = None
        for _ in range(_TRIES):
            # The anchor first: what it remembers is on disk, so the file that is read after it can only be newer.
            memory = self.anchor.read(store)
            data = read()
            envelope = None if data is None else self.parse(data)
            found = None if envelope is None else mark_of(envelope)
            verdict = memory.judge(found)
            if found is not None and self.anchor.enabled and found.store != memory.store:
                store = found.store  # its newest state has to be read before the file
            elif verdict.trusted or self.anchor.read(store) == memory:
                break
        return envelope, verdict, memory

    def parse(self, data: bytes) -> vlt_file.Envelope:
        """The form of a file in this place; see :func:`container.parse`.

        :raises StorageCorrupt: it is damaged, or no store.
        """
        try:
            return vlt_file.parse(data)
        except ValueError as error:
            refuse(self.where, error)

    def decode(self, envelope: vlt_file.Envelope, *, ask: bool, whole: bool = True) -> State:
        """Open a file of the right form; ``whole`` as in :meth:`read`."""
        data = envelope.data
        if self._seen is None or self._seen.data != data:
            dek = self._unlock(envelope, ask)
            self._seen = State(data, envelope.table, dek, envelope.epoch, self._decrypt(envelope, dek))
            self.key_slots.proven(envelope.table)
        entries = self._seen.entries
        if whole and isinstance(entries, vlt_file.Index):
            try:
                entries.whole()
            except ValueError as error:
                refuse(self.where, error)
        return self._seen

    def _decrypt(self, envelope: vlt_file.Envelope, dek: Secret) -> Entries:
        try:
            return vlt_file.decrypt(envelope, dek)
        except ValueError as error:
            refuse(self.where, error)

    def _unlock(self, envelope: vlt_file.Envelope, ask: bool) -> Secret:
        table = envelope.table
        if self._key and self._key[0] == table.store and envelope.made_with(self._key[1]):
            return self._key[1]
        if not ask:
            raise _NeedsUnlock
        self._key = (table.store, self.key_slots.open(table))
        return self._key[1]

    def open_with(self, dek: Secret) -> None:
        """Use a key that the caller has, in place of asking for one.

        :raises StorageCorrupt: it is not this store's.
        """
        envelope, _ = self.look()
        if envelope is None or not envelope.made_with(dek):
            raise StorageCorrupt(f"the key at hand is not that of {self.where}", hint="repeat the command")
        self._key = (envelope.table.store, dek)

    # -- writing -------------------------------------------------------------------------------------------------------

    def update(self, change: Change, *, create: bool) -> State:
        """Apply a change to whatever state the file is in once the lock is held.

        :param create: make the store where there is none.
        :raises StorageError: it cannot be written, or must not: see the module.
        """
        fresh: tuple[SlotTable, Secret] | None = None
        for _ in range(_TRIES):
            envelope, verdict = self.look()
            if envelope is not None:
                self._refuse_write(verdict)
                self.decode(envelope, ask=True)
                self.key_slots.prepare_upgrade()
            elif fresh is None and create:
                fresh = self.key_slots.create()
            try:
                with self.file.locked(self.ctx.check) as file:
                    return self._rewrite(file, change, fresh)
            except _NeedsUnlock:
                continue
        raise StorageUnavailable(f"{self.where} keeps changing its key", hint="repeat the command")

    def _rewrite(self, file: LockedFile, change: Change, fresh: tuple[SlotTable, Secret] | None) -> State:
        envelope, verdict, _ = self._compare(file.read)
        self._refuse_place(verdict)
        if envelope is not None:
            state = self.decode(envelope, ask=False)
            self._refuse_write(verdict)
        elif fresh is not None:
            state = State(b"", *fresh, epoch=0, entries={})
        else:
            raise StorageUnavailable(f"{self.where} disappeared", hint="look where it went before you write again")
        changed = change(state)
        if changed is None:
            return state
        written = self.write(file, replace(changed, table=self.key_slots.upgraded(changed.table, changed.dek)))
        self.key_slots.forget()
        return written

    def write(self, file: LockedFile, state: State) -> State:
        """Write a state as the next epoch, and remember it."""
        epoch = state.epoch + 1
        if epoch > vlt_file.MAX_EPOCH:
            raise StorageError(f"{self.where} was written as often as its format can count", hint="make a new store")
        try:
            data = vlt_file.encode(state.table, state.dek, epoch, state.entries)
        except ValueError as error:
            raise StorageError(f"{self.where} is full: {error}", hint="remove entries, or use a second store") from None
        self.key_slots.proven(state.table)  # before it is there: whether it is may never be known
        try:
            file.replace(data)
        except Unconfirmed as error:
            self._tell_outcome(file, data, epoch, str(error))
        self._key = (state.table.store, state.dek)
        self._seen = replace(state, data=data, epoch=epoch)
        self.anchor.pin(self._seen.mark)
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
            f"writing {self.where} failed at the end ({reason.lower()}): {state}, and may not survive a power failure",
            hint="check the disk, then look whether the change is there before you repeat it",
        ) from None

    # -- what the anchor has to say ------------------------------------------------------------------------------------

    def _suspect(self, verdict: Verdict) -> None:
        if verdict not in self._told:
            self.ctx.suspect(self._suspicion(verdict), hint=self.accepting(verdict))
            self._told.add(verdict)

    def _refuse_write(self, verdict: Verdict) -> None:
        if not verdict.trusted:
            raise StorageDenied(
                f"{self._suspicion(verdict)}, and a write would lose what is only there; nothing was changed",
                hint=f"bring the newest copy back, or, if this one is what you want: {self.accepting(verdict)}",
            )

    def _suspicion(self, verdict: Verdict) -> str:
        if verdict is Verdict.OLDER:
            return f"{self.where} is an older copy than this machine has seen"
        return f"{self.where} is not the copy that this machine has seen last, but one written at the same time"

    def _refuse_place(self, verdict: Verdict) -> None:
        if verdict is Verdict.GONE:
            raise StorageUnavailable(
                f"{self.where} is gone, and this machine remembers a store there; no new one is made in its place",
                hint="bring it back ('awsv file restore BACKUP', or mount its disk), or start anew: "
                + self.accepting(Verdict.REPLACED),
            )
        if verdict is Verdict.REPLACED:
            raise StorageDenied(
                f"{self.where} is another store than this machine remembers there; nothing is read from it",
                hint=f"bring the right one back, or, if you put it there yourself: {self.accepting(verdict)}",
            )


def refuse(where: str, error: ValueError, instead: str | None = None) -> NoReturn:
    """Say why a file is no store, as an error for people.

    :param instead: what to do where the file is not the store itself.
    """
    if isinstance(error, vlt_file.Foreign):
        raise StorageCorrupt(
            f"{where} is not a store of awsv: {error}",
            hint=instead or "move it away, or set AWS_VAULT_FILE_DIR to another folder",
        ) from None
    if isinstance(error, NewerFormat):
        raise StorageCorrupt(f"{where} was written by a newer version of awsv: {error}", hint="update awsv") from None
    raise StorageCorrupt(
        f"{where} is damaged: {error}", hint=instead or "restore it from a backup: awsv file restore FILE"
    ) from None


def mark_of(envelope: vlt_file.Envelope) -> Mark:
    """The mark of a file of the right form; not proven yet."""
    return Mark(envelope.table.store, envelope.epoch, envelope.mac)
