"""The program that ``exec`` finds and the environment that it passes on, in process."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.sessions.child import NOT_EXECUTABLE, NOT_FOUND, NoProgram, become, child_environment, find_program
from vault_core.settings import REMOVED, Settings

KEPT = "AWS_VAULT_FILE_PASSPHRASE"


def test_a_program_in_a_folder_that_is_closed_to_us_is_there_and_cannot_be_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a shell has it: 126, not 127. To root no folder is closed, so the refusal is made here."""
    stat = Path.stat

    def closed(path: Path, **named: bool) -> os.stat_result:
        if path.parent == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **named)

    monkeypatch.setattr(Path, "stat", closed)
    for name, environ in ((f"{tmp_path}/tool", {}), ("tool", {"PATH": f"{tmp_path}:/nowhere"})):
        with pytest.raises(NoProgram, match=f"^cannot run '{name}': permission denied$") as caught:
            find_program(name, environ)
        assert caught.value.exit_code == NOT_EXECUTABLE
    assert find_program("sh", {"PATH": f"{tmp_path}:/bin"}) == "/bin/sh"


def left_of(environ: dict[str, str], keep: tuple[str, ...]) -> dict[str, str]:
    host = Host(Settings(environ), Plugins())
    return child_environment(host.settings.environ, host.secret_variables(), (), keep)


@pytest.mark.parametrize(("keep", "removed"), [((), f"{KEPT},OLD"), ((KEPT,), "OLD"), ((KEPT, "OLD"), "OLD")], ids=str)
def test_a_nested_call_is_told_of_every_variable_that_is_gone_by_now(
    tmp_path: Path, keep: tuple[str, ...], removed: str
) -> None:
    left = left_of({"HOME": str(tmp_path), KEPT: "canary", REMOVED: f"{KEPT},OLD"}, keep)
    assert left[REMOVED] == removed
    assert (KEPT in left) is (KEPT in keep)


def test_where_nothing_is_gone_any_more_a_nested_call_is_told_of_nothing(tmp_path: Path) -> None:
    assert REMOVED not in left_of({"HOME": str(tmp_path), KEPT: "canary", REMOVED: KEPT}, (KEPT,))


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOENT, NOT_FOUND), (errno.EACCES, NOT_EXECUTABLE), (errno.ENOEXEC, NOT_EXECUTABLE)]
)
def test_a_program_that_the_system_refuses_has_the_exit_code_of_a_shell(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "execve", refuse)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process goes on
    with pytest.raises(NoProgram, match=f"^cannot run 'tool': {os.strerror(number)}$") as caught:
        become("/bin/tool", ["tool"], {})
    assert caught.value.exit_code == code
