"""The shared config and credentials files on disk: absent, named, unreadable, too long, or not files."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from vault_core.awsconfig.shared import LIMIT, AwsConfig
from vault_core.awsconfig.shared import read as read_file
from vault_core.errors import ConfigError


def test_files_that_are_not_there_are_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "no" / "folder", tmp_path / "file" / "below", Path("/dev/null")):
        config = AwsConfig.load(path, path)
        assert (config.profiles, config.credentials, config.config_file) == ({}, {}, path)


def refused(path: Path, variable: str = "AWS_CONFIG_FILE") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_file(path, variable)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


def test_a_file_that_was_named_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "config", tmp_path / "no/folder", tmp_path / "file/below"):
        error = refused(path)
        assert error.message == f"AWS_CONFIG_FILE names {path}, which is not there"
        assert error.hint is not None
        assert error.hint.startswith("correct or unset AWS_CONFIG_FILE")
        assert ("touch" in error.hint) == path.parent.is_dir()
    assert read_file(Path("/dev/null"), "AWS_CONFIG_FILE") == b""


def test_the_hint_for_a_file_that_is_not_there_works(tmp_path: Path) -> None:
    path = tmp_path / "it's here"
    command = (refused(path).hint or "").partition("empty file: ")[2]
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 0
    assert read_file(path, "AWS_CONFIG_FILE") == b""


@pytest.mark.parametrize("variable", ["", "AWS_CONFIG_FILE"])
def test_what_is_no_ordinary_file_is_an_error(variable: str, tmp_path: Path) -> None:
    """Each of them was taken for an empty file, and a pipe kept whoever opened it waiting."""
    pipe, socket_file = tmp_path / "pipe", tmp_path / "socket"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(socket_file))
        for path, what in (
            (tmp_path, "it is a directory"),
            (pipe, "it is not an ordinary file"),
            (Path("/dev/zero"), "it is not an ordinary file"),
            (socket_file, ""),
        ):
            assert refused(path, variable).message.startswith(f"cannot read {path}: {what}")
    reading, writing = os.pipe()
    os.write(writing, b"[default]\nregion = x\n")  # AWS_CONFIG_FILE=<(…)
    os.close(writing)
    refused(Path(f"/dev/fd/{reading}"), variable)
    os.close(reading)


@pytest.mark.parametrize("variable", ["", "AWS_CONFIG_FILE"])
def test_a_link_to_nothing_is_an_error(variable: str, tmp_path: Path) -> None:
    link, folder = tmp_path / "link", tmp_path / "folder"
    link.symlink_to(tmp_path / "nothing")
    folder.symlink_to(tmp_path / "unmounted")
    for path, dangling in ((link, link), (folder / "config", folder)):
        assert refused(path, variable).message.endswith(f"{dangling} is a symbolic link to nothing")


def test_a_file_beyond_the_limit_is_an_error_and_one_of_the_limit_is_none(tmp_path: Path) -> None:
    path = tmp_path / "config"
    with path.open("wb") as file:
        file.truncate(LIMIT)
    assert len(read_file(path)) == LIMIT
    with path.open("ab") as file:
        file.truncate(3 << 30)  # sparse: read whole, it would take minutes and all memory
    assert refused(path).message == f"cannot read {path}: it is larger than 16 MiB"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(ConfigError, match=r"cannot read .*loop"):
        AwsConfig.load(tmp_path / "none", loop)
    secret = tmp_path / "secret"
    secret.write_text("[default]\n")
    secret.chmod(0)
    if os.geteuid() == 0:  # root reads everything
        assert "default" in AwsConfig.load(secret, secret).profiles
    else:
        with pytest.raises(ConfigError, match=r"cannot read .*secret"):
            AwsConfig.load(secret, tmp_path / "none")
