"""Two good backends, as small as they can be: one JSON file, replaced as a whole under a lock.

``toy`` leaves the encryption to the core; ``toy-box`` encrypts by itself. The faulty backends beside are made of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
from collections.abc import Iterator
from typing import Any

from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    Capability,
    Item,
    Secret,
    SharedItems,
    StorageBackend,
    StorageConflict,
    StorageCorrupt,
    StorageSpec,
    StorageUnavailable,
    WrongSecret,
    hookimpl,
)

EVERYTHING = Capability.CREATE_ONLY | Capability.CAS


class Toy(StorageBackend):
    def __init__(self, ctx: Any) -> None:
        self.ctx = ctx
        self.path = ctx.data_dir / "toy.json"

    def get(self, key: Any) -> Any:
        found = self._read().get(key)
        return found and Item(value=Secret(found[0]), version=found[1])

    def put(self, key: Any, value: Any, *, expect: Any = ANY) -> Any:
        with self._locked():
            items = self._read()
            self._check(items.get(key), expect)
            items[key] = [value.reveal_text(), self._version()]
            self._write(items)
            return items[key][1]

    def delete(self, key: Any, *, expect: Any = ANY) -> Any:
        with self._locked():
            items = self._read()
            self._check(items.get(key), expect)
            found = items.pop(key, None) is not None
            self._write(items)
            return found

    def keys(self) -> Any:
        return iter(self._read())

    def _version(self) -> Any:
        return secrets.token_hex(8)

    def _check(self, found: Any, expect: Any) -> None:
        if expect is not ANY and (ABSENT if found is None else found[1]) != expect:
            raise StorageConflict(f"something else is in {self.path}")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.path.with_suffix(".lock").open("w")
        except OSError as error:
            raise StorageUnavailable(f"{self.path} cannot be locked: {error.strerror}") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> Any:
        try:
            return self._unpacked(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageUnavailable(f"{self.path} cannot be read: {error.strerror}") from None
        except ValueError:
            raise StorageCorrupt(f"{self.path} is damaged") from None

    def _write(self, items: Any) -> None:
        new = self.path.with_suffix(f".{secrets.token_hex(4)}.new")
        new.write_bytes(self._packed(items))
        new.replace(self.path)

    def _packed(self, items: Any) -> Any:
        return json.dumps(items).encode()

    def _unpacked(self, data: Any) -> Any:
        return json.loads(data)


class Service(Toy):
    """In place of a service that encrypts with a key of its own."""

    def _packed(self, items: Any) -> Any:
        return _fernet().encrypt(super()._packed(items))

    def _unpacked(self, data: Any) -> Any:
        from cryptography.fernet import InvalidToken

        try:
            return super()._unpacked(_fernet().decrypt(data))
        except InvalidToken:
            raise ValueError("damaged") from None


def _fernet() -> Any:
    from cryptography.fernet import Fernet

    return Fernet(b"A" * 43 + b"=")


class Office(Service, SharedItems):
    """Has a second file that everybody shares."""

    def shared(self) -> Any:
        common = Service(self.ctx)
        common.path = self.path.with_name("common.json")
        return common


class Box(Toy):
    """Encrypts its file under a key from :meth:`Context.unlock`."""

    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)
        self._key = None

    def _packed(self, items: Any) -> Any:
        return self._cipher(create=not self.path.exists()).encrypt(super()._packed(items))

    def _unpacked(self, data: Any) -> Any:
        from cryptography.fernet import InvalidToken

        try:
            return super()._unpacked(self._cipher(data).decrypt(data))
        except InvalidToken:
            raise ValueError("damaged") from None

    def _cipher(self, data: bytes = b"", *, create: bool = False) -> Any:
        from cryptography.fernet import Fernet

        if self._key is None:
            self._key = self.ctx.unlock("toy-box/key", self._derive, create=create)
        return Fernet(self._key.reveal())  # type: ignore[attr-defined]  # unlocked in the lines before

    def _derive(self, secret: Any) -> Any:
        import base64
        import hashlib

        from cryptography.fernet import Fernet, InvalidToken

        key = base64.urlsafe_b64encode(hashlib.sha256(secret.reveal()).digest())
        if self.path.exists():
            try:
                Fernet(key).decrypt(self.path.read_bytes())
            except InvalidToken:
                raise WrongSecret("wrong passphrase, or a damaged file") from None
        return Secret(key)


def spec(name: Any, open: Any, at_rest: Any = AtRest.CORE, capabilities: Any = Capability.NONE, **more: Any) -> Any:
    return StorageSpec(
        name=name, summary=f"{name} for tests", open=open, at_rest=at_rest, capabilities=capabilities, **more
    )


@hookimpl
def vault_storage_backends() -> Any:
    return (
        spec("toy", Toy, capabilities=EVERYTHING),
        spec("toy-box", Box, AtRest.BACKEND, EVERYTHING),
        spec("toy-versions", Toy, capabilities=Capability.CAS),
        spec("toy-office", Office, AtRest.SERVICE, Capability.SHARED | Capability.CREATE_ONLY),
        spec("toy-short", Service, AtRest.SERVICE, max_value=100),
    )
