"""The AWS credentials file: the keys in it, and the file without the keys that are stored elsewhere.

Sections, keys and values are read as botocore reads them. Sessions are left in the file: they expire, and the program
that wrote them will write them again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from vault_core.api import Credentials, ImportScan, Rejected
from vault_core.awsconfig.credential_process import in_order
from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.quoting import PROCESS
from vault_core.awsconfig.shared import SESSION, STATIC, AwsConfig, Section
from vault_core.errors import UsageError
from vault_core.secret import Secret
from vault_core.storage.vault import check_name

UNWIRED = "without it no SDK would find credentials"
NOT_STORED = "the vault does not hold this key"

_COMMENTED = re.compile(r"\s*[#;].*(secret_access_key|session_token)\s*[=:]\s*\S", re.IGNORECASE)


def scan(config: AwsConfig) -> ImportScan:
    """The long-term keys of the credentials file."""
    result = ImportScan(str(config.credentials_file))
    for name, section in config.credentials.items():
        if any(section.get(key) for key in SESSION):
            result.sessions.append(name)
        elif any(key in section.entries for key in STATIC):
            _add(result, name, section)
    return result


def commented_secrets(raw: bytes, path: Path) -> list[int]:
    """The numbers, counted from 1, of the lines with a secret in a comment."""
    return [number for number, line in enumerate(Document(raw, path).lines, 1) if _COMMENTED.match(line)]


@dataclass(slots=True)
class Removal:
    """The credentials file without the keys that can be removed."""

    path: Path
    before: bytes
    after: bytes
    removed: list[str] = field(default_factory=list)
    """Profiles whose key is removed."""
    kept: list[Rejected] = field(default_factory=list)
    """Plain keys that have to stay, and why. The user can run a command to fix :data:`UNWIRED` and
    :data:`NOT_STORED`."""


def propose_removal(
    config: AwsConfig, raw: bytes, asks: Callable[[str], str | None], is_stored: Callable[[str, Credentials], bool]
) -> Removal:
    """Work out the credentials file without the plain keys that the SDKs no longer need.

    A key can be removed if the vault holds it, and an SDK that does not find it runs awsv instead.

    :param config: both files as read.
    :param raw: the content of the credentials file at that time.
    :param asks: from the value of a ``credential_process`` line to the profile for which it runs awsv.
    :param is_stored: whether the vault holds this key under this name.
    :raises ConfigError: the file cannot be changed safely.
    """
    path = config.credentials_file
    document = Document(raw, path)
    found = scan(config)
    removal = Removal(path, raw, raw, kept=list(found.rejected))
    for name, key in found.keys.items():
        reason = _why_not(config, document, asks, name) or (None if is_stored(name, key) else NOT_STORED)
        if reason:
            removal.kept.append(Rejected(name, reason))
            continue
        for plain in STATIC:
            document.remove(name, plain)
        document.remove_bare(name)
        removal.removed.append(name)
    if removal.removed:
        removal.after = document.edited()
    return removal


def deleted_lines(removal: Removal) -> list[str]:
    """The change as commands for ed(1) and ``patch --ed``. They hold no secret: a removal only deletes lines."""
    import difflib

    before, after = (raw.splitlines(keepends=True) for raw in (removal.before, removal.after))
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    spans = [(first + 1, last) for what, first, last, _, _ in steps if what == "delete"]
    return [f"{first},{last}d" if last > first else f"{first}d" for first, last in reversed(spans)]


def _add(result: ImportScan, name: str, section: Section) -> None:
    key_id, secret = (section.get(key) for key in STATIC)
    if not key_id or not secret:
        missing = " and ".join(key for key in STATIC if not section.get(key))
        result.rejected.append(Rejected(name, f"it has no {missing} (line {section.line})"))
    elif not (_is_word(key_id) and _is_word(secret)):
        reason = f"its key contains spaces or invalid characters (line {section.line})"
        result.rejected.append(Rejected(name, reason))
    else:
        try:
            result.add(check_name(name), Credentials(access_key_id=key_id, secret_access_key=Secret(secret)))
        except UsageError as error:
            result.rejected.append(Rejected(name[:40], f"{error.message} (line {section.line})"))


def _is_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _why_not(config: AwsConfig, document: Document, asks: Callable[[str], str | None], name: str) -> str | None:
    """Why the files require the key of a profile to stay."""
    if name not in document.blocks or not set(STATIC) <= document.blocks[name].pairs.keys():
        return "its key is in [DEFAULT], which applies to every section"
    section = config.credentials[name]
    rest = {key: entry for key, entry in section.entries.items() if key not in STATIC}
    without = {**config.credentials, name: section._replace(entries=rest)}
    first = next(iter(in_order(replace(config, credentials=without), name)), None)
    if first is None:
        return UNWIRED
    if first.key != PROCESS or asks(first.value) != name:
        return f"without it the SDKs would take {first.key} ({first.path}:{first.line})"
    return None
