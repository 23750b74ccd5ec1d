"""Backups: one file anywhere, with the bytes of the store as they are. It is as encrypted as the store itself.

A backup appears under its name whole or not at all, readable by its owner only, and never in place of another file
unless that was said.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from vault_core.api import StorageConflict, StorageUnavailable
from vault_plugin_file import vlt_file
from vault_plugin_file.atomic_file import make_durable, trouble, write_new


def write_copy(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a backup.

    :raises StorageConflict: the name is taken, and ``overwrite`` is False.
    :raises StorageUnavailable: it cannot be written; what was there is as it was. Also StorageDenied.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise trouble(error, path, "cannot be written") from None
    temp = f".{path.name[:100]}.{os.getpid()}.{os.urandom(8).hex()}.tmp"
    try:
        write_new(folder, temp, data)
        _place(folder, temp, path, overwrite=overwrite)
        make_durable(folder)
    except OSError as error:
        raise trouble(error, path, "cannot be written") from None
    finally:
        with contextlib.suppress(OSError):  # after a rename it is gone
            os.unlink(temp, dir_fd=folder)
        os.close(folder)


def _place(folder: int, temp: str, path: Path, *, overwrite: bool) -> None:
    """Give the finished file its name. A link, unlike a rename, never replaces anything."""
    if overwrite:
        return os.rename(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    try:
        return os.link(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise _taken(path) from None
    except OSError:  # a file system without links, as on memory sticks
        if os.path.lexists(path):
            raise _taken(path) from None
    return os.rename(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def _taken(path: Path) -> StorageConflict:
    return StorageConflict(
        f"{path} exists already; it was not touched", hint="choose another name, or give --overwrite"
    )


def read_copy(path: Path) -> bytes:
    """The bytes of a backup. Whose it is and who may read it does not matter: it is encrypted, and proven when opened.

    :raises StorageUnavailable: it cannot be read. Also StorageDenied.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(vlt_file.MAX_FILE + 1) or b""  # None of a pipe that is empty
    except FileNotFoundError:
        raise StorageUnavailable(
            f"there is no file {path.absolute()}", hint="name a file that 'awsv file backup' has made"
        ) from None
    except OSError as error:
        raise trouble(error, path, "cannot be read") from None
