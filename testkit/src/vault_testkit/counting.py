"""A backend that counts what is done to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vault_core.api import ANY, Expect, Item, Secret, StorageBackend, Version

OPERATIONS = ("get", "put", "delete", "keys")


class Counted(StorageBackend):
    """Passes everything on.

    :param inner: the backend under test.
    :param count: called with one of :data:`OPERATIONS` before each.
    """

    def __init__(self, inner: StorageBackend, count: Callable[[str], None]) -> None:
        self.inner = inner
        self._count = count

    def get(self, key: str) -> Item | None:
        self._count("get")
        return self.inner.get(key)

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        self._count("put")
        return self.inner.put(key, value, expect=expect)

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        self._count("delete")
        return self.inner.delete(key, expect=expect)

    def keys(self) -> Iterator[str]:
        self._count("keys")
        return self.inner.keys()

    def close(self) -> None:
        self.inner.close()


class Prefixed(StorageBackend):
    """One test's own corner of a store that others may use: every name begins with its prefix.

    :param prefix: over ``[a-z0-9-]``; ``kind/name`` becomes ``kind/<prefix>name``.
    :param written: every key that is put here is added to it.
    """

    def __init__(self, inner: StorageBackend, prefix: str, written: set[str]) -> None:
        self.inner = inner
        self._prefix = prefix
        self._written = written

    def whole(self, key: str) -> str:
        """The key as the store sees it."""
        kind, _, name = key.partition("/")
        return f"{kind}/{self._prefix}{name}"

    def get(self, key: str) -> Item | None:
        return self.inner.get(self.whole(key))

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        self._written.add(key)
        return self.inner.put(self.whole(key), value, expect=expect)

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        return self.inner.delete(self.whole(key), expect=expect)

    def keys(self) -> Iterator[str]:
        for key in self.inner.keys():  # noqa: SIM118 - a backend is not a dictionary
            kind, slash, name = key.partition("/")
            if slash and name.startswith(self._prefix):
                yield f"{kind}/{name.removeprefix(self._prefix)}"

    def close(self) -> None:
        self.inner.close()
