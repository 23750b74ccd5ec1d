"""What is put around a plugin's store can do what the store can, and hands on what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from support.odd import Shelf, gives, refused
from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    CallerIdentity,
    IdentifiesCaller,
    Item,
    OpensConsole,
    Secret,
    SessionProvider,
    SessionSpec,
    SharedItems,
    SourceNeed,
    StorageBackend,
    StorageSpec,
)
from vault_core.plugins.boundary.calls import answer as answer_of
from vault_core.plugins.boundary.sessions import open_provider
from vault_core.plugins.boundary.storage import open_store
from vault_core.vlt import SlotKeeper


class Plain(StorageBackend):
    """Remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def get(self, key: str) -> Item | None:
        self.calls.append(("get", key))
        return None

    def put(self, key: str, value: Secret, *, expect: Any = ANY) -> str:
        self.calls.append(("put", key, value, expect))
        return "1"

    def delete(self, key: str, *, expect: Any = ANY) -> bool:
        self.calls.append(("delete", key, expect))
        return False

    def keys(self) -> Iterator[str]:
        return iter(())

    def close(self) -> None:
        self.calls.append(("close",))


class Keeper(Plain, SlotKeeper):
    def slots(self) -> Any:
        return "no table"

    def change_slots(self, change: Any, *, dek: Secret | None = None) -> None:
        self.calls.append(("change_slots", change, dek))


class Shared(Plain, SharedItems):
    def shared(self) -> StorageBackend:
        return self


class Both(Keeper, Shared):
    pass


def opened(store: StorageBackend) -> StorageBackend:
    spec = StorageSpec(name="odd", summary="s", open=gives(store), at_rest=AtRest.SERVICE)
    return open_store(Shelf(storage=spec), spec, None)  # type: ignore[arg-type]  # this one looks at no context


@pytest.mark.parametrize("kind", [Plain, Keeper, Shared, Both])
def test_open_store_keeps_optional_capabilities(kind: type[Plain]) -> None:
    around = opened(kind())
    assert isinstance(around, SlotKeeper) is issubclass(kind, SlotKeeper)
    assert isinstance(around, SharedItems) is issubclass(kind, SharedItems)
    if isinstance(around, SharedItems):
        assert isinstance(around.shared(), SlotKeeper) is issubclass(kind, SlotKeeper)


def test_open_store_passes_arguments() -> None:
    store, value, dek = Both(), Secret("v"), Secret("d" * 32)
    around = opened(store)
    assert isinstance(around, SlotKeeper)
    around.put("a", value, expect=ABSENT)
    around.delete("a", expect="7")
    around.change_slots(max, dek=dek)  # type: ignore[arg-type]  # nothing calls it
    around.close()
    assert store.calls == [("put", "a", value, ABSENT), ("delete", "a", "7"), ("change_slots", max, dek), ("close",)]


def test_slots_with_wrong_type_is_refused() -> None:
    around = opened(Keeper())
    assert isinstance(around, SlotKeeper)
    refused(around.slots, "storage", "slots", "str")


class Issuing(SessionProvider):
    def issue(self, request: object) -> Any:
        raise AssertionError


class Identifying(Issuing, IdentifiesCaller):
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def identify(self, request: object) -> Any:
        return self.answer


def provider(of: SessionProvider) -> SessionProvider:
    spec = SessionSpec(name="odd", summary="s", open=gives(of), parameters=gives({}), source=SourceNeed.NEVER)
    return open_provider(Shelf(session=spec), spec, None)  # type: ignore[arg-type]  # this one looks at no context


def test_open_provider_keeps_identify() -> None:
    known = CallerIdentity(account="123456789012", arn="arn:aws:iam::123456789012:root")
    around = provider(Identifying(known))
    assert isinstance(around, IdentifiesCaller)
    assert around.identify(None) == known  # type: ignore[arg-type]  # handed on
    assert not isinstance(provider(Issuing()), IdentifiesCaller)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (None, "None"),
        (CallerIdentity(account=1, arn="a"), "CallerIdentity whose account is int"),  # type: ignore[arg-type]  # as a plugin might, wrongly
        (CallerIdentity(account="1", arn=None), "CallerIdentity whose arn is None"),  # type: ignore[arg-type]  # as a plugin might, wrongly
    ],
)
def test_identify_with_wrong_type_is_refused(answer: Any, what: str) -> None:
    around = provider(Identifying(answer))
    assert isinstance(around, IdentifiesCaller)
    refused(lambda: around.identify(None), "session", "identify", what)  # type: ignore[arg-type]  # the answer is refused, whatever the request


class Opening(Identifying, OpensConsole):
    def console_url(self, request: object) -> Any:
        return self.answer


URL = "https://signin.aws.amazon.com/federation?Action=login&Destination=https%3A%2F%2Fconsole&SigninToken=a-B_9~"


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:4566/federation?Action=login", "https://[::1]:8443/x#/y"])
def test_address_of_the_console_is_handed_on(url: str) -> None:
    around = provider(Opening(Secret(url)))
    assert isinstance(around, OpensConsole)
    assert around.console_url(None) == Secret(url)  # type: ignore[arg-type]  # handed on


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        f"{URL}\n",
        f"{URL}\nSet-Cookie: a=b",
        f"{URL}\x1b[2J",
        f'{URL}"><script>',
        f"{URL} --proxy-server=evil",
        f"{URL}ü",
        f" {URL}",
        f"{URL}{'x' * 32_768}",
    ],
)
def test_address_of_the_console_that_is_none_is_refused(url: str) -> None:
    """A browser, a terminal, a header and a page in HTML get it as it is."""
    around = provider(Opening(Secret(url)))
    assert isinstance(around, OpensConsole)
    refused(lambda: around.console_url(None), "session", "console_url", "something else than a URL")  # type: ignore[arg-type]  # the answer is refused, whatever the request


def test_console_url_with_wrong_type_is_refused() -> None:
    around = provider(Opening(URL))
    assert isinstance(around, OpensConsole)
    refused(lambda: around.console_url(None), "session", "console_url", "str")  # type: ignore[arg-type]  # the answer is refused, whatever the request


@pytest.mark.parametrize(
    ("question", "answer", "wrong"),
    [
        ("unavailable", None, None),
        ("unavailable", "no key", None),
        ("unavailable", 1, "int"),
        ("readers", "ana", None),
        ("readers", None, "None"),
        ("no such question", None, None),
    ],
)
def test_only_that_a_plugin_is_available_needs_no_words(question: str, answer: Any, wrong: str | None) -> None:
    spec: Any = SimpleNamespace(name="odd", unavailable=gives(answer), readers=gives(answer))
    context: Any = None
    if wrong is None:
        assert answer_of(Shelf(storage=spec), "storage", spec, question, context) == answer
    else:
        refused(lambda: answer_of(Shelf(storage=spec), "storage", spec, question, context), "storage", question, wrong)
