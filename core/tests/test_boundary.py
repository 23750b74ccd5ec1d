"""What a store or a source returns is checked where it is called, and blamed on its distribution."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.odd import CANARY, Shelf, gives, late, later, refused
from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    Capability,
    Credentials,
    Expect,
    Item,
    MfaSource,
    MfaSourceSpec,
    PassphraseSource,
    PassphraseSourceSpec,
    Secret,
    SharedItems,
    StorageBackend,
    StorageSpec,
)
from vault_core.errors import VaultError
from vault_core.mfa import MfaCodes
from vault_core.plugins.host import Host
from vault_core.settings import Settings
from vault_core.storage.vault import Store, Vault

KEY = Credentials(access_key_id="AKIAQ2QZ7YJ3LEXAMPLE", secret_access_key=Secret("s" * 40))
TEXT = Secret(json.dumps({"access_key_id": KEY.access_key_id, "secret_access_key": "s" * 40}))


# -- storage ----------------------------------------------------------------------------------------------------------


class Odd(StorageBackend, SharedItems):
    """Answers with what a test gives it, by the name of the method."""

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.answers: dict[str, Callable[..., Any]] = {
            "get": gives(Item(value=TEXT, version="1")),
            "put": gives("1"),
            "delete": gives(True),
            "keys": gives(iter(["credentials/work"])),
            "shared": gives(self),
        } | answers

    def get(self, key: str) -> Any:
        return self.answers["get"](key)

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Any:
        return self.answers["put"](key, value, expect=expect)

    def delete(self, key: str, *, expect: Expect = ANY) -> Any:
        return self.answers["delete"](key, expect=expect)

    def keys(self) -> Any:
        return self.answers["keys"]()

    def shared(self) -> Any:
        return self.answers["shared"]()


def vault(
    root: Path, opened: Any, capabilities: Capability = Capability.SHARED, at_rest: AtRest = AtRest.SERVICE, **more: Any
) -> Vault:
    spec = StorageSpec(name="odd", summary="s", open=gives(opened), at_rest=at_rest, capabilities=capabilities, **more)
    host = Host(Settings({"HOME": str(root)}), Shelf(storage=spec))
    return Vault(host, Store("odd", spec, host.context("storage", "odd", (), store=host.settings.store("odd"))))


USES: Mapping[str, Callable[[Vault], Any]] = {
    "open": lambda opened: opened.get("work", shared=False),
    "get": lambda opened: opened.get("work", shared=False),
    "put": lambda opened: opened.put("work", KEY),
    "delete": lambda opened: opened.delete("work"),
    "keys": lambda opened: list(opened.names()),
    "shared": lambda opened: opened.get("work", shared=True),
}


@pytest.mark.parametrize(
    ("method", "answer", "what"),
    [
        ("get", gives(CANARY), "str"),
        ("get", gives({"value": CANARY}), "dict"),
        ("get", gives(TEXT), "Secret"),
        ("get", gives(False), "bool"),
        ("get", later, "a coroutine"),
        ("get", gives(Item(value=CANARY, version="1")), "Item whose value is str"),  # type: ignore[arg-type]  # as a plugin might, wrongly
        ("get", gives(Item(value=TEXT, version=7)), "Item whose version is int"),  # type: ignore[arg-type]  # as a plugin might, wrongly
        ("get", gives(Item(value=TEXT, version="1", written_by=None)), "Item whose written_by is None"),  # type: ignore[arg-type]  # as a plugin might, wrongly
        ("put", gives(None), "None"),
        ("put", gives(1), "int"),
        ("put", later, "a coroutine"),
        ("delete", gives(None), "None"),
        ("delete", gives(1), "int"),
        ("delete", later, "a coroutine"),
        ("keys", gives(None), "None"),
        ("keys", gives(CANARY), "str"),
        ("keys", gives(b"credentials/work"), "bytes"),
        ("keys", gives([b"credentials/work"]), "a key that is bytes"),
        ("keys", gives([1]), "a key that is int"),
        ("keys", later, "a coroutine"),
        ("shared", gives(None), "None"),
        ("shared", later, "a coroutine"),
    ],
)
def test_store_method_wrong_type_is_refused(method: str, answer: Callable[..., Any], what: str, tmp_path: Path) -> None:
    opened = vault(tmp_path, Odd(**{method: answer}), max_value=900)
    refused(lambda: USES[method](opened), "storage", method, what)


@pytest.mark.parametrize("method", ["get", "delete", "keys"])
def test_sealed_store_method_with_wrong_type_is_refused(method: str, tmp_path: Path) -> None:
    opened = vault(tmp_path, Odd(**{method: later}), Capability.NONE, at_rest=AtRest.CORE)
    refused(lambda: USES[method](opened), "storage", method, "a coroutine")


@pytest.mark.parametrize(("opened", "what"), [(None, "None"), ({}, "dict"), (Odd, "ABCMeta")])
def test_open_store_wrong_type_is_refused(opened: Any, what: str, tmp_path: Path) -> None:
    refused(lambda: USES["get"](vault(tmp_path, opened)), "storage", "open", what)


def test_open_store_coroutine_is_refused(tmp_path: Path) -> None:
    spec = StorageSpec(name="odd", summary="s", open=later)  # type: ignore[arg-type]  # as a plugin might, wrongly
    host = Host(Settings({"HOME": str(tmp_path)}), Shelf(storage=spec))
    store = Store("odd", spec, host.context("storage", "odd", (), store=host.settings.store("odd")))
    refused(lambda: Vault(host, store).get("work"), "storage", "open", "a coroutine")


def test_keys_exception_while_iterating_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"^storage backend 'odd' failed with KeyError$") as caught:
        list(vault(tmp_path, Odd(keys=late)).names())
    assert caught.value.hint == "this is a bug of vault-plugin-odd; --debug shows where"


def test_keys_accepts_any_iterable(tmp_path: Path) -> None:
    assert list(vault(tmp_path, Odd(keys=gives({"credentials/work": 1}))).names()) == ["work"]


@pytest.mark.parametrize("question", ["locate", "principal", "readers"])
@pytest.mark.parametrize(("answer", "what"), [(gives(7), "int"), (gives(None), "None"), (later, "a coroutine")])
def test_spec_callable_with_wrong_type_is_refused(question: str, answer: Any, what: str, tmp_path: Path) -> None:
    store = vault(tmp_path, Odd(), **{question: answer}).store
    ask: Mapping[str, Callable[[], Any]] = {
        "locate": lambda: store.place,
        "principal": lambda: store.identity,
        "readers": lambda: store.readers,
    }
    refused(ask[question], "storage", question, what)


class Versions(Odd):
    """One item, whose version a test changes."""

    version = "1"
    got: Expect = ANY

    def get(self, key: str) -> Any:
        return Item(value=TEXT, version=self.version)

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Any:
        self.got = expect
        return "9"


@pytest.mark.parametrize("action", ["put", "delete"])
def test_create_only_backend_gets_no_version(action: str, tmp_path: Path) -> None:
    """``CREATE_ONLY`` knows :data:`ABSENT`, and no version: that one is looked at by the core."""
    odd = Versions(delete=lambda _, expect: pytest.fail(f"asked with {expect}"))
    opened = vault(tmp_path, odd, Capability.CREATE_ONLY)
    stored = opened.get("work")
    assert stored is not None
    odd.version = "2"
    with pytest.raises(VaultError, match="another process changed"):
        opened.put("work", KEY, expect=stored.version) if action == "put" else opened.delete("work", expect="1")
    opened.put("work", KEY, expect="2")
    assert odd.got is ANY
    opened.put("work", KEY, expect=ABSENT)
    assert odd.got is ABSENT  # type: ignore[comparison-overlap]  # it changes in the call, which mypy does not see


class Trap(Item):
    """Not even looking at it is safe."""

    @property
    def value(self) -> Secret:
        raise KeyError(CANARY)


def test_item_with_failing_field_is_a_bug(tmp_path: Path) -> None:
    opened = vault(tmp_path, Odd(get=lambda _: object.__new__(Trap)))
    with pytest.raises(VaultError, match=r"^storage backend 'odd' failed with KeyError$"):
        opened.get("work", shared=False)


# -- sources ----------------------------------------------------------------------------------------------------------


class OddSource(PassphraseSource):
    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.answers = {"get": gives(Secret("x")), "put": gives(None), "forget": gives(True)} | answers

    def get(self, request: object) -> Any:
        return self.answers["get"](request)

    def put(self, request: object, secret: Secret) -> Any:
        return self.answers["put"](request, secret)

    def forget(self, request: object) -> Any:
        return self.answers["forget"](request)


@pytest.mark.parametrize(
    ("method", "answer", "what"),
    [
        ("open", gives(None), "None"),
        ("open", later, "a coroutine"),
        ("get", gives(CANARY), "str"),
        ("get", gives(CANARY.encode()), "bytes"),
        ("get", gives(0), "int"),
        ("get", gives(Secret("")), "an empty Secret"),
        ("get", later, "a coroutine"),
        ("put", later, "a coroutine"),
        ("forget", gives(None), "None"),
        ("forget", later, "a coroutine"),
    ],
)
def test_passphrase_source_with_wrong_type_is_refused(method: str, answer: Any, what: str, tmp_path: Path) -> None:
    source = OddSource(**{method: answer} if method != "open" else {})
    opened = answer if method == "open" else gives(source)
    spec = PassphraseSourceSpec(name="odd", summary="s", open=opened, writable=True)
    host = Host(Settings({"HOME": str(tmp_path), "AWS_VAULT_PASSPHRASE_SOURCE": "odd"}), Shelf(passphrase=spec))
    context = host.context("storage", "any", ())
    use: Mapping[str, Callable[[], Any]] = {
        "put": lambda: context.keep("odd", "id", Secret("k")),
        "forget": lambda: context.forget("odd", "id"),
    }
    refused(use.get(method, lambda: context.unlock("id", lambda secret: secret)), "passphrase", method, what)


class OddMfa(MfaSource):
    def __init__(self, answer: Callable[..., Any]) -> None:
        self.answer = answer

    def code(self, request: object) -> Any:
        return self.answer(request)


@pytest.mark.parametrize(
    ("opened", "method", "what"),
    [
        (None, "open", "None"),
        (OddMfa(gives(123456)), "code", "int"),
        (OddMfa(gives("123456")), "code", "str"),
        (OddMfa(gives(Secret(""))), "code", "an empty Secret"),
        (OddMfa(later), "code", "a coroutine"),
    ],
)
def test_mfa_source_with_wrong_type_is_refused(opened: Any, method: str, what: str, tmp_path: Path) -> None:
    """It is not the session provider's fault, which would only have stumbled over it."""
    spec = MfaSourceSpec(name="odd", summary="s", open=gives(opened))
    host = Host(Settings({"HOME": str(tmp_path), "AWS_VAULT_PROMPT": "odd"}), Shelf(mfa=spec))
    refused(lambda: MfaCodes(host, None).code("arn", "work", 1, {}), "mfa", method, what)
