"""Fixtures that open the store in this process, as the host does."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from support.lossy_proxy import LossyProxy, lossy
from support.openbao import Server
from vault_plugin_hashicorp.plugin import vault_passphrase_sources, vault_storage_backends
from vault_plugin_hashicorp.store import Store
from vault_testkit import FakeContext

Open = Callable[..., tuple[Store, FakeContext]]


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., FakeContext]:
    """A function that makes a context with this environment, these options (as text) and answers of the user."""
    (spec,) = vault_passphrase_sources()  # whose options are the storage's and two more

    def make(environ: Mapping[str, str], *answers: str | None, **options: str) -> FakeContext:
        given = {name.replace("_", "-"): text for name, text in options.items()}
        parsed = {option.name: option.parse(given.pop(option.name)) for option in spec.options if option.name in given}
        assert not given, f"no such options: {given}"
        environ = {"HOME": str(tmp_path), **environ}
        return FakeContext(tmp_path, declared=spec.options, options=parsed, environ=environ, answers=answers)

    return make


@pytest.fixture
def open_store(context: Callable[..., FakeContext]) -> Iterator[Open]:
    """A function that opens the store; its parameters are those of ``context``."""
    (spec,) = vault_storage_backends()
    opened: list[Store] = []

    def make(environ: Mapping[str, str], *answers: str | None, **options: str) -> tuple[Store, FakeContext]:
        host = context(environ, *answers, **options)
        store = spec.open(host)
        assert isinstance(store, Store)
        opened.append(store)
        return store, host

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def front(openbao: Server) -> Iterator[LossyProxy]:
    """A recording proxy before the server, which is also a plain HTTP proxy."""
    with lossy(openbao.url) as front:
        yield front


@pytest.fixture
def name() -> str:
    """A unique name for a user or a host's role."""
    return f"ana-{secrets.token_hex(4)}"
