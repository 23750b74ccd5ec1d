"""Encryption for storage backends that do not encrypt (``docs/file-format.md`` §5).

:class:`SealedBackend` wraps any backend with ``at_rest=CORE``. The backend sees keys, and values of printable ASCII
that it can neither read nor change nor exchange; it can delete a value or restore an older one. The user is asked only
when the first value is read or written; keys are listed and deleted without unlocking.

Two processes that write the slot table at the same time must not lose what one of them wrote: a slot, or the data key
of a new store. With ``CAS`` the backend decides. Otherwise a lock of this user on this machine does, which leaves two
*machines* (or users):

- Both create the store. With ``CREATE_ONLY`` the backend decides. Otherwise the creator reads the table again after its
  first value, and puts the value again if the table is another one by then. A table that arrives even later costs that
  first value.
- Both change the slots. The later write wins; the other process notices only if it finds that table when it checks
  whether its own was kept.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import NoReturn

from vault_core import files, vlt
from vault_core.api import ABSENT, ANY, Capability, Expect, Item, StorageBackend, StoreContext, Version
from vault_core.errors import StorageConflict, StorageCorrupt, StorageDenied, StorageError, StorageUnavailable
from vault_core.keyslots.hints import missing_store
from vault_core.keyslots.service import StoreKeySlots
from vault_core.secret import Secret
from vault_core.vlt import Argon2id, SlotKeeper, SlotTable
from vault_core.vlt.encoding import NewerFormat, canonical, fields, from_base64, integer, lp, parse_canonical, to_base64

SLOTS_KEY = "meta/slots"
"""The reserved key that holds the slot table."""
_PREFIX = "vlt1:"
_EXTRA = 48
"""Bytes that sealing adds: salt and tag."""
_TRIES = 5  # a change of the slots, or a first value, starts again if another process was faster
_PATIENCE = 10.0
"""Seconds to wait for other processes that write a slot table; each holds the lock for three backend calls."""


class SealedBackend(StorageBackend, SlotKeeper):
    """A backend that encrypts values and passes them on.

    :param inner: the backend that keeps the sealed values.
    :param ctx: unlocks the store, and names it in messages.
    :param capabilities: those of ``inner``, which are also this one's.
    :param cost: of the key derivation of a store that is created here; None means the default.
    :param most: the largest value that ``inner`` keeps, in bytes; None: there is no limit.
    """

    def __init__(
        self,
        inner: StorageBackend,
        ctx: StoreContext,
        capabilities: Capability,
        *,
        cost: Argon2id | None = None,
        most: int | None = None,
    ) -> None:
        self._inner = inner
        self._most = most
        self._ctx = ctx
        self._where = f"store {ctx.store}"
        self._exclusive = bool((Capability.CREATE_ONLY | Capability.CAS) & capabilities)  # both know ABSENT
        self._versions = Capability.CAS in capabilities
        # Without CAS an upgrade, which nobody asked for, could overwrite a change by another process.
        self._slots = StoreKeySlots(ctx, self._where, cost=cost, upgrades=self._versions)
        self._opened: tuple[bytes, Secret] | None = None  # store identity, DEK
        self._made: Secret | None = None  # the table that we have put, while it may still be replaced unnoticed

    def get(self, key: str) -> Item | None:
        self._refuse_reserved(key)
        item = self._inner.get(key)
        if item is None:
            return None
        store, dek = self._open()
        return Item(value=self._unseal(key, item.value, store, dek), version=item.version)

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        self._refuse_reserved(key)
        for _ in range(_TRIES):
            version = self._put(key, value, expect)
            if not self._overtaken():
                break
        else:
            raise StorageConflict(f"other processes are creating {self._where} at the same time", hint="repeat it")
        if self._slots.upgrade_pending and self._opened:
            with contextlib.suppress(StorageError):  # the value is there; the slot stays, and the next command says so
                self.change_slots(lambda table, _: table, dek=self._opened[1])
        return version

    def _put(self, key: str, value: Secret, expect: Expect) -> Version:
        store, dek = self._open(create=True)
        sealed = vlt.seal(dek.reveal(), _value_info(store, key), value.reveal())
        text = Secret(_PREFIX + to_base64(sealed))
        try:
            return self._inner.put(key, text, expect=expect)
        except StorageConflict:
            found = self._inner.get(key)
            if found is not None and found.value == text:  # ours, as the salt proves: see _write_table
                return found.version
            raise

    def _overtaken(self) -> bool:
        """Whether another process replaced the table that we created, so that our value does not open."""
        made, self._made = self._made, None
        if made is None or self._table_item().value == made:
            return False
        self._opened = None
        return True

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        self._refuse_reserved(key)
        return self._inner.delete(key, expect=expect)

    def keys(self) -> Iterator[str]:
        return filter(lambda key: key != SLOTS_KEY, self._inner.keys())

    def close(self) -> None:
        self._opened = None
        self._slots.forget()
        self._inner.close()

    # -- the slots -----------------------------------------------------------------------------------------------------

    def slots(self) -> SlotTable | None:
        item = self._inner.get(SLOTS_KEY)
        return None if item is None else self._parse(item.value)[0]

    def change_slots(self, change: Callable[[SlotTable, Secret], SlotTable], *, dek: Secret | None = None) -> None:
        store, opened = self._unlock(self._table_item().value, dek)  # may prompt, so before the lock
        self._slots.prepare_upgrade()

        def changed(found: Item | None) -> Secret:
            if found is None:
                raise missing_store(self._ctx)
            self._unlock(found.value, opened)
            table = self._slots.upgraded(change(self._parse(found.value)[0], opened), opened)
            self._slots.proven(table)  # before it is put: a put may succeed without our learning of it
            return _text(table, opened)

        for _ in range(_TRIES):
            if self._write_table(changed):
                self._opened = (store, opened)
                self._slots.forget()
                return
        raise StorageConflict(f"other processes are changing the slots of {self._where}", hint="repeat it")

    def _write_table(self, make: Callable[[Item | None], Secret | None]) -> bool:
        """Put a new table in the place of the current one. Nothing else puts a table.

        A refusal by the backend does not prove that nothing was written: a put may have been repeated because its
        answer was lost.

        :param make: from the current table (or None) to the new one, or None to keep it; never prompts, as other
            processes wait.
        :returns: whether the new table is in place.
        :raises StorageError: the backend cannot keep a table of this size; nothing was changed.
        """
        with self._alone():
            found = self._inner.get(SLOTS_KEY)
            text = make(found)
            if text is None:
                return False
            size = len(text.reveal())
            if self._most is not None and size > self._most:
                raise StorageError(
                    f"the key slots of {self._where} take {size} bytes, and it keeps at most {self._most} in one item;"
                    " nothing was changed",
                    hint="remove a slot that is not needed, or name another store with --backend",
                )
            failure: StorageError | None = None
            try:
                self._inner.put(SLOTS_KEY, text, expect=self._expected(found))
            except StorageError as error:
                failure = error
            now = self._inner.get(SLOTS_KEY)
        if now is not None and now.value == text:
            return True
        if failure and not isinstance(failure, StorageConflict):
            raise failure
        return False

    def _expected(self, found: Item | None) -> Expect:
        """The strongest ``expect`` for a table that the backend supports."""
        if found is None:
            return ABSENT if self._exclusive else ANY
        return found.version if self._versions else ANY

    def _table_item(self) -> Item:
        found = self._inner.get(SLOTS_KEY)
        if found is None:
            raise missing_store(self._ctx)
        return found

    # -- opening -------------------------------------------------------------------------------------------------------

    def _open(self, *, create: bool = False) -> tuple[bytes, Secret]:
        """Identity and data key (DEK); unlocks at the first call."""
        if self._opened is None:
            found = self._inner.get(SLOTS_KEY)
            if found is None and (not create or next(self.keys(), None) is not None):
                found = self._inner.get(SLOTS_KEY)  # another process may have created the store just now
                if found is None:
                    raise StorageCorrupt(
                        f"{self._where} holds sealed values, but its slot table ({SLOTS_KEY}) is missing",
                        hint=f"restore {SLOTS_KEY} from the service's own history or backup",
                    )
            self._opened = self._unlock(found.value) if found else self._create()
        return self._opened

    def _create(self) -> tuple[bytes, Secret]:
        table, dek = self._slots.create()  # prompts, so before the lock
        text = _text(table, dek)
        if self._write_table(lambda found: text if found is None else None):
            self._made = None if self._exclusive else text
            return table.store, dek
        stored = self._inner.get(SLOTS_KEY)
        if stored is None:
            raise StorageCorrupt(f"{self._where} does not keep its slot table")
        return self._unlock(stored.value)  # another process was first, so its table counts

    def _alone(self) -> contextlib.AbstractContextManager[object]:
        """Keep other processes of this user on this machine from writing a slot table, of any store.

        :raises StorageUnavailable: others do so for longer than :data:`_PATIENCE`.
        """
        if self._versions:  # the backend decides, for every machine
            return contextlib.nullcontext()
        folder = self._ctx.state_dir
        try:
            return files.held(folder / "slots.lock", timeout=_PATIENCE, check=self._ctx.check)
        except TimeoutError:
            raise StorageUnavailable(
                f"other processes have been making a store or changing its slots for more than {_PATIENCE:.0f} s",
                hint="let them finish, or end them; then repeat the command",
            ) from None
        except OSError as error:  # no worse than a second machine, so not a reason to refuse
            self._ctx.notify(
                f"{folder} cannot be locked ({error}): let one process at a time change the slots of {self._where}"
            )
            return contextlib.nullcontext()

    def _unlock(self, text: Secret, dek: Secret | None = None) -> tuple[bytes, Secret]:
        """Identity and DEK of a table, which is authenticated; ``dek`` is the data key that the caller has, if any."""
        table, expected = self._parse(text)
        opened = self._slots.open(table) if dek is None else dek
        if not vlt.same(_table_mac(table, opened), expected):
            self._damaged(SLOTS_KEY, "its authentication code is wrong")
        self._slots.proven(table)
        return table.store, opened

    def _parse(self, text: Secret) -> tuple[SlotTable, bytes]:
        """The table and its authentication code, which is not checked here."""
        try:
            value = parse_canonical(text.reveal(), "the slot table")
            version = integer(value.get("format") if isinstance(value, dict) else None, "format", least=1, most=2**32)
            if version != 1:
                raise NewerFormat(f"format {version}")
            found = fields(value, ("format", "mac", "slots", "store"), "the slot table")
            return SlotTable.parse(found["store"], found["slots"]), from_base64(found["mac"], "mac", least=32)
        except NewerFormat as error:
            raise StorageCorrupt(
                f"{self._where} was written by a newer version of awsv: {error}", hint="update awsv"
            ) from None
        except ValueError as error:
            self._damaged(SLOTS_KEY, str(error))

    def _unseal(self, key: str, value: Secret, store: bytes, dek: Secret) -> Secret:
        text = value.reveal().decode("ascii", "replace")
        if not text.startswith(_PREFIX):
            self._damaged(key, "it is not a sealed value")
        try:
            sealed = from_base64(text.removeprefix(_PREFIX), "it", least=_EXTRA + 1, most=len(text))
            return Secret(vlt.unseal(dek.reveal(), _value_info(store, key), sealed))
        except vlt.Forged:
            self._damaged(key, "it was changed, or belongs to another key or store")
        except ValueError as error:
            self._damaged(key, str(error))

    def _damaged(self, key: str, reason: str) -> NoReturn:
        raise StorageCorrupt(
            f"{key} in {self._where} is damaged: {reason}",
            hint="restore it from the service's own history or backup, or remove it and add it again",
        ) from None

    def _refuse_reserved(self, key: str) -> None:
        if key == SLOTS_KEY:
            raise StorageDenied(f"the key {SLOTS_KEY} of {self._where} is reserved for its key slots")


def sealed_size(size: int) -> int:
    """The bytes that a value of this many bytes takes once it is sealed."""
    return len(_PREFIX) + 4 * -(-(size + _EXTRA) // 3)


def _body(table: SlotTable) -> dict[str, object]:
    return {"format": 1, **table.to_json()}


def _text(table: SlotTable, dek: Secret) -> Secret:
    return Secret(canonical({**_body(table), "mac": to_base64(_table_mac(table, dek))}))


def _table_mac(table: SlotTable, dek: Secret) -> bytes:
    return vlt.mac(vlt.hkdf(dek.reveal(), table.store, b"vlt/v1/table-mac"), canonical(_body(table)))


def _value_info(store: bytes, key: str) -> bytes:
    return b"vlt/v1/value" + lp(store, key.encode("ascii"))
