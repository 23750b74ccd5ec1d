"""A store of several people: one's own keys first, everybody's only where that is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    Capability,
    Credentials,
    Expect,
    Item,
    SharedItems,
    StorageBackend,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    StorageLocked,
    StorageSpec,
    Version,
)
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret
from vault_core.settings import Settings
from vault_core.storage.vault import Store, Vault

OWN = Credentials(access_key_id="AKIAOWN", secret_access_key=Secret("own"))
COMMON = Credentials(access_key_id="AKIACOMMON", secret_access_key=Secret("common"))
ABLE = Capability.SHARED | Capability.CREATE_ONLY | Capability.CAS


class Items(StorageBackend):
    """A dictionary with versions, which remembers whether it was closed."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.written = 0
        self.closed = 0

    def get(self, key: str) -> Item | None:
        return self.items.get(key)

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        self._check(key, expect)
        self.written += 1
        self.items[key] = Item(value=value, version=str(self.written), written_by="ana since yesterday")
        return str(self.written)

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        self._check(key, expect)
        return self.items.pop(key, None) is not None

    def keys(self) -> Iterator[str]:
        yield from list(self.items)

    def close(self) -> None:
        self.closed += 1

    def _check(self, key: str, expect: Expect) -> None:
        there = self.items.get(key)
        if expect is not ANY and expect != (ABSENT if there is None else there.version):
            raise StorageConflict("something else is there")


class Shared(Items, SharedItems):
    """The same twice."""

    def __init__(self) -> None:
        super().__init__()
        self.everybodys = Items()

    def shared(self) -> StorageBackend:
        return self.everybodys


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Vault, Host]]:
    """A vault over a backend."""

    def make(backend: StorageBackend, **more: Any) -> tuple[Vault, Host]:
        host = Host(Settings({"HOME": str(tmp_path)}), Plugins())
        declared = {"at_rest": AtRest.SERVICE, "capabilities": ABLE, **more}
        spec = StorageSpec(name="team", summary="", open=lambda _: backend, **declared)
        context = host.context("storage", "team", (), store=host.settings.store("team"))
        return Vault(host, Store("team", spec, context)), host

    return make


def test_ones_own_key_comes_before_everybodys(make: Callable[..., tuple[Vault, Host]]) -> None:
    backend = Shared()
    vault, _ = make(backend)
    vault.put("work", COMMON, expect=ABSENT, shared=True)
    found = vault.get("work")
    assert found is not None
    assert (found.credentials, found.shared, found.written_by) == (COMMON, True, "ana since yesterday")
    assert vault.get("work", shared=False) is None
    vault.put("work", OWN, expect=ABSENT)
    found = vault.get("work")
    assert found is not None
    assert (found.credentials, found.shared) == (OWN, False)
    assert vault.owners() == {"work": False}
    assert vault.delete("work")
    assert vault.owners() == {"work": True}
    assert not vault.delete("work")
    assert vault.delete("work", shared=True)
    assert list(vault.names()) == []
    assert (backend.items, backend.everybodys.items) == ({}, {})


def test_moving_a_key_away_leaves_everybodys(make: Callable[..., tuple[Vault, Host]]) -> None:
    vault, _ = make(Shared())
    vault.put("work", COMMON, shared=True)
    assert vault.delete_only("work", COMMON) is False
    assert list(vault.names()) == ["work"]


def test_who_may_not_see_what_is_everybodys_sees_their_own(
    make: Callable[..., tuple[Vault, Host]], capfd: pytest.CaptureFixture[str]
) -> None:
    class Denied(Items):
        def keys(self) -> Iterator[str]:
            raise StorageDenied("the policy lets nobody list common keys")

    backend = Shared()
    backend.everybodys = Denied()
    vault, _ = make(backend)
    vault.put("work", OWN)
    assert vault.owners() == {"work": False}
    assert "the policy lets nobody list common keys" in capfd.readouterr().err


@pytest.mark.parametrize("locate", [None, lambda _: "the team's server"], ids=["by options", "by place"])
def test_what_is_opened_for_another_person_is_another_store(
    make: Callable[..., tuple[Vault, Host]], locate: Callable[[Any], str] | None
) -> None:
    """Else a session that was made for one would be served to the other."""
    found = {
        make(Shared(), locate=locate, principal=lambda _, who=who: who)[0].store.identity
        for who in ("ana", "ben", "ana")
    }
    assert len(found) == 2


def test_a_store_that_becomes_somebody_elses_before_it_is_opened_is_refused(
    make: Callable[..., tuple[Vault, Host]],
) -> None:
    """Else a session of theirs would be kept, and served, as one of ours."""
    who = ["ana"]
    vault, host = make(backend := Shared(), principal=lambda _: who[0])
    planned = vault.store.identity
    who[0] = "ben"
    for _ in range(2):
        with pytest.raises(StorageLocked, match="is not the store, or not the login"):
            vault.get("work")
    assert vault.store.identity == planned
    host.state.close_stores()
    assert backend.closed == 2


@pytest.mark.parametrize(
    ("backend", "more"),
    [
        (Items(), {}),
        (Shared(), {"capabilities": Capability.CREATE_ONLY}),
        (Shared(), {"at_rest": AtRest.BACKEND}),
    ],
    ids=["has-none", "does-not-say-so", "is-encrypted-for-one"],
)
def test_what_is_shared_takes_all_that_it_takes(
    backend: StorageBackend, more: dict[str, Any], make: Callable[..., tuple[Vault, Host]]
) -> None:
    vault, _ = make(backend, **more)
    with pytest.raises(StorageDenied, match="nothing in it is shared"):
        vault.put("work", OWN, shared=True)


@pytest.mark.parametrize("shared", [True, False])
def test_the_hint_of_a_damaged_item_removes_that_one(shared: bool, make: Callable[..., tuple[Vault, Host]]) -> None:
    backend = Shared()
    vault, _ = make(backend)
    (backend.everybodys if shared else backend).put("credentials/work", Secret("damaged"))
    with pytest.raises(StorageCorrupt) as refused:
        vault.get("work")
    assert f"'awsv remove --force{' --shared' if shared else ''} work'" in str(refused.value.hint)


def test_sessions_of_one_person_are_not_anothers(make: Callable[..., tuple[Vault, Host]]) -> None:
    """Part of a session's cache key."""
    places = {"locate": lambda _: "a place"}
    identities = {
        make(Shared(), **places, principal=whose)[0].store.identity
        for whose in (None, lambda _: "ana", lambda _: "ben", lambda _: "ben")
    }
    assert len(identities) == 3


def test_what_was_opened_is_closed(make: Callable[..., tuple[Vault, Host]]) -> None:
    backend = Shared()
    vault, host = make(backend)
    host.state.close_stores()
    assert backend.closed == 0  # it was not needed so far
    vault.put("work", OWN)
    host.state.close_stores()
    host.state.close_stores()
    assert backend.closed == 1


@pytest.mark.parametrize("shared", [True, False])
def test_only_a_key_that_is_stored_as_it_is_is_held(shared: bool, make: Callable[..., tuple[Vault, Host]]) -> None:
    vault, _ = make(Shared())
    assert not vault.holds("work", OWN)
    vault.put("work", OWN, shared=shared)
    assert vault.holds("work", OWN)
    assert not vault.holds("work", COMMON)
    assert not vault.holds("other", OWN)
