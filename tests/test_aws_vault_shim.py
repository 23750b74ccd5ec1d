"""``awsv config aws-vault-shim``: a launcher named ``aws-vault``, which replaces nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.home import PROGRAM, Home
from support.vaults import KEY_ID, SECRET, UNLOCKED, fill, offline

SHIM = ("config", "aws-vault-shim")


@pytest.fixture
def person(tmp_path: Path) -> Home:
    """Somebody with awsv in a folder of their own on ``PATH``, and a key."""
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    folder = home.root / "bin"
    folder.mkdir()
    (folder / "awsv").symlink_to(PROGRAM)
    home.env["PATH"] = f"{folder}:{home.env['PATH']}"
    return home


def real(home: Home, folder: str, *, first: bool = False) -> Path:
    """A program named aws-vault that is not ours."""
    place = home.root / folder
    place.mkdir(exist_ok=True)
    program = place / "aws-vault"
    program.write_text("#!/bin/sh\necho the real one\n")
    program.chmod(0o755)
    home.env["PATH"] = f"{place}:{home.env['PATH']}" if first else f"{home.env['PATH']}:{place}"
    return program


def run(home: Home, *words: str) -> tuple[int, str]:
    done = home.run(home.root / "bin/awsv", *words, env=UNLOCKED)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_it_runs_awsv_and_goes_again(person: Home) -> None:
    shim = person.root / "bin/aws-vault"
    code, said = run(person, *SHIM)
    assert (code, said) == (0, f"awsv: {shim} runs {person.root}/bin/awsv\n")
    done = person.run("sh", "-c", "aws-vault exec --json -n work", env=UNLOCKED)
    assert json.loads(done.stdout)["AccessKeyId"] == KEY_ID
    assert shim.stat().st_mode & 0o777 == 0o755
    assert run(person, *SHIM)[0] == 0
    assert run(person, *SHIM, "--undo") == (0, f"awsv: removed {shim}\n")
    assert not shim.exists()
    assert "nothing to do" in run(person, *SHIM, "--undo")[1]


def test_a_real_one_that_would_be_hidden_is_named_first(person: Home) -> None:
    program = real(person, "other")
    code, said = run(person, *SHIM)
    assert code == 2
    assert "hint: give --yes" in said
    assert not (person.root / "bin/aws-vault").exists()
    child = person.spawn(*SHIM, program=person.root / "bin/awsv")
    child.expect_exact(f"{program} would not be found any more")
    child.sendline("n")
    child.expect_exact("nothing was changed")
    child.wait()
    child.close()
    assert child.exitstatus == 130
    assert not (person.root / "bin/aws-vault").exists()
    code, said = run(person, *SHIM, "--yes")
    assert code == 0
    assert f"hides {program}" in said
    assert "real one" in program.read_text()


def test_a_real_one_that_comes_first(person: Home) -> None:
    program = real(person, "other", first=True)
    code, said = run(person, *SHIM)
    assert code == 0
    assert f"{program} comes first on PATH" in said


def test_a_real_one_in_its_place_stays(person: Home) -> None:
    program = real(person, "bin")
    code, said = run(person, *SHIM, "--yes")
    assert code == 2
    assert f"{program} is there already" in said
    assert run(person, *SHIM, "--undo")[0] == 0
    assert "real one" in program.read_text()


def test_without_a_folder_to_write_it_goes_to_the_home(person: Home) -> None:
    folder = person.root / "bin"
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):  # root may write everywhere; then it lies beside awsv all the same
            assert run(person, *SHIM)[0] == 0
            assert (folder / "aws-vault").exists()
            return
        code, said = run(person, *SHIM)
        assert code == 0
        assert (person.path / ".local/bin/aws-vault").exists()
        assert "is not on PATH" in said
    finally:
        folder.chmod(0o700)
