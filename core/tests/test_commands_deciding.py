"""What commands decide before they ask or write anything, in process."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from vault_core.api import Credentials, Secret
from vault_core.cli import add, commands, copy, import_, plugin_commands, ready, remove_plain, shim
from vault_core.cli import list as list_
from vault_core.cli.app import App
from vault_core.cli.sessions import _duration
from vault_core.errors import Cancelled, ConfigError, PassphraseError, UsageError, VaultError, WrongSecret
from vault_core.importing.scan import Found
from vault_core.sessions.cache import Session
from vault_core.settings import Settings

SECRET = "x" * 40

# -- add ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["", " ", "a b", "a\tb", "ä", "a\0", "a\x7f", "a\n b"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_key_that_nothing_could_carry_is_refused(bad: str, which: int) -> None:
    given = [Secret("AKIA"), Secret(SECRET)]
    given[which] = Secret(bad)
    with pytest.raises(UsageError, match=f"^the {('access key id', 'secret access key')[which]} ") as caught:
        add._key(*given)
    assert "nothing was changed" in caught.value.message


def test_a_key_is_stored_without_the_blanks_around_it() -> None:
    key = add._key(Secret(" AKIA~!\n"), Secret(f"\t{SECRET} "))
    assert (key.access_key_id, key.secret_access_key.reveal_text()) == ("AKIA~!", SECRET)


@pytest.mark.parametrize(
    ("key_id", "length", "found"),
    [
        ("AKIA" + "A" * 16, 40, 0),
        ("ASIA" + "2" * 16, 40, 1),
        ("AKIA" + "A" * 15, 40, 1),
        ("AKIA" + "A" * 17, 40, 1),
        ("AKIA" + "1" * 16, 40, 1),
        ("AKIA" + "a" * 16, 40, 1),
        ("AKIA" + "A" * 16, 39, 1),
        ("AKIA" + "A" * 16, 41, 1),
        ("x", 1, 2),
    ],
)
def test_what_does_not_look_like_a_key_is_doubted(key_id: str, length: int, found: int) -> None:
    doubts = add.doubts(Credentials(access_key_id=key_id, secret_access_key=Secret("s" * length)))
    assert len(doubts) == found


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("90m", 5400), ("1", 1), ("1h1m1s", 3661)])
def test_how_long_a_session_lasts(text: str | None, seconds: int | None) -> None:
    assert _duration(click.Context(click.Command("x")), click.Option(["--x"]), text) == seconds


@pytest.mark.parametrize("text", ["0", "0h", "00", "", "-1", "1.5h", "1d", "1h 1m", "²"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        _duration(click.Context(click.Command("x")), click.Option(["--x"]), text)


def session(name: str, left: float) -> Session:
    expires = datetime.now(UTC) + timedelta(seconds=left)
    credentials = Credentials(access_key_id="A", secret_access_key=Secret("s"), expires=expires)
    return Session(credentials, datetime.now(UTC), "sts.X", ("base", name))


@pytest.mark.parametrize(
    ("left", "shown"), [(3600.9, "1h0m0s"), (3599.9, "59m59s"), (59.9, "0m59s"), (7325.9, "2h2m5s"), (-5, "0m0s")]
)
def test_the_time_that_is_left_reads_as_in_aws_vault(left: float, shown: str) -> None:
    assert list_.label(session("work", left)) == f"sts.X:{shown}"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [(None, "locked"), ({}, "-"), ({"work": False}, "work"), ({"work": True}, "work (shared)"), ({"x": True}, "-")],
)
def test_a_row_of_the_list(stored: dict[str, bool] | None, shown: str) -> None:
    sessions = [session("other", 99), session("work", 59.9)]
    assert list_.row("work", stored, sessions) == ("work", shown, "sts.X:0m59s")
    assert list_.row("base", stored, sessions)[2] == "-"  # a session is listed with the profile that it is of
    element = list_.entry("work", ["work"], stored, sessions)
    assert element["stored"] is (None if stored is None else "work" in stored)
    assert element["shared"] is (None if stored is None else stored.get("work", False))
    assert (element["in_config"], len(element["sessions"])) == (True, 1)
    assert not list_.entry("work", [], stored, sessions)["in_config"]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["tf-*"], ["tf-a", "tf-b"]),
        (["tf-b", "tf-*"], ["tf-b", "tf-a"]),
        (["unknown"], ["unknown"]),
        (["x*y"], ["x*y"]),
        (["tf-[b]"], ["tf-b"]),
        (["k*"], ["k*"]),
        (["tf-?"], ["tf-a", "tf-b"]),
        (["t[f]"], ["t[f]"]),
    ],
)
def test_which_profiles_patterns_mean(patterns: list[str], names: list[str]) -> None:
    assert ready.matching(patterns, iter(["tf-a", "tf-b", "x*y", "xay"]), lambda: ["k*", "t[f]", "tf-*"]) == names


def test_a_pattern_without_a_match_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^no profile matches 'TF-\*'"):
        ready.matching(["TF-*"], ["tf-a"], list)


# -- import ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "asked", "opens"), [(0, 1, True), (2, 3, True), (3, 3, False)])
def test_a_person_may_try_the_passphrase_of_aws_vault_three_times(
    wrong: int, asked: int, opens: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    questions: list[str] = []

    found = Found("here")

    def open_items(*_: object) -> Found:
        if len(questions) <= wrong:
            raise WrongSecret("it opens none")
        return found

    monkeypatch.setattr("vault_core.importing.awsvault.open_items", open_items)

    def ask(text: str, *, secret: bool) -> Secret:
        questions.append(text)
        assert secret
        return Secret("x")

    terminal = SimpleNamespace(ask=ask)
    host = SimpleNamespace(terminal=terminal, why_nobody_can_be_asked=lambda: None)
    app: Any = SimpleNamespace(settings=Settings({"HOME": str(tmp_path)}), host=host, note=lambda _: None)
    if opens:
        assert import_._opened(app, tmp_path, {}) is found
    else:
        with pytest.raises(WrongSecret):
            import_._opened(app, tmp_path, {})
    assert len(questions) == asked


def test_an_empty_passphrase_variable_is_no_passphrase_and_no_question(tmp_path: Path) -> None:
    app: Any = SimpleNamespace(settings=Settings({"HOME": str(tmp_path), import_.PASSPHRASE: ""}))
    with pytest.raises(PassphraseError, match=r"is set, and empty$"):
        import_._opened(app, tmp_path, {})


@pytest.mark.parametrize("where", ["full", "~/full", "empty", "missing", "relative"])
def test_which_folder_aws_vaults_items_are_looked_for_in(where: str, tmp_path: Path) -> None:
    for name in ("full", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "full/item").write_bytes(b"eyJx")
    named = {"~/full": "~/full", "relative": "full"}.get(where, str(tmp_path / where))
    app: Any = SimpleNamespace(settings=Settings({"HOME": str(tmp_path), import_.ITEMS: named}))
    expected = tmp_path / "full" if where in ("full", "~/full") else tmp_path / ".awsvault/keys"
    assert import_._items_folder(app, None) == expected
    assert import_._items_folder(app, str(tmp_path / "given")) == tmp_path / "given"


@pytest.mark.parametrize(
    ("mode", "closed", "obstacle"),
    [
        (0o600, "", None),
        (0o020, "", None),
        (0o002, "", None),
        (0o400, "", "{file} is read-only"),
        (0o600, "file", "{file} is read-only"),
        (0o600, "folder", "the folder of {file} is read-only"),
    ],
)
def test_what_is_in_the_way_of_a_removal(
    mode: int, closed: str, obstacle: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, link = tmp_path / "credentials", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    assert "is a symbolic link to" in (remove_plain._obstacle(link) or "")
    file.chmod(mode)
    to_nobody = {"file": file, "folder": tmp_path}.get(closed)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != to_nobody)  # to root nothing is closed
    assert remove_plain._obstacle(file) == (obstacle.format(file=file) if obstacle else None)
    assert remove_plain._mode(file) == mode
    assert remove_plain._mode(tmp_path / "none") == 0o600


@pytest.mark.parametrize("same", ["identity", "place", "file", "no"])
def test_stores_that_are_one(same: str, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    one: Any = SimpleNamespace(identity="1", place=str(tmp_path / "a"))
    two: Any = SimpleNamespace(identity="2", place=str(tmp_path / "b"))
    two.identity = "1" if same == "identity" else "2"
    two.place = {"place": one.place, "file": str(tmp_path / "link")}.get(same, two.place)
    assert copy._are_one(one, two) is (same != "no")


# -- the shim ----------------------------------------------------------------------------------------------------------


def test_a_launcher_is_known_by_its_mark_near_its_beginning(tmp_path: Path) -> None:
    launcher = tmp_path / "deep/aws-vault"
    shim._write(launcher, Path("/a b/awsv"))
    assert launcher.read_text() == f"#!/bin/sh\n{shim.MARK}\nexec '/a b/awsv' \"$@\"\n"
    assert launcher.stat().st_mode & 0o777 == 0o755
    assert [one.name for one in launcher.parent.iterdir()] == ["aws-vault"]
    assert shim._is_ours(launcher)
    launcher.write_text("#" * 1024 + shim.MARK)
    assert not shim._is_ours(launcher)
    assert not shim._is_ours(tmp_path / "none")


def test_what_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "aws-vault/full").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"^cannot write "):
        shim._write(tmp_path / "aws-vault", Path("/awsv"))
    assert [one.name for one in tmp_path.iterdir()] == ["aws-vault"]


# -- exit codes --------------------------------------------------------------------------------------------------------


def ended(code: int) -> VaultError:
    error = VaultError("no")
    error.exit_code = code
    return error


@pytest.mark.parametrize("child", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "with_child"),
    [
        (UsageError("no"), 2, 125),
        (ended(126), 126, 126),
        (ended(127), 127, 127),
        (Cancelled("no"), Cancelled.exit_code, Cancelled.exit_code),
        (KeyboardInterrupt(), Cancelled.exit_code, Cancelled.exit_code),
        (click.Abort(), Cancelled.exit_code, Cancelled.exit_code),
        (click.UsageError("No."), 2, 125),
        (ValueError("canary"), 1, 125),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_the_exit_code_of_a_failure(
    error: BaseException,
    code: int,
    with_child: int,
    child: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    closed: list[bool] = []

    def fails(app: App, _: list[str]) -> int:
        app.child = child
        monkeypatch.setattr(app, "close", lambda: closed.append(True))
        raise error

    monkeypatch.setattr(commands, "_run", fails)
    assert commands.run([]) == (with_child if child else code)
    assert closed == [True]
    assert "canary" not in capfd.readouterr().err


@pytest.mark.parametrize(("given", "told"), [(1, 1), (7, 7), (255, 255), (256, 1), (0, 1), (-1, 1)])
def test_a_plugins_command_that_fails_has_an_exit_code_that_says_so(given: int, told: int) -> None:
    error = click.ClickException("No file.")
    error.exit_code = given  # type: ignore[misc]
    app: Any = SimpleNamespace(plugins=SimpleNamespace(owner=lambda *_: ("vault-plugin-x", "1")))
    found = plugin_commands._told(app, "x", error)
    assert (found.message, found.exit_code) == ("command 'x' from vault-plugin-x 1: no file", told)
