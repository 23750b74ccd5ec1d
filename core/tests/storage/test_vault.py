"""Names and keys as items of a store: the encoding of names, and what is done when a store holds something else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    Capability,
    Credentials,
    Expect,
    Item,
    StorageBackend,
    StorageConflict,
    StorageSpec,
    Version,
)
from vault_core.errors import StorageCorrupt, UsageError
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.secret import Secret
from vault_core.settings import Settings
from vault_core.storage.vault import CREDENTIALS, MAX_NAME, Store, Vault, check_name, decode, encode

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda name: len(name.encode()) <= MAX_NAME
)


@given(NAMES)
@example("a" * MAX_NAME)
@example("😀" * 63)
@example("../../etc/passwd")
@example(".2e")
@example("\x1b[2J\n")
def test_a_name_survives_its_encoding(name: str) -> None:
    assert check_name(name) == name
    encoded = encode(name)
    assert re.fullmatch(r"[a-z0-9._-]+", encoded)
    assert len(CREDENTIALS + encoded) <= 900
    assert decode(encoded) == name


@given(NAMES, NAMES)
def test_two_names_never_share_an_item(one: str, other: str) -> None:
    assert (encode(one) == encode(other)) == (one == other)


@given(st.text("abz09._-2ef", max_size=12))
def test_what_encode_does_not_make_is_refused(text: str) -> None:
    try:
        name = decode(text)
    except StorageCorrupt:
        return
    assert encode(name) == text


@pytest.mark.parametrize("text", ["", ".", ".6", ".61", ".zz", ".-1", ".FF", "A", ".ff", "ä", ".0a.", "a..2e", "a/b"])
def test_names_that_awsv_did_not_write(text: str) -> None:
    with pytest.raises(StorageCorrupt, match="which awsv did not write"):
        decode(text)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "is empty"),
        ("a" * 256, "has 256 bytes; 255 is the most"),
        ("ä" * 128, "has 256 bytes"),
        ("a\0b", "holds a NUL byte"),
        ("a\udcff", "is not UTF-8"),
        ("\ud800", "is not UTF-8"),
    ],
)
def test_names_that_cannot_be_stored(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_name(name)


class Memory(StorageBackend):
    """A dictionary."""

    def __init__(self, capabilities: Capability) -> None:
        self.items: dict[str, Secret] = {}
        self.expected: list[Expect] = []
        self._capabilities = capabilities

    def get(self, key: str) -> Item | None:
        return Item(value=self.items[key], version="1") if key in self.items else None

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Version:
        self.expected.append(expect)
        if expect is ABSENT and key in self.items:
            raise StorageConflict("taken")
        self.items[key] = value
        return "1"

    def delete(self, key: str, *, expect: Expect = ANY) -> bool:
        return self.items.pop(key, None) is not None

    def keys(self) -> Iterator[str]:
        return iter(self.items)


KEY = Credentials(access_key_id="AKIAQ2QZ7YJ3LEXAMPLE", secret_access_key=Secret("s" * 40))


def vault(root: Path, capabilities: Capability = Capability.NONE) -> tuple[Vault, Memory]:
    memory = Memory(capabilities)
    spec = StorageSpec(
        name="memory", summary="s", open=lambda _: memory, at_rest=AtRest.SERVICE, capabilities=capabilities
    )
    host = Host(Settings({"HOME": str(root)}), Plugins())
    context = host.context("storage", "memory", (), store=host.settings.store("memory"))
    return Vault(host, Store("memory", spec, context)), memory


def test_a_key_comes_back_as_it_went_in(tmp_path: Path) -> None:
    opened, memory = vault(tmp_path)
    opened.put("wörk", KEY, expect=ABSENT)
    stored = opened.get("wörk")
    assert stored is not None
    assert stored.credentials == KEY
    assert opened.get("work") is None
    assert list(memory.items) == ["credentials/w.c3.b6rk"]
    value = memory.items["credentials/w.c3.b6rk"].reveal()
    assert value.isascii()
    assert value.decode().isprintable()
    assert opened.delete("wörk")
    assert not opened.delete("wörk")


@pytest.mark.parametrize("capabilities", [Capability.NONE, Capability.CREATE_ONLY, Capability.CAS])
def test_a_taken_name_is_not_replaced_unasked(capabilities: Capability, tmp_path: Path) -> None:
    opened, memory = vault(tmp_path, capabilities)
    opened.put("work", KEY, expect=ABSENT)
    with pytest.raises(StorageConflict):
        opened.put("work", KEY, expect=ABSENT)
    opened.put("work", KEY)
    # A backend gets only what it declared.
    assert memory.expected == ([ANY, ANY] if capabilities is Capability.NONE else [ABSENT, ABSENT, ANY])


def test_other_kinds_of_items_are_no_names(tmp_path: Path) -> None:
    opened, memory = vault(tmp_path)
    memory.items = {"credentials/b": Secret("{}"), "seeds/a": Secret("x"), "credentials/.41": Secret("{}")}
    assert list(opened.names()) == ["A", "b"]


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "[]",
        "7",
        "null",
        "{}",
        '{"access_key_id": "a"}',
        json.dumps({"access_key_id": 1, "secret_access_key": 2}),
        json.dumps({"access_key_id": "AKIA", "secret_access_key": 2}),
        json.dumps({"access_key_id": "AKIA", "secret_access_key": None}),
        json.dumps({"access_key_id": "AKIA\x1b[2J", "secret_access_key": "x"}),
        json.dumps({"access_key_id": "AKIA", "secret_access_key": "x\ncredential_process = x"}),
    ],
)
def test_an_item_that_is_no_key_is_refused_without_showing_it(value: str, tmp_path: Path) -> None:
    opened, memory = vault(tmp_path)
    memory.items["credentials/work"] = Secret(value)
    with pytest.raises(StorageCorrupt, match="the item of 'work' in memory is not an AWS key") as caught:
        opened.get("work")
    assert value not in caught.value.message.removeprefix("the item of 'work' in memory is not an AWS key")


def test_the_store_is_opened_at_the_first_need(tmp_path: Path) -> None:
    spec = StorageSpec(name="memory", summary="s", open=lambda _: pytest.fail("opened"), at_rest=AtRest.SERVICE)
    host = Host(Settings({"HOME": str(tmp_path)}), Plugins())
    context = host.context("storage", "memory", (), store=host.settings.store("memory"))
    opened = Vault(host, Store("memory", spec, context))
    assert opened.store.place == "memory"
    assert json.loads(opened.store.identity)[0] == "memory"
