"""A test's own corner of a store, in which every operation is counted."""

from collections.abc import Callable, Iterator

from vault_core.api import ANY, Expect, Item, Secret, StorageBackend, Version

OPERATIONS = ("get", "put", "delete", "keys")


class Corner(StorageBackend):
    """The items of a store whose names begin with a prefix; others may use the store, too.

    :param inner: the backend under test.
    :param count: called with one of :data:`OPERATIONS` before each.
    :param prefix: over ``[a-z0-9-]``; ``kind/name`` becomes ``kind/<prefix>name``. If it is empty: the whole store.
    :param written: every key that is put here is added to it.
    """

    def __init__(self, inner: StorageBackend, count: Callable[[str], None], prefix: str, written: set[str]) -> None:
        self._inner = inner
        self._count = count
        self._prefix = prefix
        self._written = written

    def _whole(self, key: str) -> str:
        """The key as the store sees it."""
        kind, _, name = key.partition("/")
        return f"{kind}/{self._prefix}{name}"

    def get(self, key: str) -> Item | None:
        self._count("get")
        return self._inner.get(self._whole(key))

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        self._count("put")
        self._written.add(key)
        return self._inner.put(self._whole(key), value, expect=expect)

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        self._count("delete")
        return self._inner.delete(self._whole(key), expect=expect)

    def keys(self) -> Iterator[str]:
        self._count("keys")
        for key in self._inner.keys():  # noqa: SIM118 - a backend is not a dictionary
            kind, slash, name = key.partition("/")
            if name.startswith(self._prefix):
                yield f"{kind}{slash}{name.removeprefix(self._prefix)}"

    def close(self) -> None:
        self._inner.close()
