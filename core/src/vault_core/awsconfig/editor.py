"""A config file that is edited without loss: an edit changes no other byte.

Comments, indentation, line ends and a missing last line end stay. The result is read back, and is refused if it differs
from what the edits mean.
"""

from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path

from vault_core.awsconfig import ini
from vault_core.errors import ConfigError


class Document:
    """The config file as text, and edits of it.

    Edits are collected; :meth:`edited` applies them. Each section and key is named as it was before the first edit,
    and each line is edited once.

    :param raw: the content of the file.
    :param path: names the file in errors.
    :raises ConfigError: botocore would reject the file.
    """

    def __init__(self, raw: bytes, path: Path) -> None:
        self.path = path
        self.lines = ini.split_lines(ini.decode(raw, path))
        self.every_block = ini.parse(self.lines, path)
        self.blocks = {block.header: block for block in self.every_block if block.header != ini.DEFAULTS}
        """The sections by header."""
        self._intended = ini.contents(self.every_block)
        """The sections after the edits; ``DEFAULT`` may be there more than once."""
        self._by_header = {header: pairs for header, pairs in self._intended if header != ini.DEFAULTS}
        self._gone: set[str] = set()
        """The headers of the sections that an edit removes."""
        self._headers = [block.line for block in self.every_block]
        self._changed: dict[int, str | None] = {}
        """Index of a line to its new content without the line end; None removes it."""
        self._added: dict[int, list[str]] = {}
        """Index of a line to the content of the lines that follow it now."""

    def add(self, header: str, key: str, value: str) -> None:
        """Add a line at the end of a section."""
        block = self.blocks[header]
        self._added.setdefault(block.last, []).insert(0, f"{self._indentation(block)}{key} = {value}")
        self._by_header[header][key] = value

    def replace(self, header: str, key: str, value: str) -> None:
        """Give a key another value, in the place of all lines of the old one."""
        pair = self.blocks[header].pairs[key]
        self._remove(pair.first, pair.last)
        self._changed[pair.first] = f"{_margin(self.lines[pair.first])}{pair.spelled} = {value}"
        self._by_header[header][key] = value

    def rename(self, header: str, key: str, spelled: str) -> None:
        """Rename a key; only the bytes of its name change."""
        pair = self.blocks[header].pairs[key]
        line, margin = _content(self.lines[pair.first]), _margin(self.lines[pair.first])
        self._changed[pair.first] = margin + spelled + line[len(margin) + len(pair.spelled) :]
        said = self._by_header[header]
        said[spelled.lower()] = said.pop(key)

    def remove(self, header: str, key: str) -> None:
        """Remove a key with all lines of its value."""
        pair = self.blocks[header].pairs[key]
        self._remove(pair.first, pair.last)
        del self._by_header[header][key]

    def remove_bare(self, header: str) -> bool:
        """Remove a section's header, and the blank lines below it, if edits left no key and no comment in it."""
        block = self.blocks[header]
        following = self._following(block)
        inside = range(block.line + 1, len(self.lines) if following is None else following)
        kept = [index for index in inside if self._changed.get(index, self.lines[index]) is not None]
        if self._by_header[header] or any(self.lines[index].strip() for index in kept):
            return False
        self._remove(block.line, inside.stop - 1)
        self._gone.add(header)
        return True

    def append_section(self, header: str, pairs: Mapping[str, str], comment: str) -> None:
        """Add a section with a comment above it at the end, after an empty line."""
        last = len(self.lines) - 1
        section = [f"# {comment}", f"[{header}]", *(f"{key} = {value}" for key, value in pairs.items())]
        tail = self._added.setdefault(last, [])
        tail += ["", *section] if self.lines or tail else section
        self._intended.append((header, dict(pairs)))

    def is_appended(self, header: str, comment: str) -> bool:
        """Whether a section is one of :meth:`append_section`, with nothing between its lines."""
        block = self.blocks[header]
        above = self.lines[block.line - 1].strip() if block.line else ""
        return above == f"# {comment}" and block.last - block.line == len(block.pairs)

    def remove_appended(self, header: str) -> None:
        """Remove a section for which :meth:`is_appended` holds, with its comment and the empty line above."""
        block = self.blocks[header]
        first = block.line - 1
        if first and not self.lines[first - 1].strip():
            first -= 1
        self._remove(first, block.last)
        self._gone.add(header)

    def edited(self) -> bytes:
        """The file after the edits.

        :raises ConfigError: the file that is read back differs from what the edits mean.
        """
        raw = self._text().encode()
        if Document(raw, self.path)._intended != [one for one in self._intended if one[0] not in self._gone]:
            raise ConfigError(
                f"{self.path} is written in a way in which a change of one key would change another",
                hint="give its keys and sections a regular indentation",
            )
        return raw

    # -- how ---------------------------------------------------------------------------------------------------------

    def _remove(self, first: int, last: int) -> None:
        for index in range(first, last + 1):
            self._changed[index] = None

    def _indentation(self, block: ini.Block) -> str:
        """The margin with which a new last key neither continues the line above nor is continued by the one below."""
        if block.pairs:
            return _margin(self.lines[max(pair.first for pair in block.pairs.values())])
        following = self._following(block)
        return max(_margin(self.lines[block.line]), _margin(self.lines[following or block.line]), key=len)

    def _following(self, block: ini.Block) -> int | None:
        """The index of the header of the next section; None for the last one."""
        place = bisect_right(self._headers, block.line)
        return self._headers[place] if place < len(self._headers) else None

    def _text(self) -> str:
        """The joined lines, each new one with the line end of the line above it.

        A file without a line end at its end still has none.
        """
        ends = [_end(line) for line in self.lines]
        usual = next(filter(None, reversed(ends)), "\n")
        parts: list[str] = [line + usual for line in self._added.get(-1, ())]
        for index, line in enumerate(self.lines):
            end = ends[index] or usual
            content = self._changed.get(index, _content(line))
            parts += [] if content is None else [content + end]
            parts += [new + end for new in self._added.get(index, ())]
        if ends and not ends[-1] and parts:
            parts[-1] = _content(parts[-1])
        return "".join(parts)


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _content(line: str) -> str:
    return line.rstrip("\r\n")


def _end(line: str) -> str:
    return line[len(_content(line)) :]
