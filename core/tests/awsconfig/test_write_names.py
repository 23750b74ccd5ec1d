"""Under which names, and over which files, a config file is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vault_core.awsconfig import write
from vault_core.awsconfig.editor import Document
from vault_core.errors import ConfigError


@pytest.mark.parametrize("there", ["a file", "a link", "a link to nothing"])
def test_what_somebody_put_under_the_temporary_name_is_not_written_to(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "_UNNAMED", 0)
    temporary, theirs = tmp_path / ".config.awsv-0a1b2c3d", tmp_path / "theirs"
    if there != "a link to nothing":
        theirs.write_bytes(b"theirs")
    if there == "a file":
        theirs.rename(temporary)
        theirs = temporary
    else:
        temporary.symlink_to(theirs)
    with pytest.raises(FileExistsError):
        write._open(temporary)
    assert there == "a link to nothing" or theirs.read_bytes() == b"theirs"
    assert theirs.exists() is (there != "a link to nothing")


@pytest.mark.parametrize(("mode", "written"), [(0o600, True), (0o460, True), (0o406, True), (0o444, False)])
def test_a_file_that_nobody_may_write_is_left_alone(
    mode: int, written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: True)  # as for root, or by another way than the owner's
    path = tmp_path / "config"
    path.write_bytes(b"old")
    path.chmod(mode)
    if written:
        write.save(path, b"old", b"new", locks=tmp_path / "locks")
    else:
        with pytest.raises(ConfigError, match=r"it is read-only$"):
            write.save(path, b"old", b"new", locks=tmp_path / "locks")
    assert path.read_bytes() == (b"new" if written else b"old")
    assert path.stat().st_mode & 0o777 == mode


def test_a_file_that_is_not_ours_to_write_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    (tmp_path / "config").write_bytes(b"old")
    with pytest.raises(ConfigError, match=r"permission denied$"):
        write.save(tmp_path / "config", b"old", b"new", locks=tmp_path / "locks")
    assert (tmp_path / "config").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        (".config.awsv-0a1b2c3d", True),
        (".config.awsv-0a1b2c3", False),
        (".config.awsv-0a1b2c3d4", False),
        (".config.awsv-0a1b2c3g", False),
        (".configXawsv-0a1b2c3d", False),
        ("xconfig.awsv-0a1b2c3d", False),
    ],
)
def test_only_what_awsv_left_is_swept(name: str, goes: bool, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    write.sweep(tmp_path / "config", locks=tmp_path / "locks")
    assert (tmp_path / name).exists() is not goes


@pytest.mark.parametrize(
    ("section", "ours"),
    [
        ("# mark\n[x]\na = 1\nb = 2\n", True),
        ("# mark\n[x]\na = 1\n# a note of theirs\nb = 2\n", False),
        ("# mark\n[x]\n\na = 1\n", False),
        ("# other\n[x]\na = 1\n", False),
        ("[x]\na = 1\n", False),
    ],
)
def test_only_a_section_as_it_was_added_is_one_to_remove(section: str, ours: bool) -> None:
    assert Document(section.encode(), Path("c")).is_appended("x", "mark") is ours
