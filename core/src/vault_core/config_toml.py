"""``config.toml``: the settings of a user in a file that no other user may write."""

import os
import shlex
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from vault_core import files, folders
from vault_core.errors import ConfigError

LIMIT = 1 << 20
"""The maximum size, in bytes."""


def read(path: Path, known: Collection[str]) -> Mapping[str, Any]:
    """The settings; none if there is no file.

    :param known: the keys besides the tables ``store`` and ``plugin``.
    :raises ConfigError: it cannot be read, another user can write it, it is not TOML, or it has an unknown key.
    """
    try:
        raw = files.read(path, limit=LIMIT, check=partial(_check_owner, path))
    except FileNotFoundError:
        if link := files.dangling_link(path):  # the store that was meant would be another one
            raise ConfigError(
                f"cannot read {path}: {link} is a symbolic link to nothing",
                hint=f"make what it points to, or remove it: rm {shlex.quote(str(link))}",
            ) from None
        return {}
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="put a regular file of yours there") from None
    import tomllib

    try:
        config = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ConfigError(f"{path}: {what}", hint="fix the file, or move it away") from None
    for key, value in config.items():
        if key in ("store", "plugin"):
            _check_tables(path, key, value)
        elif key in known:
            _check_plain(path, key, value)
        else:
            raise ConfigError(
                f"{path}: unknown setting {key!r}",
                hint=f"available: {', '.join(known)}, [store.NAME], [plugin.NAME]",
            )
    return config


def _check_owner(path: Path, file: os.stat_result) -> None:
    """The file decides where secrets go: only this user, or root, may be able to write it.

    :raises ConfigError: another user can write it, or replace it.
    """
    folder = path.parent
    own = "keep a config.toml of your own in awsv below a folder of yours, and name that folder by XDG_CONFIG_HOME"
    if file.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path} decides where keys go, and belongs to user id {file.st_uid}", hint=own)
    place = folder.stat()
    closed = f"chmod go-w {shlex.quote(str(folder))} {shlex.quote(str(path))}"
    if file.st_mode & 0o022 or (place.st_uid in (os.geteuid(), 0) and place.st_mode & 0o022):
        raise ConfigError(f"{path} decides where keys go, and others can write it or its folder", hint=closed)
    try:
        folders.check(folder, roots=True)
        folders.check_way(path)  # which may be a link into a folder of another user
    except OSError as error:
        raise ConfigError(f"{path} cannot be trusted: {error.strerror or error}", hint=own) from None


def _check_tables(path: Path, kind: str, tables: object) -> None:
    if not (isinstance(tables, dict) and all(isinstance(table, dict) for table in tables.values())):
        raise ConfigError(f"{path}: {kind} must consist of tables, as in [{kind}.NAME]")
    for name, table in tables.items():
        for key, value in table.items():
            _check_plain(path, f"[{kind}.{name}] {key}", value)


def _check_plain(path: Path, key: str, value: object) -> None:
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, dict | list) for part in parts):
        raise ConfigError(f"{path}: {key} is neither one value nor a list of values")
