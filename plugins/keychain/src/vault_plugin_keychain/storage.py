"""The store in a keychain: items by key, with versions, under a lock of this user.

A keychain knows neither versions nor "only if nothing is there". So every value begins with a random version, and
who writes holds a lock file of this user's, under which they look first. Reading takes no lock.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Final, Protocol

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
    Version,
)
from vault_plugin_keychain.kinds import Kind
from vault_plugin_keychain.opening import open_keychain

LOCK_SECONDS: Final = 20.0
"""How long to wait for other writers, in seconds; each is done within one."""
_ENVELOPE = re.compile(r"1:(?P<version>[0-9a-f]{16}):")


class Shelf(Protocol):
    """Texts by key, and which keys there are."""

    def get(self, name: str) -> str | None: ...
    def set(self, name: str, text: str) -> None: ...
    def delete(self, name: str) -> bool: ...
    def names(self) -> list[str]: ...


class KeychainStore(StorageBackend):
    """The items of one store in one keychain."""

    def __init__(self, ctx: Context, kind: Kind) -> None:
        self._ctx = ctx
        self._where = f"{kind.title}, under {ctx.options['name']!r}"
        self._shelf = shelf(ctx, kind)

    def get(self, key: str) -> Item | None:
        text = self._shelf.get(key)
        return None if text is None else self._item(key, text)

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        version = secrets.token_hex(8)
        with self._ctx.lock("keychain", timeout=LOCK_SECONDS):
            self._check(key, expect)
            self._shelf.set(key, f"1:{version}:{value.reveal_text()}")
        return version

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        with self._ctx.lock("keychain", timeout=LOCK_SECONDS):
            self._check(key, expect)
            return self._shelf.delete(key)

    def keys(self) -> Iterator[str]:
        return iter(self._shelf.names())

    def _check(self, key: str, expect: Expect) -> None:
        if expect is ANY:
            return
        item = self.get(key)
        if (ABSENT if item is None else item.version) != expect:
            raise StorageConflict(f"{key} is not as it was before in {self._where}")

    def _item(self, key: str, text: str) -> Item:
        found = _ENVELOPE.match(text)
        if found is None:
            raise StorageCorrupt(
                f"the item {key} in {self._where} is not awsv's, or was written by a newer version",
                hint="update awsv, or delete that item in your keychain's own program",
            )
        return Item(value=Secret(text[found.end() :]), version=found["version"])


def shelf(ctx: Context, kind: Kind) -> Shelf:
    """The keychain as a shelf: by itself where it can be searched, else with an index kept in it."""
    from vault_plugin_keychain.indexed import Indexed

    keychain = open_keychain(ctx, kind, ctx.options["name"])
    return keychain if hasattr(keychain, "names") else Indexed(keychain)
