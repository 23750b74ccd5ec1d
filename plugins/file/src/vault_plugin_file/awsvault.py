"""Recognise folders that contain items of aws-vault: awsv must not write into them, and names the importer.

vault-plugin-aws-vault reads the items; here the first bytes of a file are enough.
"""

import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from vault_core.api import Context, StorageDenied

_START = b"eyJhbGciOiJQQkVTMi"
"""base64url of ``{"alg":"PBES2``, the start of every item: aws-vault sorts the fields of the header."""


def count_items(folder: Path) -> int:
    """The number of items of aws-vault in a folder; 0 if it does not exist or cannot be read."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names only: the files are opened without following links
    except OSError:
        return 0
    return sum(_is_item(folder / name) for name in names)


def _is_item(path: Path) -> bool:
    with suppress(OSError), open(path, "rb", opener=_open_once) as file:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(_START)) == _START
    return False


def _open_once(path: str, flags: int) -> int:
    """Open without following a link, and without waiting for the writer of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def refuse_among(ctx: Context, folder: Path) -> None:
    """Refuse to write a store into a folder of aws-vault, as each program would take the other's files for its own.

    :raises StorageDenied: the folder contains items of aws-vault.
    """
    if count := count_items(folder):
        raise StorageDenied(
            f"{folder} contains {_items(count)} of aws-vault; awsv does not write into such a folder",
            hint=_import_command(ctx, folder, folder),
        )


def notify(ctx: Context, store: Path) -> None:
    """For a read of a store that does not exist: name items of aws-vault nearby, and the command that imports them."""
    home = ctx.environ.get("HOME")
    for folder in (store.parent, *([Path(home, ".awsvault", "keys")] if home else [])):
        if count := count_items(folder):
            ctx.notify(
                f"no store at {store} yet, but {_items(count)} of aws-vault in {folder}; "
                f"to copy their keys: {_import_command(ctx, folder, store.parent)}"
            )
            return


def _import_command(ctx: Context, items: Path, ours: Path) -> str:
    setting = ""
    if ours == items:
        ours = ctx.data_dir if ctx.data_dir != items else items.with_name(f"{items.name}-awsv")
        setting = f"env AWS_VAULT_FILE_DIR={shlex.quote(str(ours))} "
    return f"{setting}awsv import aws-vault --dir {shlex.quote(str(items))}"


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"
