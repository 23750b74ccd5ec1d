"""What every command works with, in process."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.scripted import KEY, Machine, Person, Provider, Shelf
from vault_core import output, stdout
from vault_core.api import Credentials, SessionRequest
from vault_core.asking import Asking
from vault_core.cli import exec as exec_
from vault_core.cli import export, memo
from vault_core.cli.app import MACHINE_QUESTION_LIMIT, App
from vault_core.client import Client
from vault_core.errors import Cancelled, ConfigError, StorageError, UsageError
from vault_core.fast.leave import Answer
from vault_core.sessions.profiles import SessionOptions
from vault_core.settings import Settings
from vault_core.storage.vault import Store, StoredKey, Vault


@pytest.fixture(autouse=True)
def _stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier test captured."""
    monkeypatch.setattr(stdout, "_kept", None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(Vault, "get", lambda _, name: made.stored.get(name))
    return made


@pytest.fixture
def app(machine: Machine) -> App:
    return machine.app()


def vault_of(app: App) -> Vault:
    return Vault(app.host, Store.choose(app.host, {}))


# -- a key is changed --------------------------------------------------------------------------------------------------


class Slow(Provider):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = threading.Event(), threading.Event()

    def issue(self, request: SessionRequest) -> Credentials:
        self.asked.set()
        assert self.answer.wait(20)
        return super().issue(request)


@pytest.mark.parametrize("planned", ["before", "during"])
def test_a_session_of_the_old_key_that_is_made_meanwhile_is_served_by_nobody(
    machine: Machine, app: App, planned: str
) -> None:
    """Another process reads the key before it is written, and has its session after all is done."""
    slow = Slow()
    machine.host.plugins._loaded["session", "sts"] = Shelf(slow, {})._loaded["session", "sts"]
    engine = machine.engine()

    def other() -> None:
        engine.obtain(plan.last)

    thread = threading.Thread(target=other)
    plan = machine.plan("user")
    with app.changing_key(vault_of(app), "user"):
        if planned == "during":
            plan = machine.plan("user")
        thread.start()
        assert slow.asked.wait(20)
        machine.stored["user"] = StoredKey(
            Credentials(access_key_id="AKIANEW", secret_access_key=KEY.secret_access_key), "2"
        )
    slow.answer.set()
    thread.join()
    assert machine.cache.get(plan.last.cache_key) is not None  # it was kept
    machine.get("user")
    assert [request.source.access_key_id for request in slow.requests if request.source] == ["AKIASTORED", "AKIANEW"]


def test_the_sessions_of_a_changed_key_are_dropped_and_counted(machine: Machine, app: App) -> None:
    machine.get("user")
    with app.changing_key(vault_of(app), "user") as dropped:
        assert dropped == []
    assert dropped == [1]
    assert list(machine.cache.sessions()) == []


def test_a_change_that_fails_counts_as_one(machine: Machine, app: App) -> None:
    before = machine.plan("user").last.cache_key
    machine.get("user")
    seen: list[str] = []
    with suppress(RuntimeError), app.changing_key(vault_of(app), "user"):
        seen.append(machine.plan("user").last.cache_key)
        raise RuntimeError
    seen.append(machine.plan("user").last.cache_key)
    assert len({before, *seen}) == 3
    assert list(machine.cache.sessions()) == []


@pytest.mark.parametrize("variable", ["AWS_MIN_TTL", "AWS_VAULT_SESSION_CACHE"])
def test_a_wrong_setting_of_the_cache_ends_a_change_before_it_is_done(app: App, variable: str) -> None:
    wrong = App(Settings({**app.settings.environ, variable: "wrong"}))
    changed = []
    with pytest.raises(ConfigError, match=variable), wrong.changing_key(vault_of(app), "user"):
        changed.append("user")
    with pytest.raises(ConfigError, match=variable), wrong.client.key_changes.changing_store(vault_of(app).store):
        changed.append("user")
    assert changed == []


def test_ctrl_c_during_a_change_says_that_either_key_may_be_there(app: App) -> None:
    told = "it is the old one or the new one"
    with pytest.raises(Cancelled, match=told) as caught, app.changing_key(vault_of(app), "my work"):
        raise KeyboardInterrupt
    assert caught.value.hint == "'awsv explain 'my work'' shows which"


@pytest.mark.parametrize(("times", "told"), [(0, "nothing was changed"), (1, "run 'awsv clear'")])
def test_a_generation_that_cannot_be_renewed_is_told(
    app: App, monkeypatch: pytest.MonkeyPatch, times: int, told: str
) -> None:
    advance, calls, changed = app.client.generations.advance, [0], []

    def failing(*arguments: str) -> None:
        calls[0] += 1
        if calls[0] > times:
            raise OSError(28, "No space left on device")
        advance(*arguments)

    monkeypatch.setattr(app.client.generations, "advance", failing)
    with pytest.raises(StorageError) as caught, app.changing_key(vault_of(app), "user"):
        changed.append("user")
    assert "cannot be written (No space left on device)" in caught.value.message
    assert told in caught.value.message
    assert changed == ["user"] * times


def test_a_changed_store_makes_every_session_of_its_keys_stale_before_the_change_and_after_it(
    machine: Machine, app: App
) -> None:
    """Before, as the change may be done and its end never be seen; after, as a session may be made meanwhile."""
    seen = [machine.plan("user").last.cache_key]
    machine.get("user")
    with suppress(RuntimeError), app.client.key_changes.changing_store(vault_of(app).store):
        seen.append(machine.plan("user").last.cache_key)
        raise RuntimeError
    seen.append(machine.plan("user").last.cache_key)
    assert len(set(seen)) == 3
    assert list(machine.cache.sessions()) == []


# -- writing -----------------------------------------------------------------------------------------------------------


def test_lines_for_a_person_are_escaped(app: App, capfd: pytest.CaptureFixture[str]) -> None:
    app.write("a\x1b[2J\u202e\nb")
    assert capfd.readouterr().out == "a\\x1b[2J\\u202e\nb\n"


def test_json_is_ascii_without_control_characters_and_says_the_same(
    app: App, capfd: pytest.CaptureFixture[str]
) -> None:
    value = {"a\x7f": "\x1b\x9b\u202e\u2028\ud800\x00 ü", "b": [None, 1, True]}
    app.write_json(value)
    shown = capfd.readouterr().out
    assert all(char == "\n" or " " <= char <= "~" for char in shown)
    assert json.loads(shown) == value


def test_columns_are_as_wide_as_what_is_seen(app: App, capfd: pytest.CaptureFixture[str]) -> None:
    app.write_table(("A", "Bc"), [("日本", "x"), ("e\u0301\n", "y"), ("abc", "")])
    assert capfd.readouterr().out == "A     Bc\n=     ==\n日本  x\ne\u0301\\n   y\nabc\n"


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o644, True), (0o640, True)])
@pytest.mark.parametrize("words", [["export", "user"], ["exec", "-j", "user"]], ids=" ".join)
def test_credentials_in_a_file_that_others_may_read_are_told_of(
    app: App,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    mode: int,
    warned: bool,
    words: list[str],
) -> None:
    path = tmp_path / "credentials"
    path.touch()
    path.chmod(mode)
    with path.open("wb", buffering=0) as file:
        monkeypatch.setattr(stdout, "_kept", file.fileno())
        command = {"export": export.command, "exec": exec_.command}[words[0]]
        command.main(words[1:], obj=app, standalone_mode=False)
    assert "ASIA1" in path.read_text()
    told = f"awsv: warning: these credentials go to a file that others may read: its mode is {mode:04o}\n"
    assert capfd.readouterr().err == (told if warned else "")


@pytest.mark.parametrize("words", [["export", "user"], ["exec", "-j", "user"]], ids=" ".join)
def test_question_for_a_program_ends_early(
    app: App, words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Asking] = []
    real = Client.session

    def session(client: Client, *args: Any, asking: Asking, **how: Any) -> Any:
        used.append(asking)
        return real(client, *args, asking=asking, **how)

    monkeypatch.setattr(Client, "session", session)
    command = {"export": export.command, "exec": exec_.command}[words[0]]
    command.main(words[1:], obj=app, standalone_mode=False)
    assert "ASIA1" in capfd.readouterr().out
    assert [(asking.time_limit, asking.attended) for asking in used] == [(MACHINE_QUESTION_LIMIT, False)]


@pytest.mark.parametrize("principal", [None, lambda _: "ana"], ids=["nobody in particular", "a login"])
def test_memo_is_left_only_where_no_plugin_has_to_say_whose_the_store_is(
    app: App, machine: Machine, principal: Callable[[Any], str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token of a login lies where only its plugin looks: a memo would outlive a change of it."""
    left: list[Answer | None] = []
    monkeypatch.setattr(memo, "leave", lambda _settings, _profile, answered, _packages: left.append(answered))
    plugins = machine.host.plugins
    plugins._loaded["storage", "file"] = replace(plugins.load("storage", "file"), principal=principal)
    for _ in range(2):
        plan, issued = app.session("user", SessionOptions(), machine=True)
        memo.leave_memo(app, plan, issued, SessionOptions())
    assert [answered is not None for answered in left] == [False, principal is None], "the first session is new"


@pytest.mark.parametrize("named", [True, False])
def test_no_child_is_started_from_a_memo_where_a_setting_names_an_open_file(
    machine: Machine, tmp_path: Path, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual path closes it for the child; the hot path does not know which one it is."""
    left: list[Answer | None] = []
    monkeypatch.setattr(memo, "leave", lambda _settings, _profile, answered, _packages: left.append(answered))
    folder = tmp_path / ".config/awsv"
    folder.mkdir(parents=True, mode=0o700)
    with (tmp_path / "token").open("w") as file:
        path = f"/dev/fd/{file.fileno()}" if named else tmp_path / "token"
        (folder / "config.toml").write_text(f'[plugin.hashicorp]\ntoken-file = "{path}"\n')
        app = machine.app()
        for _ in range(2):
            plan, issued = app.session("user", SessionOptions(), machine=True)
            memo.leave_memo(app, plan, issued, SessionOptions())
    assert left[-1] is not None
    assert left[-1].can_exec is not named


def test_a_region_that_drives_a_terminal_is_exported_by_no_format_of_lines(
    app: App, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"the region 'a\\x1b\[2J' cannot be printed in one line"):
        export.command.main(["user", "--region", "a\x1b[2J"], obj=app, standalone_mode=False)
    assert capfd.readouterr().out == ""


# -- asking ------------------------------------------------------------------------------------------------------------


def test_where_nobody_can_say_yes_the_flag_is_named(tmp_path: Path) -> None:
    app = App(Settings({"HOME": str(tmp_path)}))
    app._client = Client(app.settings, ask=Person(False))
    with pytest.raises(UsageError, match="no question is possible: there is no terminal") as caught:
        app.confirm("Really?", flag="--yes")
    assert caught.value.hint == "give --yes"


def test_no_input_allows_no_question(tmp_path: Path) -> None:
    assert App(Settings({"HOME": str(tmp_path)}, {"no-input": "1"})).host.asking.allowed is False
    assert App(Settings({"HOME": str(tmp_path)})).host.asking.allowed is True


def test_variants_of_a_run_share_everything_but_how_they_ask(tmp_path: Path) -> None:
    app = App(Settings({"HOME": str(tmp_path)}))
    variant = app.about("profile prod", attended=False)
    assert (variant.host.asking.purpose, variant.host.asking.attended) == ("profile prod", False)
    looking = variant.looking()
    assert (looking.host.asking.purpose, looking.host.asking.allowed, looking.host.asking.offline) == (
        "profile prod",
        False,
        True,
    )
    assert app.host.asking == Asking()
    assert looking.host.state is variant.host.state is app.host.state
    assert looking.plugins is app.plugins


@pytest.mark.parametrize(
    ("for_program", "person", "limit", "foreground"),
    [(True, True, MACHINE_QUESTION_LIMIT, False), (False, True, 600.0, True), (False, False, 600.0, False)],
)
def test_a_program_waits_45_seconds_for_an_answer_and_a_person_as_long_as_they_say(
    tmp_path: Path, for_program: bool, person: bool, limit: float, foreground: bool
) -> None:
    app = Machine(tmp_path, person=person).app(AWS_VAULT_WAIT="600")
    asking = app.asking_for_sessions(machine=for_program)
    assert asking.time_limit == limit
    engine = app.client.engine(None, asking=asking, foreground=not for_program)
    assert engine._flights.foreground is foreground


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("person", [True, False])
@pytest.mark.parametrize("for_program", [True, False])
def test_notices_are_for_a_person_who_sees_them(
    tmp_path: Path, for_program: bool, person: bool, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a store that is an older copy would be read, with a warning that goes to a log."""
    monkeypatch.setattr(output, "is_seen", lambda: seen)
    asking = Machine(tmp_path, person=person).app().asking_for_sessions(machine=for_program)
    assert asking.attended is (person and seen and not for_program)


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_what_was_copied_counts_only_while_the_file_is_the_same(tmp_path: Path) -> None:
    app = App(Settings({"HOME": str(tmp_path)}))
    assert app.import_records.copied(app.settings.aws_credentials_file, b"[a]\n") == frozenset()
    app.import_records.write(app.settings.aws_credentials_file, b"[a]\n", ["a"])
    assert app.import_records.copied(app.settings.aws_credentials_file, b"[a]\n") == {"a"}
    assert app.import_records.copied(app.settings.aws_credentials_file, b"[a] \n") == frozenset()


def test_the_launcher_is_the_program_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bin/awsv"])
    assert App().launcher == tmp_path / "bin/awsv"
    monkeypatch.setattr(sys, "argv", [os.fspath(tmp_path / "pytest")])
    assert App().launcher == Path(sys.executable).with_name("awsv")


def test_a_table_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data) or len(data))
    App(Settings({"HOME": str(tmp_path)})).write_table(("Name", "N"), [("a\nb", "1")] * 200)
    [table] = written
    assert table.startswith(b"Name  N\n====  =\na\\nb  1\n")
    assert table.count(b"\n") == 202
