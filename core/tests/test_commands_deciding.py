"""What commands decide before they ask or write anything, in process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from vault_core.api import Credentials, Secret
from vault_core.cli import commands, copy, plugin_commands
from vault_core.cli import list as list_
from vault_core.cli.app import App
from vault_core.cli.sessions import _duration
from vault_core.errors import (
    Cancelled,
    ConfigError,
    PassphraseError,
    StorageCorrupt,
    StorageUnavailable,
    UsageError,
    VaultError,
)
from vault_core.keyslots.manage import KeySlots
from vault_core.sessions import listing, ready
from vault_core.sessions.cache import Session
from vault_core.storage import new_key

SECRET = "x" * 40

# -- add ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["", " ", "a b", "a\tb", "ä", "a\0", "a\x7f", "a\n b"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_key_that_nothing_could_carry_is_refused(bad: str, which: int) -> None:
    given = [Secret("AKIA"), Secret(SECRET)]
    given[which] = Secret(bad)
    with pytest.raises(UsageError, match=f"^the {('access key ID', 'secret access key')[which]} ") as caught:
        new_key.pasted(*given)
    assert "nothing was changed" in caught.value.message


def test_a_key_is_stored_without_the_blanks_around_it() -> None:
    key = new_key.pasted(Secret(" AKIA~!\n"), Secret(f"\t{SECRET} "))
    assert (key.access_key_id, key.secret_access_key.reveal_text()) == ("AKIA~!", SECRET)


def test_the_key_of_a_session_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^ASIA2222222222222222 is the key of a session, which expires"):
        new_key.pasted(Secret("ASIA2222222222222222"), Secret(SECRET))


@pytest.mark.parametrize(
    ("key_id", "length", "found"),
    [
        ("AKIA" + "A" * 16, 40, 0),
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
    doubts = new_key.doubts(Credentials(access_key_id=key_id, secret_access_key=Secret("s" * length)))
    assert len(doubts) == found


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("90m", 5400), ("1", 1), ("1h1m1s", 3661)])
def test_how_long_a_session_lasts(text: str | None, seconds: int | None) -> None:
    assert _duration(click.Context(click.Command("x")), click.Option(["--x"]), text) == seconds


@pytest.mark.parametrize("text", ["0", "0h", "00", "", "-1", "1.5h", "1w", "1h 1m", "²"])
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
    assert list_.label(listing.live(session("work", left))) == f"sts.X:{shown}"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [(None, "locked"), ({}, "-"), ({"work": False}, "work"), ({"work": True}, "work (shared)"), ({"x": True}, "-")],
)
def test_a_row_of_the_list(stored: dict[str, bool] | None, shown: str) -> None:
    sessions = [session("other", 99), session("work", 59.9)]
    work, base, *_ = listing.listed(["work", "base"], stored, sessions)
    assert list_.row(work) == ("work", shown, "sts.X:0m59s")
    assert list_.row(base)[2] == "-"  # a session belongs to its own profile, not to those that it depends on
    assert work.stored is (None if stored is None else "work" in stored)
    assert work.shared is (None if stored is None else stored.get("work", False))
    assert (work.in_config, len(work.sessions)) == (True, 1)
    assert [one.in_config for one in listing.listed([], stored, sessions) if one.profile == "work"] == [False]


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


# -- copy --------------------------------------------------------------------------------------------------------------


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
    error.exit_code = given  # type: ignore[misc]  # a class has one, and this test wants any
    app: Any = SimpleNamespace(plugins=SimpleNamespace(owner=lambda *_: ("vault-plugin-x", "1")))
    found = plugin_commands._converted(app, "import-x", error, "awsv import x")
    assert (found.message, found.exit_code) == ("command 'import-x' from vault-plugin-x 1: no file", told)
    assert found.hint == "awsv import x --help"


# -- ways in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [StorageUnavailable("away"), StorageCorrupt("damaged"), PassphraseError("wrong")])
def test_a_slot_may_be_there_where_nothing_says_that_it_is_not(failure: VaultError) -> None:
    """Its source must keep its key then: the slot may open the store."""

    def slots() -> object:
        raise failure

    keeper: Any = SimpleNamespace(slots=slots)
    nothing: Any = None
    slots_of = KeySlots(nothing, keeper, nothing, nothing)
    assert not slots_of.lacks(nothing)
