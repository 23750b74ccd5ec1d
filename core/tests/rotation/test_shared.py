"""A key that the users of a store share is rotated only if that is asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import Credentials, Secret
from vault_core.errors import StorageDenied, StorageError
from vault_core.rotation.many import Rotations
from vault_core.rotation.place import Place
from vault_core.storage.vault import StoredKey

KEY = StoredKey(Credentials(access_key_id="AKIA", secret_access_key=Secret("s")), "1", shared=True)


def place(found: dict[bool, StoredKey | None], *, shared: bool) -> Place:
    store = SimpleNamespace(is_shared=True, place="the server", name="team")
    vault: Any = SimpleNamespace(store=store, get=lambda name, shared: found[shared])
    nothing: Any = None
    return Place("deploy", "deploy", vault, nothing, nothing, print, None, shared=shared)


def stored(place: Place) -> StoredKey:
    nothing: Any = None
    return Rotations._stored(nothing, place)


def test_shared_key_is_refused_without_the_flag_and_found_with_it() -> None:
    found = {True: KEY, False: None}
    with pytest.raises(StorageDenied, match="is shared: all its users") as caught:
        stored(place(found, shared=False))
    assert "--shared" in (caught.value.hint or "")
    assert stored(place(found, shared=True)) is KEY


def test_own_key_comes_first_and_none_is_an_error() -> None:
    own = StoredKey(KEY.credentials, "1")
    assert stored(place({True: KEY, False: own}, shared=False)) is own
    with pytest.raises(StorageError, match="no key is stored"):
        stored(place({True: None, False: None}, shared=False))
