"""A line that a shell gets with its outer quotes taken away must not run what the profile's name says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vault_core.awsconfig.quoting import process_line, process_profile, quote

NAMES = ["x & touch PWNED & y", "a b", "it's $x", 'say "x" & touch PWNED', "`touch PWNED`", "$(touch PWNED) z", "plain"]
LAUNCHERS = ["bin/awsv", "a folder/awsv", "it's/awsv", "a 'b' c/awsv", "$x `y`/awsv"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_pair_of_outer_quotes_can_be_taken_away(tmp_path: Path, launcher: str, name: str) -> None:
    """The SDK for Go does so (``internal/ini`` of aws-sdk-go-v2), and runs the rest with ``sh -c``."""
    program = tmp_path / launcher
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    program.chmod(0o755)
    value = process_line(program, name)
    assert process_profile(value, program) == name
    if value[0] in "\"'" and value[0] == value[-1]:
        value = value[1:-1]
    done = subprocess.run(["/bin/sh", "-c", value], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["exec", "-j", name]
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize(
    ("value", "profile"),
    [
        ("/usr/bin/awsv exec -j a", "a"),  # also where the launcher has another name
        ("/opt/awsv-dev exec -j a", "a"),
        ("/opt/other exec -j a", None),
        ("awsv --backend other exec -j a", None),
        ("awsv exec -j a b", None),
    ],
)
def test_a_line_of_ours_says_no_more_than_the_profile(value: str, profile: str | None) -> None:
    assert process_profile(value, Path("/opt/awsv-dev")) == profile


@pytest.mark.parametrize("char", '"$`!\\')
def test_a_character_that_a_shell_reads_in_double_quotes_is_in_single_quotes(char: str) -> None:
    assert quote(f"a {char}b") == f"'a {char}b'"
