"""The storage backend ``file``: entries by key, and key slots. Reading one entry decrypts no other."""

from collections.abc import Callable, Iterator
from pathlib import Path

from vault_core import api
from vault_core.vlt import Argon2id, SlotKeeper, SlotTable
from vault_plugin_file import awsvault, vlt_file
from vault_plugin_file.store import Change, State, StoreFile


class FileBackend(api.StorageBackend, SlotKeeper):
    """The store in one folder.

    :param folder: an absolute path; created by the first ``put``.
    :param cost: the cost of the key derivation of new slots; None: the default.
    """

    def __init__(self, ctx: api.StoreContext, folder: Path, *, cost: Argon2id | None = None) -> None:
        self.store = StoreFile(ctx, folder, cost=cost)
        self._ctx = ctx
        self._notified = False

    # -- the four methods ----------------------------------------------------------------------------------------------

    def get(self, key: str) -> api.Item | None:
        state = self._read(whole=False)
        if state is None:
            return None
        try:
            entry = state.entries.get(key)
            if entry is None:
                return None
            value = vlt_file.open_entry(state.table, state.dek, key, entry)
        except ValueError:
            raise api.StorageCorrupt(
                f"entry {key} of {self.store.where} is damaged: it was changed, or belongs to another name or version",
                hint="the other entries are not affected: add this one again, or restore the store from a backup",
            ) from None
        return api.Item(value=value, version=_version(entry))

    def put(self, key: str, value: api.Secret, *, expect: api.Expect = api.ANY) -> api.Version:
        if not vlt_file.is_name(key) or not value:
            raise api.StorageError(f"invalid key, or empty value: {key!a:.80}")

        def change(state: State) -> State:
            self._check_expected(key, state.entries.get(key), expect)
            entry = vlt_file.seal_entry(state.table, state.dek, key, state.epoch + 1, value)
            return state._replace(entries={**state.entries, key: entry})

        if expect not in (api.ANY, api.ABSENT) and self.store.look()[0] is None:
            self._check_expected(key, None, expect)
        return _version(self._update(change, create=True).entries[key])

    def delete(self, key: str, *, expect: api.Expect = api.ANY) -> bool:
        existed = False

        def change(state: State) -> State | None:
            nonlocal existed
            self._check_expected(key, state.entries.get(key), expect)
            existed = key in state.entries
            rest = {name: entry for name, entry in state.entries.items() if name != key}
            return state._replace(entries=rest) if existed else None

        if self.store.look()[0] is None:
            self._check_expected(key, None, expect)
            return False
        self._update(change, create=False)
        return existed

    def keys(self) -> Iterator[str]:
        state = self._read(whole=True)
        return iter(sorted(state.entries) if state else ())

    def close(self) -> None:
        self.store.close()

    def _read(self, *, whole: bool) -> State | None:
        state = self.store.read(whole=whole)
        if state is None and not self._notified:
            self._notified = True
            awsvault.notify(self._ctx, self.store.file.path)
        return state

    def _update(self, change: Change, *, create: bool) -> State:
        awsvault.refuse_among(self._ctx, self.store.file.folder)
        return self.store.update(change, create=create)

    # -- slots ---------------------------------------------------------------------------------------------------------

    def slots(self) -> SlotTable | None:
        envelope, _ = self.store.look()
        return None if envelope is None else envelope.table

    def change_slots(
        self, change: Callable[[SlotTable, api.Secret], SlotTable], *, dek: api.Secret | None = None
    ) -> None:
        if self.slots() is None:
            raise self.store.missing()
        if dek is not None:
            self.store.open_with(dek)
        self._update(lambda state: state._replace(table=change(state.table, state.dek)), create=False)

    # -- checks --------------------------------------------------------------------------------------------------------

    def _check_expected(self, key: str, entry: vlt_file.Entry | None, expect: api.Expect) -> None:
        if expect is api.ANY or (expect is api.ABSENT and entry is None):
            return
        if expect is api.ABSENT:
            raise api.StorageConflict(f"{key} exists already in {self.store.where}")
        if entry is None:
            raise api.StorageConflict(f"{key} no longer exists in {self.store.where}")
        if _version(entry) != expect:
            raise api.StorageConflict(f"{key} in {self.store.where} was changed by another process")


def _version(entry: vlt_file.Entry) -> api.Version:
    """The epoch of the entry's write and a piece of its random salt: unique for each state, even after a fork."""
    return f"{entry.version}-{entry.sealed[:12]}"
