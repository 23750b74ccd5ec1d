"""What a session provider or a command returns is checked where it is called, and blamed on its distribution."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from support.odd import CANARY, Shelf, gives, later, refused
from vault_core.api import (
    CommandSpec,
    Credentials,
    Option,
    Secret,
    SessionProvider,
    SessionSpec,
    SourceNeed,
)
from vault_core.cli import plugin_commands
from vault_core.cli.app import App
from vault_core.errors import SessionError, VaultError
from vault_core.sessions.profiles import SessionOptions
from vault_core.settings import Settings

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
        source=SourceNeed.NEVER,
        options=(Option(name="o", help="h"),),
    )
    (root / "config").write_text("[profile work]\nvault_session_provider = odd\nregion = eu-west-1\n")
    run = root / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    environ = {"HOME": str(root), "AWS_CONFIG_FILE": str(root / "config"), "XDG_RUNTIME_DIR": str(run)}
    made = App(Settings(environ | {"XDG_STATE_HOME": str(root / "state")}))
    made.client.plugins = Shelf(session=spec)
    made.settings.flags["no-input"] = "1"
    return made


def issue(made: App) -> Credentials:
    return made.session("work", SessionOptions(), machine=True)[1].credentials


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
        (gives(session(access_key_id="A\rB")), "a session whose access_key_id is not one line of text"),
        (gives(session(session_token=Secret("a\x1bb"))), "a session whose session_token is not one line of text"),
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
    assert not list(made.client.cache.sessions())


@pytest.mark.parametrize("seconds", [-3600, 0, 2])
def test_a_session_that_is_over_is_not_handed_out_and_not_kept(seconds: int, tmp_path: Path) -> None:
    made = app(tmp_path, gives(session(expires=datetime.now(UTC) + timedelta(seconds=seconds))))
    with pytest.raises(SessionError, match=r"^session provider 'odd' issued a session that ends at 20..-") as caught:
        issue(made)
    assert (caught.value.exit_code, list(made.client.cache.sessions())) == (6, [])


class Nowhere(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        raise KeyError(CANARY)


def test_an_end_that_cannot_be_looked_at_is_a_bug_of_the_provider(tmp_path: Path) -> None:
    made = app(tmp_path, gives(session(expires=datetime(2099, 1, 1, tzinfo=Nowhere()))))  # type: ignore[abstract]  # its other methods are not asked
    with pytest.raises(VaultError, match=r"^session provider 'odd' failed with KeyError$"):
        issue(made)


def test_a_session_as_it_should_be_is_handed_out_and_kept(tmp_path: Path) -> None:
    good = session()
    made = app(tmp_path, gives(good), parameters=gives({"a": [1, 2.5, None, True, {"b": "c"}], "t": ("x",)}))
    assert issue(made) == good
    assert [kept.credentials.access_key_id for kept in made.client.cache.sessions()] == ["ASIAEXAMPLE"]


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
        (gives({"a": -math.inf}), "a number that is not finite in 'a'"),
        (gives({"a": [10**5000]}), "a number of more than 64 bits in 'a'"),
        (gives({1: CANARY}), "a name that is int"),
        (gives({"a": {None: CANARY}}), "a name that is None in 'a'"),
        (gives({"a": b"x"}), "bytes in 'a'"),
        (gives({"mfa_serial": 7}), "mfa_serial as int"),
    ],
)
def test_what_a_session_provider_takes_for_parameters_is_checked(parameters: Any, what: str, tmp_path: Path) -> None:
    refused(lambda: issue(app(tmp_path, gives(session()), parameters)), "session", "parameters", what)


@pytest.mark.parametrize("number", [2**64 - 1, 1 - 2**64])
def test_a_parameter_may_have_64_bits(number: int, tmp_path: Path) -> None:
    assert issue(app(tmp_path, gives(session()), gives({"a": number}))).access_key_id == "ASIAEXAMPLE"


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
    made.plugins = Shelf(command=spec)
    command = plugin_commands.PluginCommand(made, "odd", plugin_commands.load(made, "odd"))
    return command.main([], prog_name="odd", standalone_mode=False)


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
    assert (caught.value.hint, caught.value.exit_code) == ("odd --help", 1)  # the words that ran it
    assert run_command(tmp_path, fails(click.exceptions.Exit(6)), monkeypatch) == 6
    for control in (click.UsageError("so"), click.Abort()):
        with pytest.raises(type(control)):
            run_command(tmp_path, fails(control), monkeypatch)
    with pytest.raises(VaultError, match=r"^command 'odd' failed with KeyError$"):
        run_command(tmp_path, fails(KeyError(CANARY)), monkeypatch)


@pytest.mark.parametrize(
    ("purpose", "named"), [("", "awsv for command odd, "), ("store work", "awsv for store work, ")]
)
def test_question_of_a_command_names_the_command(purpose: str, named: str, tmp_path: Path) -> None:
    askers: list[str] = []

    def ask(_question: str, *, asker: str, **_: object) -> Secret:
        askers.append(asker)
        return Secret("typed")

    made = App(Settings({"HOME": str(tmp_path)})).about(purpose)
    made.client._prompter = SimpleNamespace(why_not=lambda: None, ask=ask)
    assert plugin_commands.Commands(made, "odd").ask("Name: ") == Secret("typed")
    assert [asker[: len(named)] for asker in askers] == [named]
