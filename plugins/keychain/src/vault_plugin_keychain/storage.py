"""The storage backend over a keychain: items by key, with versions, changed under a lock of this user.

A keychain supports neither versions nor conditional writes. So every value starts with a random version, and a writer
holds a lock while it compares and writes. Reading takes no lock.
"""

import re
import secrets
from collections.abc import Iterator
from typing import Final, Protocol

from vault_core import api
from vault_plugin_keychain.kinds import Kind
from vault_plugin_keychain.opening import open_keychain

LOCK_SECONDS: Final = 20.0
"""How long to wait for other writers, each of which takes less than a second."""
_ENVELOPE = re.compile(r"1:(?P<version>[0-9a-f]{16}):")


class TextStore(Protocol):
    """Texts by key, with a list of the keys."""

    def get(self, name: str) -> str | None: ...
    def set(self, name: str, text: str) -> None: ...
    def delete(self, name: str) -> bool: ...
    def names(self) -> list[str]: ...


class KeychainStore(api.StorageBackend):
    """The items of one store in one keychain."""

    def __init__(self, ctx: api.Context, kind: Kind) -> None:
        self._ctx = ctx
        self._where = f"{kind.title}, under {ctx.options['name']!r}"
        self._texts = open_texts(ctx, kind)

    def get(self, key: str) -> api.Item | None:
        text = self._texts.get(key)
        return None if text is None else self._item(key, text)

    def put(self, key: str, value: api.Secret, *, expect: api.Expect = api.ANY) -> api.Version:
        version = secrets.token_hex(8)
        with self._ctx.lock("keychain", timeout=LOCK_SECONDS):
            self._check(key, expect)
            self._texts.set(key, f"1:{version}:{value.reveal_text()}")
        return version

    def delete(self, key: str, *, expect: api.Expect = api.ANY) -> bool:
        with self._ctx.lock("keychain", timeout=LOCK_SECONDS):
            self._check(key, expect)
            return self._texts.delete(key)

    def keys(self) -> Iterator[str]:
        return iter(self._texts.names())

    def _check(self, key: str, expect: api.Expect) -> None:
        if expect is api.ANY:
            return
        item = self.get(key)
        if (api.ABSENT if item is None else item.version) != expect:
            raise api.StorageConflict(f"{key} in {self._where} was changed by another process")

    def _item(self, key: str, text: str) -> api.Item:
        envelope = _ENVELOPE.match(text)
        if envelope is None:
            raise api.StorageCorrupt(
                f"the item {key} in {self._where} is not from awsv, or was written by a newer version",
                hint="update awsv, or delete that item in your keychain's own program",
            )
        return api.Item(value=api.Secret(text[envelope.end() :]), version=envelope["version"])


def open_texts(ctx: api.Context, kind: Kind) -> TextStore:
    """Open the keychain: directly if it can list its items, else with an index in it."""
    from vault_plugin_keychain.indexed import IndexedKeychain

    keychain = open_keychain(ctx, kind, ctx.options["name"])
    return keychain if hasattr(keychain, "names") else IndexedKeychain(keychain)
