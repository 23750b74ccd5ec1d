"""Backups: copies of the store's encrypted bytes in one file at any path.

A backup appears under its name complete or not at all. Only its owner can read it, and it replaces another file only
with ``overwrite``.
"""

import contextlib
import os
from pathlib import Path

from vault_core.api import StorageConflict, StorageUnavailable
from vault_plugin_file import vlt_file
from vault_plugin_file.atomic_file import failure, make_durable, write_new


def write_copy(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a backup.

    :raises StorageConflict: the file exists, and ``overwrite`` is False.
    :raises StorageUnavailable: the backup cannot be written; an existing file was not changed. Also StorageDenied.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise failure(error, path, "cannot be written") from None
    temp = f".awsv-backup.{os.getpid()}.{os.urandom(8).hex()}.tmp"  # without the name, which may be of full length
    try:
        write_new(folder, temp, data)
        _place(folder, temp, path, overwrite=overwrite)
        make_durable(folder)
    except OSError as error:
        raise failure(error, path, "cannot be written") from None
    finally:
        with contextlib.suppress(OSError):  # a rename has removed this name
            os.unlink(temp, dir_fd=folder)
        os.close(folder)


def _place(folder: int, temp: str, path: Path, *, overwrite: bool) -> None:
    """Give the complete file its name. A link, unlike a rename, never replaces a file."""
    if overwrite:
        return os.rename(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    try:
        return os.link(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise _taken(path) from None
    except OSError:  # a file system without hard links, such as FAT
        if os.path.lexists(path):
            raise _taken(path) from None
    return os.rename(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def _taken(path: Path) -> StorageConflict:
    return StorageConflict(f"{path} exists already; it was not changed", hint="choose another name, or use --overwrite")


def read_copy(path: Path) -> bytes:
    """The bytes of a backup. Its owner and mode are not checked: it is encrypted, and authenticated when it is opened.

    :raises StorageUnavailable: it cannot be read. Also StorageDenied.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(vlt_file.MAX_FILE + 1) or b""  # an empty pipe gives None
    except FileNotFoundError:
        raise StorageUnavailable(
            f"there is no file {path.absolute()}", hint="name a file made by 'awsv file backup'"
        ) from None
    except OSError as error:
        raise failure(error, path, "cannot be read") from None
