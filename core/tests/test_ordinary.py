"""Files that people write: how much of one is read, what is no file, and which link leads to nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vault_core import ordinary


@pytest.fixture
def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize(("size", "is_read"), [(0, True), (63, True), (64, True), (65, False), (1000, False)])
def test_a_file_may_hold_as_much_as_the_limit(size: int, is_read: bool, tmp_path: Path, open_descriptors: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    if is_read:
        assert ordinary.read(path, 64) == b"x" * size
    else:
        with pytest.raises(OSError, match="larger than 0 MiB"):
            ordinary.read(path, 64)
    assert len(list(Path("/dev/fd").iterdir())) == open_descriptors


def test_a_file_that_grows_while_it_is_looked_at_is_read_no_further(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(OSError, match="larger than 0 MiB"):
        ordinary.read(path, 64, lambda _: path.write_bytes(b"x" * 100) and None)  # type: ignore[arg-type]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_file_without_a_size_is_read_to_the_limit_alone() -> None:
    """Files below /proc say that they are empty, and some never end."""
    with pytest.raises(OSError, match="larger than 0 MiB"):
        ordinary.read(Path("/proc/self/status"), 64)


def test_whoever_looks_may_refuse_and_nothing_stays_open(tmp_path: Path, open_descriptors: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    path.chmod(0o640)

    def refuse(found: os.stat_result) -> None:
        raise PermissionError(f"{found.st_mode & 0o777:o}")

    with pytest.raises(PermissionError, match="640"):
        ordinary.read(path, 64, refuse)
    assert len(list(Path("/dev/fd").iterdir())) == open_descriptors


def test_the_null_device_is_empty_and_no_other_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert ordinary.read(Path(os.devnull), 64) == b""
    for path, told in ((Path("/dev/zero"), "no ordinary file"), (tmp_path / "pipe", "no ordinary file")):
        with pytest.raises(OSError, match=told):
            ordinary.read(path, 64)
    with pytest.raises(OSError, match="a directory"):
        ordinary.read(tmp_path, 64)


def test_which_link_leads_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "good").symlink_to("folder")
    (tmp_path / "bad").symlink_to("gone")
    assert ordinary.dangling(tmp_path / "absent") is None
    assert ordinary.dangling(tmp_path / "good/absent") is None
    assert ordinary.dangling(tmp_path / "bad") == tmp_path / "bad"
    assert ordinary.dangling(tmp_path / "bad/file") == tmp_path / "bad"
