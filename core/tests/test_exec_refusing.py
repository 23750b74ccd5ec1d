"""What ``awsv exec`` refuses before anybody is asked for anything, and how messages list things, in process."""

from __future__ import annotations

from pathlib import Path

import pytest

from vault_core.cli import exec as exec_
from vault_core.cli.app import App
from vault_core.cli.text import MAX_NAMED, counted, reasons
from vault_core.errors import UsageError
from vault_core.settings import Settings


def refused(words: list[str], environ: dict[str, str], root: Path) -> UsageError:
    """There is no program ``/nowhere/sh``: that is the next thing that is looked at."""
    app = App(Settings({"HOME": str(root), "SHELL": "/nowhere/sh", **environ}))
    with pytest.raises(UsageError) as caught:
        exec_.command.main(words, obj=app, standalone_mode=False)
    return caught.value


@pytest.mark.parametrize(
    ("words", "environ", "nested"),
    [
        (["work"], {"AWS_VAULT": "play"}, True),
        (["--nested", "work"], {"AWS_VAULT": "play"}, False),
        (["work"], {}, False),
        (["work"], {"AWS_VAULT": ""}, False),
        (["work", "/nowhere/sh"], {"AWS_VAULT": "play"}, False),
    ],
    ids=str,
)
def test_a_shell_within_a_shell_of_ours_is_refused(
    words: list[str], environ: dict[str, str], nested: bool, tmp_path: Path
) -> None:
    error = refused(words, environ, tmp_path)
    if nested:
        assert error.message == "you are already in an awsv shell for profile 'play'"
        assert error.exit_code == 2
    else:
        assert error.message == "cannot run '/nowhere/sh': there is no such command"
        assert error.exit_code == 127


@pytest.mark.parametrize("words", [["--json", "work", "ls"], ["-j", "work", "--", "ls"]])
def test_what_prints_credentials_runs_nothing(words: list[str], tmp_path: Path) -> None:
    assert refused(words, {}, tmp_path).message == "--json prints credentials and runs nothing"


@pytest.mark.parametrize(("number", "text"), [(0, "0 keys"), (1, "1 key"), (2, "2 keys")])
def test_things_are_counted(number: int, text: str) -> None:
    assert counted(number, "key") == text


@pytest.mark.parametrize(("over", "end"), [(0, "'19': why"), (1, "; and 1 more"), (5, "; and 5 more")])
def test_a_message_names_so_many_and_no_more(over: int, end: str) -> None:
    text = reasons((str(number), "why") for number in range(MAX_NAMED + over))
    assert text.endswith(end)
    assert text.count("why") == 1
    assert f"'{MAX_NAMED}'" not in text
    assert reasons([("a", "x"), ("b", "y"), ("c", "x")]) == "'a', 'c': x; 'b': y"
