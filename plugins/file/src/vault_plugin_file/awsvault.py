"""Recognising the items of aws-vault's file store, which lie one to a file in a folder that awsv must not write into.

An item is a JWE compact token: five base64url parts joined by dots, the first a JSON object with ``alg`` and ``enc``.
Its file name decides nothing.
"""

from __future__ import annotations

import binascii
import json
import os
import re
import stat
from pathlib import Path

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
