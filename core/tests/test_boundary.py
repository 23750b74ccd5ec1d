"""What a plugin returns is checked where it is called, and blamed on its distribution: all that can be wrong."""

from __future__ import annotations

import gc
import json
import math
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import click
import pytest

from vault_core.api import (
    ABSENT,
    ANY,
    AtRest,
    Capability,
    CommandSpec,
    Context,
    Credentials,
    Expect,
    Item,
    MfaSource,
    MfaSourceSpec,
    Option,
    PassphraseSource,
    PassphraseSourceSpec,
    Secret,
    SessionProvider,
    SessionSpec,
    SharedItems,
    Source,
    StorageBackend,
    StorageSpec,
)
from vault_core.cli import contributed
from vault_core.cli.app import App
from vault_core.cli.sessions import obtain
from vault_core.errors import PluginFault, SessionError, VaultError
from vault_core.plugins.discovery import Offer
from vault_core.plugins.host import Host
from vault_core.plugins.loader import KINDS, Plugins
from vault_core.sessions.mfa import MfaCodes
from vault_core.sessions.profiles import Flags
from vault_core.settings import Settings
from vault_core.vault import Store, Vault

CANARY = "canary-in-a-value"
KEY = Credentials(access_key_id="AKIAQ2QZ7YJ3LEXAMPLE", secret_access_key=Secret("s" * 40))
TEXT = Secret(json.dumps({"access_key_id": KEY.access_key_id, "secret_access_key": "s" * 40}))


class Shelf(Plugins):
    """Plugins that are at hand without being installed, all from one distribution."""

    def __init__(self, **specs: Any) -> None:
        super().__init__()
        self._loaded = {(kind, spec.name): spec for kind, spec in specs.items()}
        self._offers = tuple(Offer(kind, spec.name, "vault-plugin-odd", "1.0", "m") for kind, spec in specs.items())


async def later(*_: object, **__: object) -> None:
    raise AssertionError(CANARY)


def late(*_: object) -> Iterator[str]:
    yield "credentials/a"
    raise KeyError(CANARY)


def gives(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def refused(action: Callable[[], Any], kind: str, method: str, what: str) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(PluginFault) as caught:
            action()
        message, hint, code = caught.value.message, caught.value.hint, caught.value.exit_code
        del caught
        gc.collect()
    assert message.startswith(
        f"{method}() of {KINDS[kind]} 'odd' (from vault-plugin-odd 1.0) returned {what}; it must "
    )
    assert CANARY not in message
    assert (hint, code) == ("this is a bug of vault-plugin-odd", 3)
    assert not [str(warning.message) for warning in heard if "never awaited" in str(warning.message)]


# -- storage ----------------------------------------------------------------------------------------------------------


class Odd(StorageBackend, SharedItems):
    """Answers with what a test gives it, by the name of the method."""

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.answers: dict[str, Callable[..., Any]] = {
            "get": gives(Item(value=TEXT, version="1")),
            "put": gives("1"),
            "delete": gives(True),
            "keys": gives(iter(["credentials/work"])),
            "common": gives(self),
        } | answers

    def get(self, key: str) -> Any:
        return self.answers["get"](key)

    def put(self, key: str, value: Secret, *, expect: Expect = ANY) -> Any:
        return self.answers["put"](key, value, expect=expect)

    def delete(self, key: str, *, expect: Expect = ANY) -> Any:
        return self.answers["delete"](key, expect=expect)

    def keys(self) -> Any:
        return self.answers["keys"]()

    def common(self) -> Any:
        return self.answers["common"]()


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
    "common": lambda opened: opened.get("work", shared=True),
}


@pytest.mark.parametrize(
    ("method", "answer", "what"),
    [
        ("get", gives(CANARY), "str"),
        ("get", gives({"value": CANARY}), "dict"),
        ("get", gives(TEXT), "Secret"),
        ("get", gives(False), "bool"),
        ("get", later, "a coroutine"),
        ("get", gives(Item(value=CANARY, version="1")), "Item whose value is str"),  # type: ignore[arg-type]
        ("get", gives(Item(value=TEXT, version=7)), "Item whose version is int"),  # type: ignore[arg-type]
        ("get", gives(Item(value=TEXT, version="1", holder=None)), "Item whose holder is None"),  # type: ignore[arg-type]
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
        ("common", gives(None), "None"),
        ("common", later, "a coroutine"),
    ],
)
def test_what_a_store_returns_is_checked(method: str, answer: Callable[..., Any], what: str, tmp_path: Path) -> None:
    opened = vault(tmp_path, Odd(**{method: answer}), max_value=900)
    refused(lambda: USES[method](opened), "storage", method, what)


@pytest.mark.parametrize("method", ["get", "delete", "keys"])
def test_it_is_checked_below_the_cores_own_sealing(method: str, tmp_path: Path) -> None:
    opened = vault(tmp_path, Odd(**{method: later}), Capability.NONE, at_rest=AtRest.CORE)
    refused(lambda: USES[method](opened), "storage", method, "a coroutine")


@pytest.mark.parametrize(("opened", "what"), [(None, "None"), ({}, "dict"), (Odd, "ABCMeta")])
def test_what_opens_is_a_store(opened: Any, what: str, tmp_path: Path) -> None:
    refused(lambda: USES["get"](vault(tmp_path, opened)), "storage", "open", what)


def test_a_coroutine_is_no_store(tmp_path: Path) -> None:
    spec = StorageSpec(name="odd", summary="s", open=later)  # type: ignore[arg-type]
    host = Host(Settings({"HOME": str(tmp_path)}), Shelf(storage=spec))
    store = Store("odd", spec, host.context("storage", "odd", (), store=host.settings.store("odd")))
    refused(lambda: Vault(host, store).get("work"), "storage", "open", "a coroutine")


def test_keys_that_fail_late_are_a_bug_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"^storage backend 'odd' failed with KeyError$") as caught:
        list(vault(tmp_path, Odd(keys=late)).names())
    assert caught.value.hint == "this is a bug of vault-plugin-odd; --debug shows where"


def test_a_store_may_list_its_keys_in_any_collection(tmp_path: Path) -> None:
    assert list(vault(tmp_path, Odd(keys=gives({"credentials/work": 1}))).names()) == ["work"]


@pytest.mark.parametrize("question", ["locate", "whose", "who_reads"])
@pytest.mark.parametrize(("answer", "what"), [(gives(7), "int"), (gives(None), "None"), (later, "a coroutine")])
def test_what_a_store_says_of_itself_is_text(question: str, answer: Any, what: str, tmp_path: Path) -> None:
    store = vault(tmp_path, Odd(), **{question: answer}).store
    ask: Mapping[str, Callable[[], Any]] = {
        "locate": lambda: store.place,
        "whose": lambda: store.identity,
        "who_reads": lambda: store.readers,
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
def test_a_backend_that_creates_only_is_not_trusted_with_a_version(action: str, tmp_path: Path) -> None:
    """``CREATE_ONLY`` knows :data:`ABSENT`, and no version: that one is looked at by the core."""
    odd = Versions(delete=lambda _, expect: pytest.fail(f"asked with {expect}"))
    opened = vault(tmp_path, odd, Capability.CREATE_ONLY)
    stored = opened.get("work")
    assert stored is not None
    odd.version = "2"
    with pytest.raises(VaultError, match="is not as it was before"):
        opened.put("work", KEY, expect=stored.version) if action == "put" else opened.delete("work", expect="1")
    opened.put("work", KEY, expect="2")
    assert odd.got is ANY
    opened.put("work", KEY, expect=ABSENT)
    assert odd.got is ABSENT


class Trap(Item):
    """Not even looking at it is safe."""

    @property
    def value(self) -> Secret:  # type: ignore[override]  # as a plugin may have it
        raise KeyError(CANARY)


def test_an_item_that_cannot_be_looked_at_is_a_bug_of_the_store(tmp_path: Path) -> None:
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
def test_what_a_passphrase_source_returns_is_checked(method: str, answer: Any, what: str, tmp_path: Path) -> None:
    source = OddSource(**{method: answer} if method != "open" else {})
    opened = answer if method == "open" else gives(source)
    spec = PassphraseSourceSpec(name="odd", summary="s", open=opened, writable=True)
    host = Host(Settings({"HOME": str(tmp_path), "AWS_VAULT_PASSPHRASE_SOURCE": "odd"}), Shelf(passphrase=spec))
    context: Context = host.context("storage", "any", ())
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
def test_what_an_mfa_source_returns_is_checked(opened: Any, method: str, what: str, tmp_path: Path) -> None:
    """It is not the session provider's fault, which would only have stumbled over it."""
    spec = MfaSourceSpec(name="odd", summary="s", open=gives(opened))
    host = Host(Settings({"HOME": str(tmp_path), "AWS_VAULT_PROMPT": "odd"}), Shelf(mfa=spec))
    refused(lambda: MfaCodes(host, None).code("arn", "work", 1, {}), "mfa", method, what)


# -- sessions ---------------------------------------------------------------------------------------------------------


def session(**fields: Any) -> Credentials:
    soon = datetime.now(UTC) + timedelta(hours=1)
    whole: dict[str, Any] = {
        "access_key_id": "ASIAEXAMPLE",
        "secret_access_key": Secret("s"),
        "session_token": Secret("t"),
        "expires": soon,
    }
    return Credentials(**whole | fields)


class OddProvider(SessionProvider):
    def __init__(self, answer: Callable[..., Any]) -> None:
        self.answer = answer

    def issue(self, request: object) -> Any:
        return self.answer(request)


def app(root: Path, answer: Callable[..., Any], parameters: Any = None, opened: Any = None) -> App:
    """The whole program over one provider."""
    spec = SessionSpec(
        name="odd",
        summary="s",
        open=gives(OddProvider(answer)) if opened is None else opened,
        parameters=gives({"a": 1}) if parameters is None else parameters,
        source=Source.NEVER,
        options=(Option(name="o", help="h"),),
    )
    (root / "config").write_text("[profile work]\nvault_session_provider = odd\nregion = eu-west-1\n")
    run = root / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    environ = {"HOME": str(root), "AWS_CONFIG_FILE": str(root / "config"), "XDG_RUNTIME_DIR": str(run)}
    made = App(Settings(environ | {"XDG_STATE_HOME": str(root / "state")}))
    vars(made)["plugins"] = Shelf(session=spec)
    made.host.may_ask = False
    return made


def issue(made: App) -> Credentials:
    return obtain(made, "work", flags=Flags(), machine=True)[1].credentials


NAIVE = datetime.now() + timedelta(hours=1)  # noqa: DTZ005 - what a plugin does wrong
ELSEWHERE = datetime.now(timezone(timedelta(hours=2))) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (gives(None), "None"),
        (gives({"AccessKeyId": CANARY}), "dict"),
        (later, "a coroutine"),
        (gives(session(access_key_id=None)), "Credentials whose access_key_id is None"),
        (gives(session(access_key_id="")), "a session whose access_key_id is not one line of text"),
        (gives(session(access_key_id="A\nB")), "a session whose access_key_id is not one line of text"),
        (gives(session(secret_access_key=CANARY)), "Credentials whose secret_access_key is str"),
        (
            gives(session(secret_access_key=Secret(b"\xff"))),
            "a session whose secret_access_key is not one line of text",
        ),
        (gives(session(session_token=CANARY)), "Credentials whose session_token is str"),
        (gives(session(session_token=None)), "Credentials whose session_token is None"),
        (gives(session(session_token=Secret("a\nb"))), "a session whose session_token is not one line of text"),
        (gives(session(expires=None)), "Credentials whose expires is None"),
        (gives(session(expires="2099-01-01T00:00:00Z")), "Credentials whose expires is str"),
        (gives(session(expires=4_070_908_800)), "Credentials whose expires is int"),
        (gives(session(expires=NAIVE)), "a session whose expires is not in UTC"),
        (gives(session(expires=ELSEWHERE)), "a session whose expires is not in UTC"),
    ],
)
def test_what_a_session_provider_issues_is_checked_and_not_kept(answer: Any, what: str, tmp_path: Path) -> None:
    made = app(tmp_path, answer)
    refused(lambda: issue(made), "session", "issue", what)
    assert not list(made.cache.sessions())


@pytest.mark.parametrize("seconds", [-3600, 0, 2])
def test_a_session_that_is_over_is_not_handed_out_and_not_kept(seconds: int, tmp_path: Path) -> None:
    made = app(tmp_path, gives(session(expires=datetime.now(UTC) + timedelta(seconds=seconds))))
    with pytest.raises(SessionError, match=r"^session provider 'odd' issued a session that ends at 20..-") as caught:
        issue(made)
    assert (caught.value.exit_code, list(made.cache.sessions())) == (6, [])


class Nowhere(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        raise KeyError(CANARY)


def test_an_end_that_cannot_be_looked_at_is_a_bug_of_the_provider(tmp_path: Path) -> None:
    made = app(tmp_path, gives(session(expires=datetime(2099, 1, 1, tzinfo=Nowhere()))))
    with pytest.raises(VaultError, match=r"^session provider 'odd' failed with KeyError$"):
        issue(made)


def test_a_session_as_it_should_be_is_handed_out_and_kept(tmp_path: Path) -> None:
    good = session()
    made = app(tmp_path, gives(good), parameters=gives({"a": [1, 2.5, None, True, {"b": "c"}], "t": ("x",)}))
    assert issue(made) == good
    assert [kept.credentials.access_key_id for kept in made.cache.sessions()] == ["ASIAEXAMPLE"]


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        (gives(None), "None"),
        (gives([("a", 1)]), "list"),
        (later, "a coroutine"),
        (gives({"a": {CANARY}}), "set in 'a'"),
        (gives({"a": datetime.now(UTC)}), "datetime in 'a'"),
        (gives({"a": {"b": [Secret(CANARY)]}}), "Secret in 'b'"),
        (gives({"a": math.nan}), "a number that is not finite in 'a'"),
        (gives({1: CANARY}), "a name that is int"),
        (gives({"a": {None: CANARY}}), "a name that is None in 'a'"),
        (gives({"a": b"x"}), "bytes in 'a'"),
        (gives({"mfa_serial": 7}), "mfa_serial as int"),
    ],
)
def test_what_a_session_provider_takes_for_parameters_is_checked(parameters: Any, what: str, tmp_path: Path) -> None:
    refused(lambda: issue(app(tmp_path, gives(session()), parameters)), "session", "parameters", what)


@pytest.mark.parametrize(("opened", "what"), [(gives(7), "int"), (later, "a coroutine")])
def test_what_opens_is_a_session_provider(opened: Any, what: str, tmp_path: Path) -> None:
    refused(lambda: issue(app(tmp_path, gives(session()), opened=opened)), "session", "open", what)


def test_a_bug_is_not_told_to_who_comes_later(tmp_path: Path) -> None:
    """Who has mended the plugin, or planted another one, is not told of the old fault."""
    refused(lambda: issue(app(tmp_path, gives(None))), "session", "issue", "None")
    refused(lambda: issue(app(tmp_path, gives(7))), "session", "issue", "int")
    with pytest.raises(VaultError, match=r"^session provider 'odd' failed with ZeroDivisionError$"):
        issue(app(tmp_path, lambda _: 1 / 0))
    assert issue(app(tmp_path, gives(session()))).access_key_id == "ASIAEXAMPLE"


# -- commands ---------------------------------------------------------------------------------------------------------


def run_command(root: Path, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    module = types.ModuleType("odd_commands")
    module.command = click.Command("odd", callback=answer)  # type: ignore[attr-defined]  # as a plugin's module has it
    monkeypatch.setitem(sys.modules, "odd_commands", module)
    made = app(root, gives(None))
    spec = CommandSpec(name="odd", summary="s", target="odd_commands:command")
    vars(made)["plugins"] = Shelf(command=spec)
    return contributed.load(made, "odd").main([], prog_name="awsv odd", standalone_mode=False)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (later, "a coroutine"),
        (gives(CANARY), "str"),
        (gives(True), "bool"),
        (gives(256), "int"),
        (gives(-1), "int"),
    ],
)
def test_what_a_command_returns_is_checked(
    answer: Any, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that was never awaited has done nothing: exit code 0 would be a lie."""
    refused(lambda: run_command(tmp_path, answer, monkeypatch), "command", "odd", what)


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (9, 9)])
def test_a_command_may_return_its_exit_code(
    answer: Any, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_command(tmp_path, gives(answer), monkeypatch) == code


def fails(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_what_a_command_tells_in_clicks_way_is_no_bug_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VaultError) as caught:
        run_command(tmp_path, fails(click.ClickException("The broker is away.")), monkeypatch)
    assert caught.value.message == "command 'odd' from vault-plugin-odd 1.0: the broker is away"
    assert (caught.value.hint, caught.value.exit_code) == ("awsv odd --help", 1)
    assert run_command(tmp_path, fails(click.exceptions.Exit(6)), monkeypatch) == 6
    for control in (click.UsageError("so"), click.Abort()):
        with pytest.raises(type(control)):
            run_command(tmp_path, fails(control), monkeypatch)
    with pytest.raises(VaultError, match=r"^command 'odd' failed with KeyError$"):
        run_command(tmp_path, fails(KeyError(CANARY)), monkeypatch)
