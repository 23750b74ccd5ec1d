"""A storage plugin of a stranger's, who wrote no cryptography: a dictionary in a file."""

from __future__ import annotations

from support.overlay_env import HEADER
from support.vaults import OTHER_ID, OTHER_SECRET

DRAWER = {"AWS_VAULT_DRAWER_PASSPHRASE": "a long passphrase of the drawer"}
"""What opens the store ``drawer``."""
NEW = {"AWS_ACCESS_KEY_ID": OTHER_ID, "AWS_SECRET_ACCESS_KEY": OTHER_SECRET}
"""The key for ``add --env``."""

THIRD_PARTY = (
    HEADER
    + '''
import json
from pathlib import Path

class Drawer(StorageBackend):
    """A dictionary in a file; no cryptography."""

    def __init__(self, path):
        self.path = path

    def _read(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get(self, key):
        value = self._read().get(key)
        return None if value is None else Item(value=Secret(value), version=value)

    def put(self, key, value, *, expect=ANY):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({**self._read(), key: value.reveal_text()}))
        return value.reveal_text()

    def delete(self, key, *, expect=ANY):
        found = self._read()
        there = found.pop(key, None) is not None
        self.path.write_text(json.dumps(found))
        return there

    def keys(self):
        return iter(self._read())

def where(ctx):
    return Path(ctx.options["place"] or ctx.data_dir / "drawer.json")

@hookimpl
def vault_storage_backends():
    return (StorageSpec(
        name="drawer", summary="a drawer", open=lambda ctx: Drawer(where(ctx)), locate=lambda ctx: str(where(ctx)),
        options=(Option(name="place", help="a file"), Option(name="pin", help="digits", parse=int, secret=True)),
    ),)
'''
)
"""The module of the storage backend ``drawer``: options ``place`` and, secret, ``pin``."""
