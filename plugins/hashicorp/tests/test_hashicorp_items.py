"""Items with check-and-set: versions are never reused, deletions leave nothing, lost responses are looked up."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.lossy_proxy import LossyProxy, first
from support.openbao import Refused, Server
from vault_core.api import (
    ABSENT,
    ANY,
    Cancelled,
    Secret,
    StorageConflict,
    StorageCorrupt,
    StorageDenied,
    StorageUnavailable,
)
from vault_plugin_hashicorp import client
from vault_plugin_hashicorp.items import escape, unescape
from vault_plugin_hashicorp.store import Store

ONE, TWO, THREE = Secret("one"), Secret("two"), Secret("three")


@pytest.fixture
def person(openbao: Server) -> str:
    """A token of a user with the team's policy."""
    return openbao.person(f"ana-{secrets.token_hex(4)}")


@pytest.fixture
def store(openbao: Server, person: str, open_store: Callable[..., Any]) -> Store:
    opened: Store = open_store(openbao.environ(person))[0]
    return opened


@pytest.fixture
def behind(front: LossyProxy, person: str, open_store: Callable[..., Any]) -> Store:
    """The user's store, through the recording proxy."""
    opened: Store = open_store({"VAULT_ADDR": front.url, "VAULT_TOKEN": person})[0]
    return opened


def at(store: Store, key: str, *, kind: str = "data") -> str:
    """The path of an item in the API."""
    return f"secret/{kind}/{store.folder}/{key}"


# -- versions ----------------------------------------------------------------------------------------------------------


def test_version_of_deleted_item_is_never_current_again(store: Store) -> None:
    old = store.put("test/key", ONE, expect=ABSENT)
    assert store.delete("test/key", expect=old)
    with pytest.raises(StorageConflict):
        store.put("test/key", TWO, expect=old)
    assert store.get("test/key") is None
    new = store.put("test/key", TWO, expect=ABSENT)
    assert new != old
    with pytest.raises(StorageConflict):
        store.put("test/key", THREE, expect=old)
    with pytest.raises(StorageConflict):
        store.delete("test/key", expect=old)
    item = store.get("test/key")
    assert item is not None
    assert (item.value, item.version) == (TWO, new)


def test_version_is_not_current_again_after_metadata_deletion(openbao: Server, store: Store) -> None:
    """Operators may purge an item: version numbers start again at 1, and the new version 1 is not the old one."""
    old = store.put("test/key", ONE)
    openbao.call("DELETE", at(store, "test/key", kind="metadata"))
    new = store.put("test/key", TWO, expect=ABSENT)
    assert (old.partition("@")[0], new.partition("@")[0]) == ("1", "1")
    with pytest.raises(StorageConflict):
        store.put("test/key", THREE, expect=old)
    with pytest.raises(StorageConflict):
        store.delete("test/key", expect=old)


def test_item_deleted_by_other_program_is_absent(openbao: Server, store: Store) -> None:
    old = store.put("test/key", ONE)
    openbao.call("DELETE", at(store, "test/key"))  # bao kv delete
    assert store.get("test/key") is None
    assert list(store.keys()) == []
    assert store.delete("test/key") is False
    with pytest.raises(StorageConflict):
        store.put("test/key", TWO, expect=old)
    store.put("test/key", TWO, expect=ABSENT)
    assert list(store.keys()) == ["test/key"]


def test_delete_destroys_every_version(openbao: Server, store: Store) -> None:
    for value in (ONE, TWO, THREE):
        store.put("test/key", value)
    assert store.delete("test/key")
    versions = openbao.call("GET", at(store, "test/key", kind="metadata"))["data"]["versions"]
    assert [version["destroyed"] for version in versions.values()] == [True] * 4
    for number in versions:
        with pytest.raises(Refused) as refused:
            openbao.call("GET", f"{at(store, 'test/key')}?version={number}")
        assert refused.value.status == 404


def test_get_finishes_interrupted_deletion(openbao: Server, store: Store) -> None:
    store.put("test/key", ONE)
    openbao.call("POST", at(store, "test/key"), {"data": {"deleted": True}})
    assert store.get("test/key") is None
    versions = openbao.call("GET", at(store, "test/key", kind="metadata"))["data"]["versions"]
    assert [version["destroyed"] for version in versions.values()] == [True] * 2
    assert list(store.keys()) == []


def test_delete_without_destroy_policy_warns(openbao: Server, open_store: Callable[..., Any]) -> None:
    rules = (
        'path "secret/*" { capabilities = ["create", "read", "update", "list"] }\n'
        'path "secret/destroy/*" { capabilities = ["deny"] }'
    )
    openbao.call("PUT", "sys/policies/acl/no-destroy", {"policy": rules})
    store, host = open_store(openbao.environ(openbao.person("keeper", policies=["no-destroy"])))
    for key in ("test/one", "test/two"):
        store.put(key, ONE)
        assert store.delete(key)
        assert store.get(key) is None
    assert len(host.notes) == 1
    assert "earlier versions can still be read" in host.notes[0]
    assert 'path "secret/destroy/awsv/own/{{identity.entity.id}}/*" { capabilities = ["update"] }' in host.notes[0]


# -- who holds a name --------------------------------------------------------------------------------------------------


def test_conflict_names_writer(openbao: Server, open_store: Callable[..., Any]) -> None:
    ana, _ = open_store(openbao.environ(openbao.person("ana")))
    ben, _ = open_store(openbao.environ(openbao.person("ben")))
    name = f"test/{secrets.token_hex(4)}"
    ana.shared().put(name, ONE, expect=ABSENT)
    with pytest.raises(StorageConflict, match=r"is taken: ana on \S+ since \d{4}-\d\d-\d\d \d\d:\d\d UTC") as conflict:
        ben.shared().put(name, TWO, expect=ABSENT)
    assert conflict.value.exit_code == 4
    item = ben.shared().get(name)
    assert item is not None
    assert item.written_by.startswith("ana on ")
    assert item.value == ONE


def test_forged_writer_name_is_on_one_line(openbao: Server, store: Store) -> None:
    forged = {"value": "x", "by": "ana\n\x1b[2Jawsv: all is well" + "a" * 100, "host": "a\rb"}
    openbao.call("POST", at(store, "test/key"), {"data": forged})
    item = store.get("test/key")
    assert item is not None
    assert item.written_by.isprintable()
    assert len(item.written_by) < 110


# -- what others wrote -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [{"value": 5}, {"other": "canary-value"}, {"value": "canary\nvalue"}, {"value": ""}])
def test_foreign_secret_is_named_and_not_shown(openbao: Server, store: Store, data: dict[str, Any]) -> None:
    openbao.call("POST", at(store, "test/key"), {"data": data})
    with pytest.raises(StorageCorrupt) as corrupt:
        store.get("test/key")
    assert f"secret/{store.folder}/test/key" in corrupt.value.message
    assert "canary" not in corrupt.value.message


def test_item_written_by_hand_is_read(openbao: Server, store: Store) -> None:
    openbao.call("POST", at(store, "test/key"), {"data": {"value": "by hand"}})
    item = store.get("test/key")
    assert item is not None
    assert item.value == Secret("by hand")
    assert item.written_by.startswith("since 2")


# -- lost answers ------------------------------------------------------------------------------------------------------


def test_put_with_lost_response_is_not_repeated(front: LossyProxy, behind: Store) -> None:
    front.lose_answer = first(2, "POST", "/data/")
    version = behind.put("test/key", ONE, expect=ABSENT)
    assert version.startswith("1@")
    item = behind.get("test/key")
    assert item is not None
    assert (item.version, item.value) == (version, ONE)


def test_put_with_lost_response_is_recognised_after_replacement(front: LossyProxy, behind: Store, store: Store) -> None:
    """Our write was version 1, another client's is version 2: ours is not repeated over theirs."""

    def lose_and_replace(method: str, path: str) -> bool:
        if method == "POST" and "/data/" in path and not replaced:
            replaced.append(store.put("test/key", TWO))
            return True
        return False

    replaced: list[str] = []
    front.lose_answer = lose_and_replace
    version = behind.put("test/key", ONE, expect=ABSENT)
    assert (version.partition("@")[0], replaced[0].partition("@")[0]) == ("1", "2")
    item = store.get("test/key")
    assert item is not None
    assert item.value == TWO


def test_put_with_lost_response_is_unknown_after_deletion(front: LossyProxy, behind: Store, store: Store) -> None:
    """It cannot be decided whose version was destroyed, so the outcome is reported as unknown."""

    def lose_and_delete(method: str, path: str) -> bool:
        if method == "POST" and "/data/" in path and not deleted:
            deleted.append(store.delete("test/key"))
            return True
        return False

    deleted: list[bool] = []
    front.lose_answer = lose_and_delete
    with pytest.raises(StorageUnavailable, match="may or may not have been written"):
        behind.put("test/key", ONE)
    assert deleted == [True]
    assert store.get("test/key") is None


@pytest.mark.parametrize("expect", [ABSENT, ANY], ids=["if there is none", "in any case"])
def test_write_of_another_process_is_not_taken_for_lost_one(
    expect: Any, front: LossyProxy, behind: Store, store: Store
) -> None:
    """The request is lost, another client writes that version, and the retry is refused."""
    lose = first(1, "POST", "/data/")

    def lose_while_another_writes(method: str, path: str) -> bool:
        lost = lose(method, path)
        if lost:
            store.put("test/key", TWO)
        return lost

    front.lose_request = lose_while_another_writes
    if expect is ABSENT:
        with pytest.raises(StorageConflict, match="is taken"):
            behind.put("test/key", ONE, expect=ABSENT)
    else:
        behind.put("test/key", ONE)
    item = store.get("test/key")
    assert item is not None
    assert item.value == (TWO if expect is ABSENT else ONE)


def test_lagging_standby_is_waited_for(front: LossyProxy, behind: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our version, whose response was lost, is not visible at first: it is not taken for another process's."""
    read, late = behind.service.read, [3]

    def behind_at_first(path: str, number: int | None = None) -> Any:
        if number is not None and late[0]:
            late[0] -= 1
            return {}, None
        return read(path, number)

    front.lose_answer = first(1, "POST", "/data/")
    monkeypatch.setattr(behind.service, "read", behind_at_first)
    assert behind.put("test/key", ONE, expect=ABSENT).startswith("1@")
    assert late == [0]


def test_delete_with_lost_response_is_recognised(front: LossyProxy, behind: Store) -> None:
    version = behind.put("test/key", ONE)
    front.lose_answer = first(1, "POST", "/data/")
    assert behind.delete("test/key", expect=version) is True
    assert behind.get("test/key") is None


@pytest.mark.parametrize("expect", [ANY, ABSENT], ids=["any", "absent"])
def test_put_with_unknown_outcome_is_an_error(
    front: LossyProxy, behind: Store, expect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.5)
    front.lose_answer = lambda method, path: method == "POST" and "/data/" in path
    with pytest.raises(StorageUnavailable, match="closed the connection"):
        behind.put("test/key", ONE, expect=expect)


def test_retry_can_be_cancelled(front: LossyProxy, behind: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def enough() -> None:
        raise Cancelled("the time for this is over")

    front.lose_answer = lambda _method, _path: True
    monkeypatch.setattr(behind.service.client._context, "check", enough)
    with pytest.raises(Cancelled):
        behind.get("test/key")


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_denied_request_names_missing_policy(openbao: Server, open_store: Callable[..., Any]) -> None:
    openbao.call(
        "PUT", "sys/policies/acl/mount-only", {"policy": 'path "secret/data/else" { capabilities = ["read"] }'}
    )
    store, _ = open_store(openbao.environ(openbao.person("outsider", policies=["mount-only"])))
    for action, rule in (
        (lambda: store.get("test/key"), 'path "secret/data/awsv/own/{{identity.entity.id}}/*"'),
        (lambda: store.shared().get("test/key"), 'path "secret/data/awsv/common/*" { capabilities = ["read"] }'),
        (lambda: list(store.shared().keys()), 'path "secret/metadata/awsv/common/*" { capabilities = ["list"] }'),
    ):
        with pytest.raises(StorageDenied, match="does not allow outsider") as denied:
            action()
        assert denied.value.hint is not None
        assert rule in denied.value.hint


def test_write_of_read_only_user_is_denied(openbao: Server, open_store: Callable[..., Any]) -> None:
    rules = 'path "secret/data/awsv/common/*" { capabilities = ["read"] }'
    openbao.call("PUT", "sys/policies/acl/reader", {"policy": rules})
    store, _ = open_store(openbao.environ(openbao.person("reader", policies=["reader"])))
    with pytest.raises(StorageDenied, match="does not allow reader to create and update"):
        store.shared().put("test/by-reader", Secret("canary-value"))


def test_read_only_user_gets_no_warning_about_old_versions(openbao: Server, open_store: Callable[..., Any]) -> None:
    rules = 'path "secret/data/awsv/common/*" { capabilities = ["read"] }'
    openbao.call("PUT", "sys/policies/acl/reader", {"policy": rules})
    store, host = open_store(openbao.environ(openbao.person("reader", policies=["reader"])))
    openbao.call("POST", "secret/data/awsv/common/test/half-deleted", {"data": {"deleted": True}})
    assert store.shared().get("test/half-deleted") is None
    assert host.notes == []


# -- keys --------------------------------------------------------------------------------------------------------------

KEYS = st.from_regex(r"[a-z0-9_-]{1,5}/[a-z0-9._-]{1,12}", fullmatch=True)


@given(KEYS, KEYS)
@example("a/..", "a/.")
@example("a/a..b", "a/a.b")
@example("a/...", "a/a.")
def test_escaped_paths_are_safe_and_unique(one: str, other: str) -> None:
    path = escape(one)
    assert unescape(path) == one
    assert ".." not in path
    assert not any(part in ("", ".") or part.endswith(".") for part in path.split("/"))
    assert (path == escape(other)) == (one == other)
