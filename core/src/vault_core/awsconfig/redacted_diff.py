"""A change of the config file as a unified diff that shows no secret.

The config file may contain plain keys, also in comments, and a diff shows the lines around a change. No plugin is
loaded for it: the value of every option of a plugin is masked, as only the plugin knows whether it is a secret.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher
from pathlib import Path

from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.shared import HIDDEN_WORDS, OWN_PREFIX, may_be_shown, without_passwords

_PLUGINS_KEY = re.compile(rf"\b{OWN_PREFIX}[\w-]+", re.IGNORECASE)
_HIDDEN = re.compile(rf"{HIDDEN_WORDS}|{_PLUGINS_KEY.pattern}", re.IGNORECASE)
_DELIMITER = re.compile(r"[=:]\s*")
_BLANK = re.compile(r"\s+")
_FREE = re.compile(r"\s*([#;]|credential_process\b)", re.IGNORECASE)
"""The beginning of a comment or of a command line, in which a secret can follow a word without a delimiter."""


def patch(before: bytes, after: bytes, path: Path) -> str:
    """The diff with three lines of context; empty if nothing changes. Values that may be secret are ``***``."""
    old, new = _shown(before, path), _shown(after, path)
    lines = list(_unified(old, new))
    return "".join(f"{line}\n" for line in ([f"--- {path}", f"+++ {path}", *lines] if lines else []))


def _unified(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """The changes, as :func:`difflib.unified_diff` shows them after its two headers."""
    for group in _BySection(None, old, new).get_grouped_opcodes(3):
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@"
        for tag, begin, end, new_begin, new_end in group:
            if tag == "equal":
                yield from (f" {line}" for line in old[begin:end])
            else:
                yield from (f"-{line}" for line in old[begin:end])
                yield from (f"+{line}" for line in new[new_begin:new_end])


def _range(begin: int, end: int) -> str:
    length = end - begin
    return f"{begin + 1}" if length == 1 else f"{begin + bool(length)},{length}"


class _BySection(SequenceMatcher[str]):
    """Compares the pieces between two lines that occur once in each file, as headers do.

    ``SequenceMatcher`` searches the rest of the whole file for each change: a minute for 2,000 profiles.
    """

    a: Sequence[str]
    b: Sequence[str]

    def get_matching_blocks(self) -> list[Match]:
        found: list[Match] = []
        ends = (len(self.a), len(self.b))
        begin = (0, 0)
        for anchor in (*self._anchors(), ends):
            piece = SequenceMatcher(None, self.a[begin[0] : anchor[0]], self.b[begin[1] : anchor[1]])
            for one in (*piece.get_matching_blocks()[:-1], Match(anchor[0] - begin[0], anchor[1] - begin[1], 1)):
                block = Match(begin[0] + one.a, begin[1] + one.b, one.size)
                last = found[-1] if found else Match(-1, -1, 0)
                if (last.a + last.size, last.b + last.size) == (block.a, block.b):
                    found[-1] = Match(last.a, last.b, last.size + block.size)
                else:
                    found.append(block)
            begin = (anchor[0] + 1, anchor[1] + 1)
        found[-1] = Match(found[-1].a, found[-1].b, found[-1].size - 1)  # no line is at the two ends
        return [*found, Match(*ends, 0)]

    def _anchors(self) -> Iterator[tuple[int, int]]:
        once = [{line for line, count in Counter(lines).items() if count == 1} for lines in (self.a, self.b)]
        places = {line: place for place, line in enumerate(self.b) if line in once[1]}
        last = -1
        for place, line in enumerate(self.a):
            if line in once[0] and places.get(line, -1) > last:
                last = places[line]
                yield place, last


def _shown(raw: bytes, path: Path) -> list[str]:
    document = Document(raw, path)
    lines = [without_secret(line.rstrip("\r\n")) for line in document.lines]
    for block in document.every_block:
        for pair in block.pairs.values():
            if not may_be_shown(pair.key):
                lines[pair.first + 1 : pair.last + 1] = ["  ***"] * (pair.last - pair.first)
    return lines


def without_secret(line: str) -> str:
    """A line of the file, possibly a comment, without the text after a word that may name a secret."""
    # Searched for where the core's own keys are replaced by spaces: vault_passphrase_source hides nothing.
    searched = _PLUGINS_KEY.sub(lambda key: " " * len(key[0]) if may_be_shown(key[0].lower()) else key[0], line)
    word = _HIDDEN.search(searched)
    if word is None:
        return without_passwords(line)
    delimiter = _DELIMITER.search(line, word.end())
    if delimiter is None and _FREE.match(line):
        delimiter = _BLANK.search(line, word.end())
    return without_passwords(f"{line[: delimiter.end()]}***" if delimiter and line[delimiter.end() :] else line)
