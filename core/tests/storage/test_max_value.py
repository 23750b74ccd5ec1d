"""A value above the limit of a backend is refused before the store is made, asked for or written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.memory_backend import MemoryBackend
from vault_core.api import AtRest, Credentials, Secret, StorageError, StorageSpec, VaultError
from vault_core.asking import Asking
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.settings import Settings
from vault_core.storage.vault import Store, Vault

KEY = Credentials(access_key_id="AKIAWORK", secret_access_key=Secret("s" * 40))
SIZE = len(json.dumps({"access_key_id": "AKIAWORK", "secret_access_key": "s" * 40}))
SEALED = len("vlt1:") + 4 * -(-(32 + SIZE + 16) // 3)


def vault(root: Path, inner: MemoryBackend, at_rest: AtRest, most: int) -> Vault:
    spec = StorageSpec(name="odd", summary="s", open=lambda _: inner, at_rest=at_rest, max_value=most)
    host = Host(Settings({"HOME": str(root)}), Plugins(), asking=Asking(allowed=False))
    return Vault(host, Store("odd", spec, host.context("storage", "odd", (), store=host.settings.store("odd"))))


@pytest.mark.parametrize(("at_rest", "size"), [(AtRest.SERVICE, SIZE), (AtRest.CORE, SEALED)], ids=["plain", "sealed"])
def test_put_above_the_limit_is_refused(at_rest: AtRest, size: int, tmp_path: Path) -> None:
    inner = MemoryBackend()
    with pytest.raises(StorageError) as refused:
        vault(tmp_path, inner, at_rest, size - 1).put("work", KEY)
    wanted = f"the key of 'work' takes {size} bytes, and store 'odd' (odd) keeps at most {size - 1} in one item"
    assert (refused.value.message, refused.value.hint) == (
        f"{wanted}; nothing was changed",
        "name another store with --backend",
    )
    assert (refused.value.exit_code, inner.kept) == (4, {})


def test_put_at_the_limit_is_stored(tmp_path: Path) -> None:
    opened = vault(tmp_path, MemoryBackend(), AtRest.SERVICE, SIZE)
    opened.put("work", KEY)
    stored = opened.get("work")
    assert stored is not None
    assert stored.credentials == KEY


def test_sealed_put_at_the_limit_asks_for_the_passphrase(tmp_path: Path) -> None:
    """The size is right, so the next step is the passphrase, and this host has none."""
    with pytest.raises(VaultError, match="passphrase"):
        vault(tmp_path, MemoryBackend(), AtRest.CORE, SEALED).put("work", KEY)


def test_original_above_the_limit_is_refused(tmp_path: Path) -> None:
    inner = MemoryBackend()
    opened = vault(tmp_path, inner, AtRest.SERVICE, 64)
    with pytest.raises(StorageError, match="the backup of a plain file takes 65 bytes, and store 'odd'"):
        opened.keep_backup("credentials", Secret("x" * 65))
    assert inner.kept == {}
    opened.keep_backup("credentials", Secret("x" * 64))
    assert opened.backup("credentials") == Secret("x" * 64)
