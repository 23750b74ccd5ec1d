"""The store's file: read without a lock, changed under one, and checked by the rollback guard.

The user is asked for the passphrase at most once, when it is first needed, and never while the lock is held. The index
is decrypted once per state of the file. A file that is older than the state this machine has recorded is read only if
the user sees a warning, and never written. A different store than the recorded one is neither read nor written.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

from vault_core import api
from vault_core.vlt import Argon2id, KeySlots, NewerFormat, SlotTable
from vault_plugin_file import vlt_file
from vault_plugin_file.atomic_file import AtomicFile, LockedFile, Unconfirmed
from vault_plugin_file.location import STORE_NAME
from vault_plugin_file.rollback_guard import Memory, RollbackGuard, RollbackStatus, StoreState

_TRIES = 5  # a write is retried if the store was created, or its data key changed, in the meantime

Entries = Mapping[str, vlt_file.Entry]


class State(NamedTuple):
    """One authenticated, decrypted state of the file."""

    data: bytes
    table: SlotTable
    dek: api.Secret
    epoch: int
    entries: Entries

    @property
    def store_state(self) -> StoreState:
        return StoreState(self.table.store, self.epoch, vlt_file.header_mac(self.data))


Change = Callable[[State], State | None]
"""From the state read under the lock to the state to write (its table, DEK and entries are used); None: no write."""


class _NeedsUnlock(Exception):
    """The known key does not open this file, and the user must not be asked while the lock is held."""


class StoreFile:
    """The store in one folder.

    :param folder: an absolute path; created by the first write.
    :param cost: the cost of the key derivation of new slots; None: the default.
    """

    def __init__(self, ctx: api.StoreContext, folder: Path, *, cost: Argon2id | None = None) -> None:
        self.ctx = ctx
        self.file = AtomicFile(folder, STORE_NAME, limit=vlt_file.MAX_FILE)
        self.where = str(self.file.path)
        self.rollback_guard = RollbackGuard(ctx, self.file.path)
        self.key_slots: KeySlots = ctx.key_slots(self.where, cost=cost)
        self._key: tuple[bytes, api.Secret] | None = None  # store identity, DEK
        self._seen: State | None = None
        self._reported: set[RollbackStatus] = set()
        self._recorded: StoreState | None = None

    def close(self) -> None:
        """Forget the key and the decrypted state."""
        self._key = self._seen = None
        self.key_slots.forget()

    def missing(self) -> api.StorageUnavailable:
        """The error for an operation that needs a store if none exists."""
        return api.StorageUnavailable(f"there is no store at {self.where} yet", hint=self.command("init"))

    def command(self, words: str, *operands: Path) -> str:
        """The command line of a command of ``awsv file`` for this store."""
        backend = "" if self.ctx.store == "file" else f" --backend {self.ctx.store}"
        return api.command_line(f"awsv file {words}{backend}", *operands)

    def accepting(self, status: RollbackStatus) -> str:
        """The command line that accepts the store as it is."""
        return self.command(f"accept --{status.value}")

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, *, whole: bool = True) -> State | None:
        """The current state of the file; None if the file does not exist and no store is recorded for its place.

        :param whole: check the form of every entry; else of each entry that is looked up, which is faster for one.
        :raises StorageError: the file is damaged, refused, or not the store that this machine has recorded.
        :raises PassphraseError: the store cannot be unlocked.
        """
        envelope, status, memory = self._compare(self.file.read)
        self._refuse_place(status)
        if envelope is None:
            return None
        if not status.trusted:
            self._suspect(status)
        state = self.decode(envelope, ask=True, whole=whole)
        if status.trusted and not (memory.complete and status is RollbackStatus.SAME):
            self._record(state.store_state)
        return state

    def _record(self, state: StoreState) -> None:
        """Record a state that was read; try once for each state, so a failure does not slow down every read."""
        if self.rollback_guard.enabled and state != self._recorded:
            self._recorded = state
            if self.file.sync_folder():
                self.rollback_guard.advance(state)

    def look(self) -> tuple[vlt_file.Envelope | None, RollbackStatus]:
        """What can be read without a key: the parsed file, and how it compares with its anchors.

        :raises StorageError: see :meth:`read`.
        """
        envelope, status = self.glance()
        self._refuse_place(status)
        return envelope, status

    def glance(self) -> tuple[vlt_file.Envelope | None, RollbackStatus]:
        """Like :meth:`look`, but without an error for a store that is gone or replaced."""
        return self._compare(self.file.read)[:2]

    def _compare(self, read: Callable[[], bytes | None]) -> tuple[vlt_file.Envelope | None, RollbackStatus, Memory]:
        store: bytes | None = None
        for _ in range(_TRIES):
            # The anchors first: a state that they record is on disk, so a file that is read later is as new or newer.
            memory = self.rollback_guard.read(store)
            data = read()
            with valid(self.where):
                envelope = None if data is None else vlt_file.parse(data)
            state = None if envelope is None else state_of(envelope)
            status = memory.compare(state)
            if state is not None and self.rollback_guard.enabled and state.store != memory.store:
                store = state.store  # the anchor of this store has to be read before the file
            elif status.trusted or self.rollback_guard.read(store) == memory:
                break
        return envelope, status, memory

    def decode(self, envelope: vlt_file.Envelope, *, ask: bool, whole: bool = True) -> State:
        """Unlock and decrypt a parsed file; for ``whole`` see :meth:`read`."""
        data = envelope.data
        if self._seen is None or self._seen.data != data:
            dek = self._unlock(envelope, ask)
            with valid(self.where):
                entries = vlt_file.decrypt(envelope, dek)
            self._seen = State(data, envelope.table, dek, envelope.epoch, entries)
            self.key_slots.proven(envelope.table)
        if whole and isinstance(self._seen.entries, vlt_file.Index):
            with valid(self.where):
                self._seen.entries.whole()
        return self._seen

    def _unlock(self, envelope: vlt_file.Envelope, ask: bool) -> api.Secret:
        table = envelope.table
        if self._key and self._key[0] == table.store and envelope.made_with(self._key[1]):
            return self._key[1]
        if not ask:
            raise _NeedsUnlock
        self._key = (table.store, self.key_slots.open(table))
        return self._key[1]

    def open_with(self, dek: api.Secret) -> None:
        """Use a data key that the caller has, instead of unlocking a slot.

        :raises StorageCorrupt: it is not the key of this store.
        """
        envelope, _ = self.look()
        if envelope is None or not envelope.made_with(dek):
            raise api.StorageCorrupt(f"the known data key does not open {self.where}", hint="repeat the command")
        self._key = (envelope.table.store, dek)

    # -- writing -------------------------------------------------------------------------------------------------------

    def update(self, change: Change, *, create: bool) -> State:
        """Apply a change to the state of the file that is read under the lock.

        :param create: create the store if it does not exist.
        :raises StorageError: the file cannot be written, or must not be: see the module.
        """
        fresh: tuple[SlotTable, api.Secret] | None = None
        for _ in range(_TRIES):
            envelope, status = self.look()
            if envelope is not None:
                self._refuse_write(status)
                self.decode(envelope, ask=True)
                self.key_slots.prepare_upgrade()
            elif fresh is None and create:
                fresh = self.key_slots.create()
            try:
                with self.file.locked(self.ctx.check) as file:
                    return self._rewrite(file, change, fresh)
            except _NeedsUnlock:
                continue
        raise api.StorageUnavailable(f"{self.where} keeps changing its key", hint="repeat the command")

    def _rewrite(self, file: LockedFile, change: Change, fresh: tuple[SlotTable, api.Secret] | None) -> State:
        envelope, status, _ = self._compare(file.read)
        self._refuse_place(status)
        if envelope is not None:
            state = self.decode(envelope, ask=False)
            self._refuse_write(status)
        elif fresh is not None:
            state = State(b"", *fresh, epoch=0, entries={})
        else:
            raise api.StorageUnavailable(f"{self.where} disappeared", hint="find out why before you write again")
        changed = change(state)
        if changed is None:
            return state
        written = self.write(file, changed._replace(table=self.key_slots.upgraded(changed.table, changed.dek)))
        self.key_slots.forget()
        return written

    def write(self, file: LockedFile, state: State) -> State:
        """Write a state as the next epoch, and record it in the anchors."""
        epoch = state.epoch + 1
        if epoch > vlt_file.MAX_EPOCH:
            raise api.StorageError(f"{self.where} cannot count any more writes", hint="create a new store")
        try:
            data = vlt_file.encode(state.table, state.dek, epoch, state.entries)
        except ValueError as error:
            raise api.StorageError(
                f"{self.where} is full: {error}", hint="remove entries, or use a second store"
            ) from None
        self.key_slots.proven(state.table)  # before the write, whose outcome may be unknown
        try:
            file.replace(data)
        except Unconfirmed as error:
            self._raise_unconfirmed(file, data, epoch, str(error))
        self._key = (state.table.store, state.dek)
        self._seen = state._replace(data=data, epoch=epoch)
        self.rollback_guard.pin(self._seen.store_state)
        return self._seen

    def _raise_unconfirmed(self, file: LockedFile, data: bytes, epoch: int, reason: str) -> NoReturn:
        """The write failed when the new file may already have been in place: report which state is on disk."""
        try:
            current = file.read()
        except api.StorageError:
            state = "the file on disk cannot be read now"
        else:
            state = f"the new state (write {epoch}) is on disk" if current == data else "the old state is on disk"
        raise api.StorageUnavailable(
            f"writing {self.where} failed at the end ({reason.lower()}): {state}, and may not survive a power failure",
            hint="check the disk, then check whether the change was made before you repeat it",
        ) from None

    # -- reports of the rollback guard ---------------------------------------------------------------------------------

    def _suspect(self, status: RollbackStatus) -> None:
        if status not in self._reported:
            self.ctx.suspect(self._suspicion(status), hint=self.accepting(status))
            self._reported.add(status)

    def _refuse_write(self, status: RollbackStatus) -> None:
        if not status.trusted:
            raise api.StorageDenied(
                f"{self._suspicion(status)}, and a write would lose the newest copy's changes; nothing was changed",
                hint=f"put the newest copy back, or, to keep this one: {self.accepting(status)}",
            )

    def _suspicion(self, status: RollbackStatus) -> str:
        if status is RollbackStatus.OLDER:
            return f"{self.where} is an older copy than this machine has seen"
        return f"{self.where} is not the copy that this machine saw last, but a fork of it"

    def _refuse_place(self, status: RollbackStatus) -> None:
        if status is RollbackStatus.GONE:
            raise api.StorageUnavailable(
                f"{self.where} is gone: this machine has recorded a store there, so awsv does not create a new one",
                hint="put it back ('awsv file restore BACKUP', or mount its disk), or start over: "
                + self.accepting(RollbackStatus.REPLACED),
            )
        if status is RollbackStatus.REPLACED:
            raise api.StorageDenied(
                f"{self.where} is a different store than this machine has recorded there; awsv does not read it",
                hint=f"put the right one back, or, if you put this one there yourself: {self.accepting(status)}",
            )


@contextmanager
def valid(where: str, instead: str | None = None) -> Iterator[None]:
    """Turn the errors of :mod:`vlt_file` into errors for the user.

    :param instead: the hint for a file other than the store itself.
    :raises StorageCorrupt: the file is damaged, or not a store, or from a newer version.
    """
    try:
        yield
    except vlt_file.Foreign as error:
        hint = instead or "move it away, or set AWS_VAULT_FILE_DIR to another folder"
        raise api.StorageCorrupt(f"{where} is not an awsv store: {error}", hint=hint) from None
    except NewerFormat as error:
        raise api.StorageCorrupt(
            f"{where} was written by a newer version of awsv: {error}", hint="update awsv"
        ) from None
    except ValueError as error:
        hint = instead or "restore it from a backup: awsv file restore FILE"
        raise api.StorageCorrupt(f"{where} is damaged: {error}", hint=hint) from None


def state_of(envelope: vlt_file.Envelope) -> StoreState:
    """The state of a parsed file, which is not authenticated yet."""
    return StoreState(envelope.table.store, envelope.epoch, envelope.mac)
