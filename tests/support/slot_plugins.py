"""Plugins that tests of slots install: a source that keeps keys, and two backends. Sources of modules, as text."""

from __future__ import annotations

KEYRING = '''
"""A passphrase source that keeps keys in a file; ``keyring-mode`` says how it misbehaves."""
from __future__ import annotations
import json
from vault_core.api import *

class Keyring(PassphraseSource):
    def __init__(self, ctx):
        self.path = ctx.data_dir.with_name("keyring.json")
        self.mode = ctx.environ.get("KEYRING_MODE", "")
    def _kept(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}
    def get(self, request):
        if self.mode == "locked":
            raise SourceUnavailable("the keyring is locked")
        found = self._kept().get(request.key_id)
        return None if found is None or self.mode == "loses" else Secret(found)
    def put(self, request, secret):
        if self.mode == "refuses":
            raise SourceUnavailable("the keyring is locked")
        self.path.write_text(json.dumps({**self._kept(), request.key_id: secret.reveal_text()}))
    def forget(self, request):
        if self.mode == "locked":
            raise SourceUnavailable("the keyring is locked")
        kept = self._kept()
        found = kept.pop(request.key_id, None)
        self.path.write_text(json.dumps(kept))
        return found is not None

@hookimpl
def vault_passphrase_sources():
    return (PassphraseSourceSpec(name="keyring", summary="keeps keys", open=Keyring, writable=True),)
'''
SHELF = '''
"""A storage backend without encryption: one file a key."""
from __future__ import annotations
import os
from vault_core.api import *

class Shelf(StorageBackend):
    def __init__(self, ctx):
        self.root = ctx.data_dir.with_name("shelf")
        self.root.mkdir(parents=True, exist_ok=True)
    def _path(self, key):
        return self.root / key.replace("/", "@")
    def get(self, key):
        path = self._path(key)
        if not path.exists():
            return None
        data = path.read_bytes()
        return Item(value=Secret(data), version=str(hash(data)))
    def put(self, key, value, *, expect=ANY):
        if expect is ABSENT and self._path(key).exists():
            raise StorageConflict(key)
        temp = self.root / f".{os.getpid()}"
        temp.write_bytes(value.reveal())
        temp.replace(self._path(key))
        return "1"
    def delete(self, key, *, expect=ANY):
        there = self._path(key).exists()
        self._path(key).unlink(missing_ok=True)
        return there
    def keys(self):
        return (path.name.replace("@", "/") for path in self.root.iterdir() if not path.name.startswith("."))

@hookimpl
def vault_storage_backends():
    return (StorageSpec(name="shelf", summary="files", open=Shelf, capabilities=Capability.CREATE_ONLY),)
'''
PLAIN = '''
"""A storage backend that protects what it keeps by itself."""
from vault_core.api import *

class Plain(StorageBackend):
    def get(self, key): return None
    def put(self, key, value, *, expect=ANY): return "1"
    def delete(self, key, *, expect=ANY): return False
    def keys(self): return iter(())

@hookimpl
def vault_storage_backends():
    return (StorageSpec(name="plain", summary="a service", open=lambda ctx: Plain(), at_rest=AtRest.SERVICE),)
'''
