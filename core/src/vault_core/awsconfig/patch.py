"""A change of the config file as people read it: a unified diff that shows no secret.

The config file may hold plain keys, also behind a comment sign, and a diff shows lines around a change.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from vault_core.awsconfig.document import Document

_SECRET = re.compile(r"secret|token|passw|passphrase", re.IGNORECASE)
_SECRET_LINE = re.compile(rf"(?P<key>(?:{_SECRET.pattern})[^=:]*[=:]\s*)\S.*", re.IGNORECASE)


def patch(before: bytes, after: bytes, path: Path) -> str:
    """The diff with three lines of context; empty where nothing changes. Values that may be secret are ``***``."""
    lines = difflib.unified_diff(
        _shown(before, path), _shown(after, path), fromfile=str(path), tofile=str(path), lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def _shown(raw: bytes, path: Path) -> list[str]:
    document = Document(raw, path)
    lines = [_SECRET_LINE.sub(r"\g<key>***", line.rstrip("\r\n")) for line in document.lines]
    for block in document.every_block:
        for pair in block.pairs.values():
            if _SECRET.search(pair.key):
                lines[pair.first + 1 : pair.last + 1] = ["  ***"] * (pair.last - pair.first)
    return lines
