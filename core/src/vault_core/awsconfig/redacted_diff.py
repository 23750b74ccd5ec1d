"""A change of the config file as people read it: a unified diff that shows no secret.

The config file may hold plain keys, also behind a comment sign, and a diff shows lines around a change. No plugin is
loaded for it: the value of every option of a plugin is left out, as only the plugin knows whether it is a secret.
"""

import difflib
import re
from pathlib import Path

from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.shared import MAY_BE_SECRET, OWN_PREFIX, may_be_shown, without_passwords

_PLUGINS_KEY = re.compile(rf"\b{OWN_PREFIX}[\w-]+", re.IGNORECASE)
_HIDDEN = re.compile(rf"{MAY_BE_SECRET.pattern}|{_PLUGINS_KEY.pattern}", re.IGNORECASE)
_DELIMITER = re.compile(r"[=:]\s*")
_BLANK = re.compile(r"\s+")
_FREE = re.compile(r"\s*([#;]|credential_process\b)", re.IGNORECASE)
"""The beginning of a note or of a command line: what stands behind a word there needs no delimiter."""


def patch(before: bytes, after: bytes, path: Path) -> str:
    """The diff with three lines of context; empty where nothing changes. Values that may be secret are ``***``."""
    lines = difflib.unified_diff(
        _shown(before, path), _shown(after, path), fromfile=str(path), tofile=str(path), lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def _shown(raw: bytes, path: Path) -> list[str]:
    document = Document(raw, path)
    lines = [without_secret(line.rstrip("\r\n")) for line in document.lines]
    for block in document.every_block:
        for pair in block.pairs.values():
            if not may_be_shown(pair.key):
                lines[pair.first + 1 : pair.last + 1] = ["  ***"] * (pair.last - pair.first)
    return lines


def without_secret(line: str) -> str:
    """A line of the file, comments included, without the text after a word that may name a secret."""
    # Searched for where the core's own keys are replaced by spaces: vault_passphrase_source hides nothing.
    searched = _PLUGINS_KEY.sub(lambda key: " " * len(key[0]) if may_be_shown(key[0].lower()) else key[0], line)
    word = _HIDDEN.search(searched)
    if word is None:
        return without_passwords(line)
    delimiter = _DELIMITER.search(line, word.end())
    if delimiter is None and _FREE.match(line):
        delimiter = _BLANK.search(line, word.end())
    return without_passwords(f"{line[: delimiter.end()]}***" if delimiter and line[delimiter.end() :] else line)
