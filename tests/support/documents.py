"""Documents whose snippets are run: the fences of a page, and how the consoles in them are acted.

What stands in front of a fence says what it is: ``<!-- run -->`` a console, ``<!-- file: NAME -->`` text that belongs
into a file of the home (at its end, where there is one), ``<!-- not run: REASON -->`` neither. In a console each
question must be asked, no other may be, and each line must come, in that order; ``…`` is any text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from support.home import Home

BIN = Path(sys.executable).parent
Answers: TypeAlias = Mapping[str, str | Callable[[str], str]]
"""A question (a pattern) to what a person types, some of which is on the screen before."""

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>run|file|not run)(?:: (?P<argument>[^\n]+))? -->\n)?"
    r"```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
_LINK = re.compile(r"\]\((?!https?://)([^)]+)\)")


@dataclass(frozen=True)
class Fence:
    """A fence of a document; without a mark it has ``mark=None``."""

    mark: str | None
    argument: str | None
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]

    @property
    def output(self) -> list[str]:
        return [line for line in self.text.splitlines() if not line.startswith("$ ")]

    def write(self, folder: Path) -> None:
        """Append the text to its file below a folder."""
        assert self.argument is not None
        path = folder / self.argument
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if file.tell() else "") + self.text)


def fences(document: Path) -> list[Fence]:
    """Every fence of a document."""
    return [Fence(**match.groupdict()) for match in _FENCE.finditer(document.read_text(encoding="utf-8"))]


def act(
    home: Home,
    fence: Fence,
    typed: Answers,
    *,
    path: Path = BIN,
    state: Path | None = None,
    timeout: float = 60,
    shell: str = "/bin/bash",
) -> None:
    """Run the commands of a console on a terminal as a person would, and compare.

    :param path: the folder of programs that comes first.
    :param state: a file that carries the working folder and the exported variables from one console to the next; None:
        each console begins anew.
    :param timeout: seconds that the commands may be silent.
    :param shell: bash or zsh; zsh has no aliases here.
    """
    import pexpect

    known = list(typed)
    lines = ["set -e", *fence.commands]
    if Path(shell).name == "bash":
        lines.insert(0, "shopt -s expand_aliases")
    if state is not None:
        lines.insert(0, f"[ ! -f {state} ] || . {state}")
        lines.append(f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {state}")
    environment = {"PATH": f"{path}:{home.env['PATH']}"}
    child = home.spawn("-c", "\n".join(lines), program=shell, env=environment, timeout=timeout)
    asked, shown = [], ""
    while (index := child.expect([pexpect.EOF, *known])) > 0:
        asked.append(known[index - 1])
        shown += child.before + child.after
        answer = typed[asked[-1]]
        child.sendline(answer if isinstance(answer, str) else answer(shown))
    shown += child.before
    child.close()
    assert child.exitstatus == 0, shown
    assert asked == [question for line in fence.output for question in _questions(line, known)], shown
    for line in fence.output:
        if not _questions(line, known):
            pattern = r"\s+".join(".*".join(map(re.escape, word.split("…"))) for word in line.split())
            found = re.search(pattern, shown)
            assert found, f"{line!r} is not, or not in this place, in\n{shown}"
            shown = shown[found.end() :]


def _questions(line: str, known: Sequence[str]) -> list[str]:
    return [question for question in known if re.search(question, line + " ")]


def dead_links(document: Path) -> list[str]:
    """The links of a document, to files and headings of this repository, that lead nowhere."""
    dead = []
    for link in _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(link)
    return dead


def _anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
