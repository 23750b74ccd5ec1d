"""Recognising the items of aws-vault's file store, which lie one to a file in a folder that awsv must not write into.

An item is a JWE compact token: five base64url parts joined by dots, the first a JSON object with ``alg`` and ``enc``.
Its file name decides nothing.
"""

from __future__ import annotations

import binascii
import json
import os
import re
import shlex
import stat
from pathlib import Path

from vault_core.api import Context, StorageDenied

_TOKEN = re.compile(rb"(eyJ[A-Za-z0-9_-]+)(?:\.[A-Za-z0-9_-]*){4}\s*")
_START = b"eyJ"  # base64url of {"
_LARGEST = 1_048_576  # bytes; real items have about 700, cached sessions 2,000


def count_items(folder: Path) -> int:
    """How many files of a folder are aws-vault's; 0 where there is no folder, or none that we may read."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names only: nothing is opened by a path that it makes
    except OSError:
        return 0
    return sum(_is_item(folder / name) for name in names)


def _is_item(path: Path) -> bool:
    try:
        token = _read_token(path)
    except OSError:
        return False
    match = _TOKEN.fullmatch(token)
    return match is not None and _is_jwe_header(match[1])


def _read_token(path: Path) -> bytes:
    """The whole file, if it may be an item; else nothing or the beginning."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        start = os.read(fd, len(_START))
        return start + os.read(fd, _LARGEST) if start == _START else start
    finally:
        os.close(fd)


def _is_jwe_header(part: bytes) -> bool:
    try:
        header = json.loads(binascii.a2b_base64(part.translate(bytes.maketrans(b"-_", b"+/")) + b"=="))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and {"alg", "enc"} <= header.keys()


def refuse_among(ctx: Context, folder: Path) -> None:
    """Never write a store among aws-vault's items: each program would take the other's files for its own.

    :raises StorageDenied: the folder holds some.
    """
    if count := count_items(folder):
        raise StorageDenied(
            f"{folder} holds {_items(count)} of aws-vault, and awsv never writes among them",
            hint=_move_in(ctx, folder, folder),
        )


def tell(ctx: Context, store: Path) -> None:
    """A read of a store that does not exist: if aws-vault's items are around, say where and how they move in."""
    home = ctx.environ.get("HOME")
    for folder in (store.parent, *([Path(home, ".awsvault", "keys")] if home else [])):
        if count := count_items(folder):
            ctx.notify(
                f"no store at {store} yet, but {_items(count)} of aws-vault in {folder}; "
                f"this copies their keys: {_move_in(ctx, folder, store.parent)}"
            )
            return


def _move_in(ctx: Context, items: Path, ours: Path) -> str:
    setting = ""
    if ours == items:
        ours = ctx.data_dir if ctx.data_dir != items else items.with_name(f"{items.name}-awsv")
        setting = f"env AWS_VAULT_FILE_DIR={shlex.quote(str(ours))} "
    return f"{setting}awsv import aws-vault --dir {shlex.quote(str(items))}"


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"
