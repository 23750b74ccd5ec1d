"""The host's side of unlocking: which source is asked for what, and what is remembered for how long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import (
    NoSecret,
    PassphraseError,
    PassphraseSource,
    PassphraseSourceSpec,
    Purpose,
    Secret,
    WrongSecret,
)
from vault_core.errors import PluginNotFound
from vault_core.plugins.host import Host
from vault_core.settings import Settings, StoreSettings


class Scripted(PassphraseSource):
    """Says what it was told to, one answer a question, and remembers the questions."""

    def __init__(self, said: Any) -> None:
        self.said = list(said)
        self.requests = []
        self.kept = {}

    def get(self, request: Any) -> Any:
        self.requests.append(request)
        if request.key_id in self.kept:
            return self.kept[request.key_id]
        return Secret(self.said.pop(0)) if self.said else None

    def put(self, request: Any, secret: Any) -> None:
        self.kept[request.key_id] = secret

    def forget(self, request: Any) -> Any:
        return self.kept.pop(request.key_id, None) is not None


class FakePlugins:
    """The sources of a test, by name; what is in ``interactive`` asks a person."""

    def __init__(self, sources: Any, interactive: Any = ("prompt",), writable: Any = ("ring",)) -> None:
        self.sources = sources
        self.specs = {
            name: PassphraseSourceSpec(
                name=name,
                summary="s",
                open=lambda _ctx, source=source: source,  # type: ignore[misc]  # mypy infers no default of a lambda
                interactive=name in interactive,
                writable=name in writable,
            )
            for name, source in sources.items()
        }

    def load(self, kind: Any, name: Any) -> Any:
        if name not in self.specs:
            raise PluginNotFound(name)
        return self.specs[name]

    def loaded(self, kind: Any, name: Any) -> Any:
        return self.specs.get(name)

    def offers(self) -> Any:
        return ()

    @contextlib.contextmanager
    def attributed_to(self, kind: Any, name: Any) -> Iterator[None]:
        yield


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """A function from sources to a store's context and its host."""

    def make(configured: str = "env,prompt", **said: Any) -> Any:
        sources = {name: Scripted(texts) for name, texts in said.items()}
        environ = {
            "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "AWS_VAULT_PASSPHRASE_SOURCE": configured,
        }
        host = Host(Settings(environ), FakePlugins(sources))  # type: ignore[arg-type]  # it has what is used of Plugins
        return host.context("storage", "file", (), store=StoreSettings("file", "file")), host, sources

    return make


def right(secret: Any) -> Any:
    """A lock that only ``right`` opens."""
    if secret != Secret("right"):
        raise WrongSecret("wrong")
    return Secret("the key")


def as_it_is(secret: Any) -> Any:
    return secret


def test_a_key_is_derived_once_and_forgotten_with_its_slot(made: Any) -> None:
    ctx, host, sources = made(env=["right", "right"])
    for _ in range(2):
        assert ctx.unlock("store/slot", right) == Secret("the key")
    assert len(sources["env"].requests) == 1
    host.state.forget_keys("other/")
    assert list(host.state.keys) == ["store/slot"]
    host.state.forget_keys("store/")
    assert host.state.keys == {}
    ctx.unlock("store/slot", right)
    assert len(sources["env"].requests) == 2


def test_a_wrong_whole_forgets_its_parts(made: Any) -> None:
    """The parts of a composite slot cannot be checked one by one: one of what is remembered may be the wrong one."""
    ctx, host, sources = made(ssm=["typo", "right"], prompt=["a", "b", "c", "right"])
    assert ctx.unlock("store/slot/ssm", as_it_is, source="ssm") == Secret("typo")
    with pytest.raises(WrongSecret, match="three times"):
        ctx.unlock("store/slot", right, source="prompt")
    assert host.state.keys == {}
    assert ctx.unlock("store/slot/ssm", as_it_is, source="ssm") == Secret("right")
    assert ctx.unlock("store/slot", right, source="prompt") == Secret("the key")
    assert [request.attempt for request in sources["prompt"].requests] == [1, 2, 3, 1]


def test_a_factor_asks_no_other_source(made: Any) -> None:
    ctx, _, sources = made(env=["right"], ssm=[])
    with pytest.raises(NoSecret, match=r"from its source ssm \(not set\)"):
        ctx.unlock("store/slot", right, source="ssm")
    assert sources["env"].requests == []
    with pytest.raises(PluginNotFound):
        ctx.unlock("store/slot", right, source="keychain")


@pytest.mark.parametrize(("create", "purpose"), [(False, Purpose.UNLOCK), (True, Purpose.CREATE)])
def test_the_purpose_is_told(made: Any, create: Any, purpose: Any) -> None:
    ctx, _, sources = made(env=["right"])
    ctx.unlock("store/slot", right, create=create)
    assert [request.purpose for request in sources["env"].requests] == [purpose]


def test_only_a_person_chooses_another_passphrase(made: Any) -> None:
    ctx, host, sources = made(env=["the old one"], prompt=["right"])
    assert ctx.choose("store/new", right) == Secret("the key")
    assert sources["env"].requests == []
    assert [request.purpose for request in sources["prompt"].requests] == [Purpose.CHANGE]
    assert host.state.keys == {}
    ctx, _, sources = made("env", env=["the old one"])
    with pytest.raises(NoSecret, match="no source asks for a new passphrase: sources are env"):
        ctx.choose("store/new", right)


def test_a_named_source_delivers_its_factor(made: Any) -> None:
    ctx, _, sources = made(env=["right"], prompt=[])
    assert ctx.choose("store/new/env", right, "env") == Secret("the key")
    assert [request.purpose for request in sources["env"].requests] == [Purpose.CHANGE]


def test_a_source_keeps_and_forgets(made: Any) -> None:
    ctx, _, sources = made(ring=[], env=[])
    ctx.keep("ring", "store/slot", Secret("right"))
    assert sources["ring"].kept == {"store/slot": Secret("right")}
    assert [request.purpose for request in sources["ring"].requests] == [Purpose.UNLOCK]  # it was read back
    assert ctx.unlock("store/slot", right, source="ring") == Secret("the key")
    assert [ctx.forget("ring", "store/slot") for _ in range(2)] == [True, False]
    for call in (lambda: ctx.keep("env", "store/slot", Secret("x")), lambda: ctx.forget("env", "store/slot")):
        with pytest.raises(PassphraseError, match="passphrase source 'env' cannot keep a key"):
            call()


def test_a_source_that_gives_something_else_back(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx, _, sources = made(ring=["else"])
    monkeypatch.setattr(sources["ring"], "put", lambda request, secret: None)
    with pytest.raises(PassphraseError, match="does not deliver"):
        ctx.keep("ring", "store/slot", Secret("right"))


def test_a_source_that_keeps_nothing_says_so() -> None:
    class Plain(PassphraseSource):
        def get(self, request: Any) -> Any:
            return None

    from vault_core.api import PassphraseRequest

    request = PassphraseRequest(store="team", key_id="store/slot")
    for call in (lambda: Plain().put(request, Secret("x")), lambda: Plain().forget(request)):
        with pytest.raises(PassphraseError, match="keeps no secrets for store 'team'"):
            call()
