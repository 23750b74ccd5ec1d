"""The INI dialect of the AWS shared config file, line by line.

What is found here is what Python's :class:`configparser.RawConfigParser` finds, because botocore reads with it: the
same sections, keys and values, and an error for the same files. In addition, everything has its line, so that a message
can name it and an edit can leave all other bytes alone. A test compares the two on generated files.
"""

import io
from pathlib import Path

from vault_core.errors import ConfigError

DEFAULTS = "DEFAULT"
"""The section whose keys every other section has too (``configparser.DEFAULTSECT``)."""


class Pair:
    """A key and its value.

    :param key: in lower case.
    :param spelled: as it is written in the file.
    :param line: the index of its line.
    :ivar values: one part a line, stripped; blank lines are empty parts.
    :ivar first: the index of its first line.
    :ivar last: the index of its last line that is not empty.
    """

    __slots__ = ("first", "key", "last", "spelled", "values")

    def __init__(self, key: str, spelled: str, value: str, line: int) -> None:
        self.key = key
        self.spelled = spelled
        self.values = [value]
        self.first = self.last = line

    @property
    def value(self) -> str:
        return "\n".join(self.values).rstrip()


class Block:
    """A section: a header and what follows it.

    :param header: the text between the brackets, spaces included.
    :param line: the index of the header's line.
    """

    __slots__ = ("header", "line", "pairs")

    def __init__(self, header: str, line: int) -> None:
        self.header = header
        self.line = line
        self.pairs: dict[str, Pair] = {}

    @property
    def last(self) -> int:
        """The index of the last line with content."""
        return max((pair.last for pair in self.pairs.values()), default=self.line)


def decode(raw: bytes, path: Path) -> str:
    """The file's text.

    :raises ConfigError: it is not UTF-8, or begins with a byte order mark (botocore reads neither).
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(split_lines(raw[: error.start].decode("utf-8") + "x"))
        raise ConfigError(f"{path}:{line}: not UTF-8 text", hint="save the file as UTF-8") from None
    if text.startswith("\ufeff"):
        raise ConfigError(
            f"{path}:1: begins with a byte order mark, which the AWS CLI cannot read",
            hint="save the file as UTF-8 without a byte order mark",
        )
    return text


def split_lines(text: str) -> list[str]:
    """The lines with their ends, which are CR LF, CR or LF and nothing else."""
    return list(io.StringIO(text, newline=""))  # str.splitlines knows further ends


def parse(lines: list[str], path: Path) -> list[Block]:
    """The sections in the order of the file; several may be called :data:`DEFAULTS`, no others share a header.

    :param lines: as :func:`split_lines` returns them.
    :param path: names the file in errors.
    :raises ConfigError: a line or section that botocore rejects.
    """
    return _Parser(path).run(lines)


def contents(blocks: list[Block]) -> list[tuple[str, dict[str, str]]]:
    """The headers, keys and values, without their places and spelling: files with equal contents mean the same."""
    return [(block.header, {key: pair.value for key, pair in block.pairs.items()}) for block in blocks]


class _Parser:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.blocks: list[Block] = []
        self.pair: Pair | None = None
        self.indent = 0
        self.headers: dict[str, int] = {}
        self.keys: dict[tuple[str, str], int] = {}

    def run(self, lines: list[str]) -> list[Block]:
        for index, line in enumerate(lines):
            content = line.strip()
            if not content:
                if self.pair:
                    self.pair.values.append("")
            elif content[0] not in "#;":
                self.line(index, content, indent=len(line) - len(line.lstrip()))
        return self.blocks

    def line(self, index: int, content: str, indent: int) -> None:
        if self.pair and indent > self.indent:
            self.pair.values.append(content)
            self.pair.last = index
            return
        self.indent = indent
        end = content.rfind("]")
        if content[0] == "[" and end > 1:
            self.header(index, content[1:end])
        else:
            self.key(index, content)

    def header(self, index: int, header: str) -> None:
        first = self.headers.setdefault(header, index)
        if first != index and header != DEFAULTS:
            self.fail(index, f"a second section [{header}]; the first is in line {first + 1}", "merge the two")
        self.blocks.append(Block(header, index))
        self.pair = None

    def key(self, index: int, content: str) -> None:
        if not self.blocks:
            self.fail(index, "a line before the first section", "put a section such as [default] above it")
        spelled, delimiter, value = _split(content)
        if not delimiter or not spelled:
            self.fail(index, "neither a section, nor 'key = value', nor a comment", "fix or remove the line")
        block = self.blocks[-1]
        key = spelled.lower()
        first = self.keys.setdefault((block.header, key), index)
        if first != index:
            self.fail(index, f"a second {key} in [{block.header}]; the first is in line {first + 1}", "remove one")
        self.pair = block.pairs[key] = Pair(key, spelled, value, index)

    def fail(self, index: int, what: str, hint: str) -> None:
        raise ConfigError(f"{self.path}:{index + 1}: {what}", hint=hint)


def _split(content: str) -> tuple[str, str, str]:
    """Key, delimiter and value of a line; the delimiter is empty if there is none."""
    for position, char in enumerate(content):
        if char in "=:":
            return content[:position].rstrip(), char, content[position + 1 :].strip()
    return content, "", ""
