"""The source ``env`` with a command that prints the passphrase."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from support.busy import seconds
from support.env_source import CANARY, EVERY, NAME, context, get, refusal
from vault_core.api import Secret, SourceUnavailable


def script(tmp_path: Path, body: str) -> str:
    path = tmp_path / "a script.py"
    path.write_text(f"#!{sys.executable}\nimport os, sys\n{body}\n")
    path.chmod(0o700)
    return f"'{path}'"


@pytest.mark.process
def test_command_is_split_without_shell(tmp_path: Path) -> None:
    command = script(tmp_path, "print('|'.join(sys.argv[1:]))")
    asked = context(tmp_path, {NAME + "_COMMAND": f"{command} 'two words' $HOME ';' *"})
    assert get(asked) == Secret("two words|$HOME|;|*")


@pytest.mark.process
def test_command_gets_environment_without_passphrase(tmp_path: Path) -> None:
    command = script(tmp_path, "print(' '.join(sorted(os.environ)))")
    environ = {"GNUPGHOME": "/x", "AWS_VAULT_OTHER_PASSPHRASE": CANARY, EVERY: CANARY, "AWS_VAULT_BACKEND": "file"}
    names = get(context(tmp_path, {**environ, NAME + "_COMMAND": command}))
    assert names is not None
    seen = names.reveal_text().split()
    assert {"GNUPGHOME", "AWS_VAULT_BACKEND", "PATH"} <= set(seen)
    assert not [name for name in seen if "PASSPHRASE" in name]


@pytest.mark.process
def test_failed_command_is_unavailable(tmp_path: Path) -> None:
    command = script(tmp_path, f"print({CANARY!r}); print({CANARY!r}, file=sys.stderr); sys.exit(3)")
    message = refusal(tmp_path, {NAME + "_COMMAND": f"{command} '{CANARY}'"}, SourceUnavailable)
    assert message == f"{NAME}_COMMAND: {command[1:-1]} ended with exit code 3"


@pytest.mark.process
@pytest.mark.parametrize("output", ["", "\\n"])
def test_command_without_output_is_refused(tmp_path: Path, output: str) -> None:
    command = script(tmp_path, f"sys.stdout.write('{output}')")
    assert refusal(tmp_path, {NAME + "_COMMAND": command}) == f"{NAME}_COMMAND is set but empty"


@pytest.mark.process
def test_command_that_cannot_run_is_reported(tmp_path: Path) -> None:
    name = f"{NAME}_COMMAND"
    message = refusal(tmp_path, {name: f"echo '{CANARY}"})
    assert message == f"{name} cannot be split into words: no closing quotation"
    refusal(tmp_path, {name: f"/nonexistent/command '{CANARY}'"}, SourceUnavailable)


@pytest.mark.process
def test_command_is_limited_by_deadline(tmp_path: Path) -> None:
    asked = context(tmp_path, {NAME + "_COMMAND": "sleep 20"})
    start = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"^sleep did not end within 0\.\d+ s$"):
        get(asked, deadline=time.monotonic() + 0.1)
    with pytest.raises(SourceUnavailable, match=f"{NAME}_COMMAND: no time left to run sleep"):
        get(asked, deadline=time.monotonic() - 1)
    assert time.monotonic() - start < seconds(5)
