"""Writing the config file: whole or not at all, only over what was read, and the file stays what it was."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from vault_core import files
from vault_core.awsconfig import write
from vault_core.errors import ConfigError

Save = Callable[..., None]
AS_IMPORTED = write._UNNAMED


@pytest.fixture
def locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "locks"


@pytest.fixture
def save(locks: Path) -> Save:
    return partial(write.save, locks=locks)


@pytest.fixture(params=["without a name", "with a name"], autouse=True)
def unnamed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test where the file system has files without a name, and where it has none."""
    if request.param == "with a name":
        monkeypatch.setattr(write, "_UNNAMED", 0)


def left(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path, save: Save) -> None:
    path = tmp_path / ".aws" / "config"
    save(path, b"", b"[default]\n")
    assert path.read_bytes() == b"[default]\n"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert left(path.parent) == ["config"]


@pytest.mark.parametrize(
    "owner", [(-1, -1), pytest.param((12345, 54321), marks=pytest.mark.root("only root can give a file away"))]
)
def test_mode_and_owner_stay(tmp_path: Path, save: Save, owner: tuple[int, int]) -> None:
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


def test_a_symbolic_link_stays_and_its_target_changes(tmp_path: Path, save: Save) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "aws").write_bytes(b"old")
    link = tmp_path / "config"
    link.symlink_to("dotfiles/aws")
    save(link, b"old", b"new")
    assert link.is_symlink()
    assert (dotfiles / "aws").read_bytes() == b"new"
    assert (left(tmp_path), left(dotfiles)) == (["config", "dotfiles"], ["aws"])


def test_a_dangling_link_gets_its_target(tmp_path: Path, save: Save) -> None:
    link = tmp_path / "config"
    link.symlink_to("elsewhere")
    save(link, b"", b"new")
    assert link.is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"new"


@pytest.mark.parametrize(("there", "read"), [(b"theirs", b"old"), (b"theirs", b""), (None, b"old")])
def test_a_file_that_changed_meanwhile_is_left_alone(
    tmp_path: Path, save: Save, there: bytes | None, read: bytes
) -> None:
    path = tmp_path / "config"
    if there is not None:
        path.write_bytes(there)
    with pytest.raises(ConfigError, match="changed by another program"):
        save(path, read, b"new")
    assert left(tmp_path) == ([] if there is None else ["config"])
    assert there is None or path.read_bytes() == there


def test_a_file_that_another_program_puts_in_its_place_meanwhile_is_left_alone(
    tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As most programs write: what was opened still holds what was read, and is not the file any more."""
    path, theirs = tmp_path / "config", tmp_path / "theirs"
    path.write_bytes(b"old")
    opened = write._open

    def slow(temporary: Path) -> int:
        theirs.write_bytes(b"theirs")
        theirs.replace(path)
        return opened(temporary)

    monkeypatch.setattr(write, "_open", slow)
    with pytest.raises(ConfigError, match="changed by another program"):
        save(path, b"old", b"new")
    assert (path.read_bytes(), left(tmp_path)) == (b"theirs", ["config"])


@pytest.mark.parametrize("before", [b"", b"old"], ids=["new", "there"])
def test_who_writes_removes_what_a_killed_process_left(tmp_path: Path, save: Save, before: bytes) -> None:
    path = tmp_path / "config"
    if before:
        path.write_bytes(before)
    (tmp_path / ".config.awsv-0a1b2c3d").write_bytes(b"aws_secret_access_key = canary")
    save(path, before, b"new")
    assert (path.read_bytes(), left(tmp_path)) == (b"new", ["config"])


def test_a_read_only_file_is_left_alone(tmp_path: Path, save: Save) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(ConfigError, match="read-only"):
        save(path, b"old", b"new")
    assert (path.read_bytes(), left(tmp_path)) == (b"old", ["config"])


def test_what_is_no_file_is_left_alone(tmp_path: Path, save: Save) -> None:
    pipe = tmp_path / "pipe"  # and /dev/null likewise, which a mistake here would destroy
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="not an ordinary file"):
        save(pipe, b"", b"new")
    assert pipe.is_fifo()
    assert left(tmp_path) == ["pipe"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, save: Save) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write .*config") as error:
        save(tmp_path / "file" / "config", b"", b"new")
    assert error.value.hint


WRITER = """
import sys
from pathlib import Path
from vault_core.awsconfig.write import save
from vault_core.errors import ConfigError
path, locks, added = Path(sys.argv[1]), Path(sys.argv[2]), 0
while added < 20:
    before = path.read_bytes()
    try:
        save(path, before, before + b"x", locks=locks)
        added += 1
    except ConfigError as error:
        assert "changed by another program" in error.message, error.message
"""


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path, locks: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(locks)]) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert path.read_bytes() == b"x" * 60


def test_who_can_read_the_file_holds_nobody_up(tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"old")
    monkeypatch.setattr(write, "LOCK_SECONDS", 0.2)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        save(path, b"old", b"new")
    assert path.read_bytes() == b"new"


def test_a_process_of_ones_own_that_hangs_is_told(
    tmp_path: Path, save: Save, locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"old")
    save(path, b"old", b"older")
    [lock] = locks.iterdir()
    monkeypatch.setattr(write, "LOCK_SECONDS", 0.2)
    with (
        files.held(lock, timeout=0),
        pytest.raises(ConfigError, match=r"another process of yours .* more than 0.2 s") as error,
    ):
        save(path, b"older", b"new")
    assert str(lock) in (error.value.hint or "")
    assert path.read_bytes() == b"older"


def test_the_lock_of_a_file_is_the_same_by_every_name(tmp_path: Path, save: Save, locks: Path) -> None:
    (tmp_path / "config").write_bytes(b"0")
    (tmp_path / "link").symlink_to("config")
    save(tmp_path / "link", b"0", b"1")
    save(tmp_path / "." / "config", b"1", b"2")
    assert len(left(locks)) == 1


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path, save: Save, umask: int) -> None:
    before = os.umask(umask)
    try:
        save(tmp_path / "config", b"", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "config").stat().st_mode & 0o777 == 0o600


# -- after a loss of power, and after kill -9 --------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False], ids=["replaced", "new"])
def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_the_end(
    tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    path = tmp_path / "config"
    if there:
        path.write_bytes(b"old")
    log: list[str] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def synced(descriptor: int) -> None:
        log.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        assert log[-1] == "fsync folder" or os.fstat(descriptor).st_size == 3, "before it was written"
        fsync(descriptor)

    def linked(source: str, name: Path, **more: int) -> None:
        log.append("named" if Path(name) == path else "beside")
        link(source, name, **more)  # type: ignore[arg-type]  # descriptors or a flag

    def replaced(source: Path, name: Path) -> None:
        log.append("named")
        replace(source, name)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(os, "replace", replaced)
    save(path, b"old" if there else b"", b"new")
    assert [call for call in log if call != "beside"] == ["fsync file", "named", "fsync folder"]
    assert "beside" not in log or log.index("beside") == log.index("named") - 1, "for an instant only"


def test_no_copy_has_a_name_while_it_is_written(tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    if not write._UNNAMED:
        pytest.skip("this is about file systems that have files without a name")
    seen: list[list[str]] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (seen.append(left(tmp_path)), fsync(descriptor)))
    (tmp_path / "credentials").write_bytes(b"old")
    save(tmp_path / "credentials", b"old", b"new")
    assert seen == [["credentials"]] * 2


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no files without a name")
def test_files_have_no_name_where_the_system_can_do_that() -> None:
    assert AS_IMPORTED == os.O_TMPFILE


def test_no_copy_has_a_name_only_where_that_can_be_given_later(
    tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By /proc, which may not be mounted."""
    if not write._UNNAMED:
        pytest.skip("this is about file systems that have files without a name")
    is_dir, opened, flags = Path.is_dir, os.open, []
    monkeypatch.setattr(Path, "is_dir", lambda path: str(path) != "/proc/self/fd" and is_dir(path))
    monkeypatch.setattr(os, "open", lambda path, how, *rest: (flags.append(how), opened(path, how, *rest))[1])
    save(tmp_path / "credentials", b"", b"new")
    assert (tmp_path / "credentials").read_bytes() == b"new"
    assert [how for how in flags if how & os.O_TMPFILE == os.O_TMPFILE] == []


def killed_at(call: str, work: Callable[[], object]) -> None:
    """Do something in a child that dies by kill -9 when it comes to this system call."""
    child = os.fork()
    if child == 0:
        setattr(os, call, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("call", ["fchmod", "fsync", "link", "replace"])
def test_no_copy_stays_of_a_process_that_is_killed(tmp_path: Path, save: Save, locks: Path, call: str) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(b"old")
    save(path, b"old", b"older")
    if call == "link" and not write._UNNAMED:
        pytest.skip("nothing is linked here")
    killed_at(call, lambda: save(path, b"older", b"plain keys"))
    assert path.read_bytes() == b"older"
    assert write._UNNAMED == 0 or call == "replace" or left(tmp_path) == ["credentials"]
    write.sweep(path, locks=locks)
    assert (path.read_bytes(), left(tmp_path)) == (b"older", ["credentials"])
    save(path, b"older", b"new")
    assert path.read_bytes() == b"new"


LEFT = ".credentials.awsv-0123abcd"


@pytest.mark.parametrize("there", [True, False], ids=["there", "gone"])
def test_what_a_killed_process_left_is_swept(tmp_path: Path, locks: Path, there: bool) -> None:
    if there:
        (tmp_path / "credentials").touch()
    mine = {".credentials.mine", ".credentials.awsv-notes", ".credentials.awsv-0123abcd.bak", "credentials.awsv-x"}
    rest = {*mine, ".config.awsv-0123abcd"}
    for name in (LEFT, *rest):
        (tmp_path / name).write_bytes(b"aws_secret_access_key = x")
    write.sweep(tmp_path / "credentials", locks=locks)
    assert set(left(tmp_path)) == rest | ({"credentials"} if there else set())


def test_what_cannot_be_swept_keeps_nobody_from_writing(tmp_path: Path, save: Save) -> None:
    (tmp_path / LEFT / "inside").mkdir(parents=True)
    save(tmp_path / "credentials", b"", b"new")
    assert left(tmp_path) == [LEFT, "credentials"]


def test_where_no_lock_can_be_made_that_is_told(tmp_path: Path, locks: Path) -> None:
    locks.write_text("in the way")
    with pytest.raises(ConfigError, match="cannot create its lock: ") as error:
        write.save(tmp_path / "config", b"", b"new", locks=locks)
    assert str(locks) in error.value.message
    assert left(tmp_path) == []


def test_what_is_left_behind_a_link_is_swept(tmp_path: Path, locks: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles" / LEFT).touch()
    (tmp_path / "link").symlink_to("dotfiles/credentials")
    write.sweep(tmp_path / "link", locks=locks)
    assert left(tmp_path / "dotfiles") == []


def test_what_a_living_process_is_about_to_put_there_stays(tmp_path: Path, save: Save, locks: Path) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(b"old")
    save(path, b"old", b"new")
    (tmp_path / LEFT).touch()
    [lock] = locks.iterdir()
    with files.held(lock, timeout=0):
        write.sweep(path, locks=locks)
    assert left(tmp_path) == [LEFT, "credentials"]


def test_where_nothing_is_left_nothing_is_made(tmp_path: Path, locks: Path) -> None:
    write.sweep(tmp_path / "credentials", locks=locks)
    write.sweep(tmp_path / "no folder" / "credentials", locks=locks)
    assert not locks.exists()
