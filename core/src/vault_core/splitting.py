"""Values that are longer than a backend takes, in parts (``docs/adr/0013-splitting.md``).

A long value becomes parts and a manifest. The parts are written first, under names that nobody reads yet; then one
put of the manifest under the key itself makes them the value, so a reader sees the old value or the new one whole, and
``expect`` means what it always means. The parts of the replaced value go last. What an interrupted put leaves behind is
read by nobody, and a later put deletes it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from vault_core.api import ANY, Expect, Item, StorageBackend, Version
from vault_core.errors import StorageConflict, StorageCorrupt, StorageDenied, StorageError, StorageUnavailable
from vault_core.secret import Secret

PARTS = "part/"
"""The reserved kind of the keys that hold parts: ``part/<40 hex of SHA-256 of the key>.<generation>.<number>``."""
LEAST_LIMIT = 64
"""The least :attr:`~vault_core.api.StorageSpec.max_value`, in bytes: a manifest has to fit."""
ORPHANED = 3600
"""Seconds after which parts that no manifest names are taken for left behind, and deleted. Machines that share a store
may differ in their clocks by the better part of it."""
PATIENCE = 600
"""Seconds that a put may take to write its parts; after them it gives up, so that nobody deletes parts in use."""

MOST_PARTS = 100_000
"""The most parts of one value."""

_MARK = b"~"
_GENERATION = 15
_TRIES = 5  # a reader starts again when a writer was faster
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Split(StorageBackend):
    """A backend without a limit, over one that has it.

    :param inner: keeps manifests, parts, and the values that are short enough as they are.
    :param max_value: the most bytes that ``inner`` takes for a value, :data:`LEAST_LIMIT` or more.
    """

    def __init__(self, inner: StorageBackend, max_value: int) -> None:
        if max_value < LEAST_LIMIT:
            raise ValueError(f"max_value is {max_value}; {LEAST_LIMIT} is the least")
        self._inner = inner
        self._limit = max_value

    def get(self, key: str) -> Item | None:
        _refuse_reserved(key)
        before: Manifest | None = None
        for _ in range(_TRIES):
            item = self._inner.get(key)
            if item is None or not _is_manifest(item):
                return item
            manifest = Manifest.parse(item.value)
            value = self._joined(key, manifest) if manifest else None
            if value is not None:
                return replace(item, value=value)
            if manifest is None or manifest == before:
                raise StorageCorrupt(
                    f"{key} is kept in parts, and they are not all there as they were written",
                    hint="restore it from the service's own history or backup, or remove it and add it again",
                )
            before = manifest
        raise StorageUnavailable(f"{key} is being replaced all the time", hint="repeat it")

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        _refuse_reserved(key)
        replaced = self._manifest(key)
        data = value.reveal()
        if len(data) <= self._limit and not data.startswith(_MARK):
            version = self._inner.put(key, value, expect=expect)
        else:
            version = self._put_parts(key, data, expect)
        if replaced:
            self._drop(key, replaced)
        self._sweep()
        return version

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        _refuse_reserved(key)
        manifest = self._manifest(key)
        deleted = self._inner.delete(key, expect=expect)
        if manifest:
            self._drop(key, manifest)
        return deleted

    def keys(self) -> Iterator[str]:
        return filter(lambda key: not key.startswith(PARTS), self._inner.keys())

    def close(self) -> None:
        self._inner.close()

    def _manifest(self, key: str) -> Manifest | None:
        """The manifest that is there; None for anything else, a damaged one included: it can be replaced."""
        item = self._inner.get(key)
        return Manifest.parse(item.value) if item else None

    # -- the parts of one value ----------------------------------------------------------------------------------------

    def _put_parts(self, key: str, data: bytes, expect: Expect) -> Version:
        pieces = [data[start : start + self._limit] for start in range(0, len(data), self._limit)]
        if len(pieces) > MOST_PARTS:
            raise StorageDenied(f"{key} would need {len(pieces)} parts; {MOST_PARTS} is the most")
        manifest = Manifest.new(len(pieces), data)
        begun = time.time()  # a machine may sleep meanwhile, which no other clock counts everywhere
        try:
            for name, piece in zip(manifest.parts(key), pieces, strict=True):
                self._inner.put(name, Secret(piece))
            if abs(time.time() - begun) > PATIENCE:
                raise StorageUnavailable(f"writing {key} took more than {PATIENCE} s; nothing was changed")
        except StorageError:
            self._drop(key, manifest)
            raise
        try:
            return self._inner.put(key, manifest.text(), expect=expect)
        except StorageConflict:  # of any other failure the outcome is unknown: the parts may be the value now
            found = self._inner.get(key)
            if found is not None and found.value == manifest.text():
                return found.version  # it was put, the answer was lost, and the client put it once more
            self._drop(key, manifest)
            raise

    def _joined(self, key: str, manifest: Manifest) -> Secret | None:
        """The value, or None if its parts are not all there as they were written."""
        pieces = []
        for name in manifest.parts(key):
            part = self._inner.get(name)
            if part is None:
                return None
            pieces.append(part.value.reveal())
        data = b"".join(pieces)
        return Secret(data) if manifest.digest == hashlib.sha256(data).digest() else None

    def _drop(self, key: str, manifest: Manifest) -> None:
        """Delete the parts of a value that is no more. Where that fails they are left for :meth:`_sweep`: the value
        itself was kept or deleted as asked for."""
        try:
            for name in manifest.parts(key):
                if not self._inner.delete(name):
                    return
        except StorageError:
            return

    def _sweep(self) -> None:
        """Delete what interrupted puts and deletes have left behind, an hour and more ago."""
        try:
            names = list(self._inner.keys())
        except StorageError:  # who may write need not be allowed to list; and what was put is there
            return
        latest = int(time.time()) - ORPHANED
        old = [name for name in names if name.startswith(PARTS) and _begun(name) < latest]
        if not old:
            return
        owners = {_digest(key): key for key in names if not key.startswith(PARTS)}
        try:
            for name in old:
                key = owners.get(name.removeprefix(PARTS).partition(".")[0])
                manifest = self._manifest(key) if key else None
                if key is None or manifest is None or name not in manifest.parts(key):
                    self._inner.delete(name)
        except StorageError:
            return


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands under a key in place of a long value: ``~<generation>.<count>.<SHA-256 in Base85>``.

    The generation is the time of writing (seconds since 1970, seven digits of base 36) and eight random digits.
    """

    generation: str
    count: int
    digest: bytes

    @classmethod
    def new(cls, count: int, data: bytes) -> Self:
        """For a value that is about to be written."""
        generation = _base36(int(time.time()), 7) + "".join(secrets.choice(_DIGITS) for _ in range(8))
        return cls(generation, count, hashlib.sha256(data).digest())

    @classmethod
    def parse(cls, value: Secret) -> Self | None:
        """The manifest that a value is, or None."""
        text = value.reveal()
        if not text.startswith(_MARK):
            return None
        try:
            generation, count, digest = text[1:].decode("ascii").split(".", 2)
            found = cls(generation, int(count), base64.b85decode(digest))
        except ValueError:
            return None
        whole = found.text() == value and len(generation) == _GENERATION and 0 < found.count <= MOST_PARTS
        return found if whole else None

    def text(self) -> Secret:
        """As it is kept."""
        digest = base64.b85encode(self.digest).decode("ascii")
        return Secret(f"{_MARK.decode()}{self.generation}.{self.count}.{digest}")

    def parts(self, key: str) -> Iterator[str]:
        """The keys of the parts, in order."""
        return (f"{PARTS}{_digest(key)}.{self.generation}.{number}" for number in range(self.count))


def _is_manifest(item: Item) -> bool:
    """Whether it is one, whole or damaged: any other value that begins like one is kept in parts itself."""
    return item.value.reveal().startswith(_MARK)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("ascii")).hexdigest()[:40]


def _begun(name: str) -> float:
    """When the put began that wrote this part, in seconds since 1970; what is not ours is never old."""
    try:
        return int(name.split(".")[1][:7], 36)
    except (IndexError, ValueError):
        return float("inf")


def _base36(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


def _refuse_reserved(key: str) -> None:
    if key.startswith(PARTS):
        raise StorageDenied(f"keys that begin with {PARTS} are reserved for the parts of long values")
