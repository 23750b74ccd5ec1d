"""Names in the words of the config file: section headers and ``credential_process`` lines.

Both are split as a POSIX shell splits words, without anything else of a shell: no variable, no ``~``, no pipe. What
is made here reads back as what went in, or is refused.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from vault_core.awsconfig import ini
from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.shared import classify
from vault_core.errors import ConfigError

PROCESS = "credential_process"

PORTABLE = r"[A-Za-z0-9_@+.%:/-]+"
"""The profile names that every SDK reads: those of the SDK for JavaScript v3, which ignores sections of other names."""

_PLAIN = r"[\w@%+=:,./-]+"
_NOT_IN_DOUBLE_QUOTES = frozenset("\"'\\$`!")
"""Double quotes are what the AWS documentation shows; these mean something inside them to some SDK's shell."""


def quote(word: str) -> str:
    """One word for a header or a command."""
    if re.fullmatch(_PLAIN, word):
        return word
    return shlex.quote(word) if _NOT_IN_DOUBLE_QUOTES & set(word) else f'"{word}"'


def section_header(name: str) -> str:
    """The text between the brackets of a profile's section.

    :raises ConfigError: botocore would not read the name back (one with a line break).
    """
    header = "default" if name == "default" else f"profile {quote(name)}"
    if not name or _lines_back(f"[{header}]") != [(header, {})] or classify(header) != ("profile", name):
        raise ConfigError(
            f"no section can be named {name!r}: the AWS tools would not read the name back",
            hint="choose a name without line breaks; awsv itself needs no section to use a stored key",
        )
    return header


def profile_headers(document: Document) -> dict[str, list[str]]:
    """The headers of each profile's sections, in the file's order."""
    headers: dict[str, list[str]] = {}
    for header in document.blocks:
        kind, name = classify(header)
        if kind == "profile":
            headers.setdefault(name, []).append(header)
    return headers


def only_header(document: Document, name: str, headers: Sequence[str]) -> str | None:
    """The header of the profile's one section; None if it has no section.

    :param headers: those of the profile.
    :raises ConfigError: it has two, of which the SDKs read different ones.
    """
    if len(headers) > 1:
        lines = " and ".join(str(document.blocks[header].line + 1) for header in headers)
        raise ConfigError(
            f"profile {name!r} has two sections, in lines {lines} of {document.path}, and the SDKs differ in"
            " which one they read",
            hint="merge the two",
        )
    return next(iter(headers), None)


def process_line(launcher: Path, profile: str) -> str:
    """The value of ``credential_process`` that asks awsv for a profile.

    :param launcher: absolute path of awsv.
    :raises ConfigError: the SDKs would not read it back.
    """
    words = [str(launcher), *_arguments(profile)]
    first, *rest = (quote(word) for word in words)
    if first[0] in "\"'" and first[0] == rest[-1][-1]:
        # The SDK for Go removes a pair of quotes around the whole value and passes the rest to a shell. The path is
        # absolute, so its first character needs no quotes.
        first = words[0][0] + quote(words[0][1:])
    value = " ".join([first, *rest])
    if _lines_back(f"[x]\n{PROCESS} = {value}") != [("x", {PROCESS: value})] or shlex.split(value) != words:
        what = launcher if len(ini.split_lines(str(launcher))) != 1 else repr(profile)
        raise ConfigError(
            f"{what} cannot be written in a {PROCESS} line: the SDKs would not read it back",
            hint="choose a name without line breaks",
        )
    return value


def process_profile(value: str, launcher: Path) -> str | None:
    """The profile that a line made by :func:`process_line` asks for, perhaps with awsv in another place; else None."""
    words = process_words(value)
    if not words or Path(words[0]).name not in ("awsv", launcher.name):
        return None
    return next((name for name in words[-1:] if words[1:] == _arguments(name)), None)


def process_words(value: str) -> list[str]:
    """The program and arguments of a ``credential_process`` line; empty where its quotation is open."""
    try:
        return shlex.split(value)
    except ValueError:
        return []


def _arguments(profile: str) -> list[str]:
    return ["exec", "-j", *(["--"] if profile.startswith("-") else []), profile]


def _lines_back(text: str) -> list[tuple[str, dict[str, str]]] | None:
    """The sections that the text is read back as; None if it cannot be written or read."""
    path = Path()
    try:
        lines = ini.split_lines(ini.decode(text.encode(), path))
        return ini.contents(ini.parse(lines, path))
    except (ConfigError, UnicodeEncodeError):
        return None
