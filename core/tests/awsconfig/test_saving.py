"""Writing the config file: whole or not at all, only over what was read, and the file stays what it was."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vault_core.awsconfig import saving
from vault_core.awsconfig.saving import save
from vault_core.errors import ConfigError


def left(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".aws" / "config"
    save(path, b"", b"[default]\n")
    assert path.read_bytes() == b"[default]\n"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert left(path.parent) == ["config"]


@pytest.mark.parametrize(
    "owner", [(-1, -1), pytest.param((12345, 54321), marks=pytest.mark.root("only root can give a file away"))]
)
def test_mode_and_owner_stay(tmp_path: Path, owner: tuple[int, int]) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.chown(path, *owner)
    before = path.stat()
    save(path, b"old", b"new")
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert left(tmp_path) == ["config"]


def test_a_symbolic_link_stays_and_its_target_changes(tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "aws").write_bytes(b"old")
    link = tmp_path / "config"
    link.symlink_to("dotfiles/aws")
    save(link, b"old", b"new")
    assert link.is_symlink()
    assert (dotfiles / "aws").read_bytes() == b"new"
    assert (left(tmp_path), left(dotfiles)) == (["config", "dotfiles"], ["aws"])


def test_a_dangling_link_gets_its_target(tmp_path: Path) -> None:
    link = tmp_path / "config"
    link.symlink_to("elsewhere")
    save(link, b"", b"new")
    assert link.is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"new"


@pytest.mark.parametrize(("there", "read"), [(b"theirs", b"old"), (b"theirs", b""), (None, b"old")])
def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path, there: bytes | None, read: bytes) -> None:
    path = tmp_path / "config"
    if there is not None:
        path.write_bytes(there)
    with pytest.raises(ConfigError, match="changed by another program"):
        save(path, read, b"new")
    assert left(tmp_path) == ([] if there is None else ["config"])
    assert there is None or path.read_bytes() == there


def test_a_read_only_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(ConfigError, match="read-only"):
        save(path, b"old", b"new")
    assert (path.read_bytes(), left(tmp_path)) == (b"old", ["config"])


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"  # and /dev/null likewise, which a mistake here would destroy
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="no ordinary file"):
        save(pipe, b"", b"new")
    assert pipe.is_fifo()
    assert left(tmp_path) == ["pipe"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write .*config") as error:
        save(tmp_path / "file" / "config", b"", b"new")
    assert error.value.hint


WRITER = """
import sys
from pathlib import Path
from vault_core.awsconfig.saving import save
from vault_core.errors import ConfigError
path, added = Path(sys.argv[1]), 0
while added < 20:
    before = path.read_bytes()
    try:
        save(path, before, before + b"x")
        added += 1
    except ConfigError as error:
        assert "changed by another program" in error.message, error.message
"""


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert path.read_bytes() == b"x" * 60


def test_nobody_who_holds_a_lock_holds_it_up_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"old")
    monkeypatch.setattr(saving, "LOCK_SECONDS", 0.2)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(ConfigError, match="another process has locked"):
            save(path, b"old", b"new")
    assert path.read_bytes() == b"old"
    save(path, b"old", b"new")
    assert path.read_bytes() == b"new"
