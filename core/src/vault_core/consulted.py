"""What this run consulted to decide its answer: variables and files, noted where they are read.

The command line starts the notes, and :mod:`vault_core.fast.leave` puts them into a memo: the answer holds as long as
everything consulted is as it was. In a library nothing is noted.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping

Files = dict[tuple[str, str], os.stat_result | None]
"""A kind (see :func:`vault_core.fast.answer.fingerprint`) and an absolute path, to the status when it was read; None:
nothing was there."""

_files: Files | None = None
_began = 0.0


def start() -> None:
    """Note from here on which files are consulted."""
    global _files, _began
    _files, _began = {}, time.time()


def prevent() -> None:
    """From here on there is no memo of this run: the user was asked something, or something was shown."""
    global _files
    _files = None


def files() -> Files | None:
    """The files that were consulted; None if that was not noted."""
    return _files


def began() -> float:
    """When the notes began, in seconds since 1970."""
    return _began


def note(kind: str, path: "os.PathLike[str] | str", status: os.stat_result | None) -> None:
    """Note that a file was consulted.

    :param kind: as for :func:`vault_core.fast.answer.fingerprint`.
    :param path: absolute; another one prevents a memo.
    :param status: what was found; None: nothing. Then what is noted is the first folder on its way that is missing.
    """
    if _files is None:
        return
    text = os.fspath(path)
    if status is None:
        while not os.path.lexists(above := os.path.dirname(text)) and above != text:  # noqa: PTH120 - without pathlib
            text = above
    _files.setdefault((kind, text), status)


def look(kind: str, path: "os.PathLike[str] | str") -> None:
    """Note that a file was consulted, as it is now."""
    if _files is not None:
        try:
            note(kind, path, os.stat(path, follow_symlinks=kind in "fd"))  # noqa: PTH116 - Path costs more
        except OSError:  # if it is there and cannot be examined, the memo does not hold
            note(kind, path, None)


class Environment(Mapping[str, str]):
    """A snapshot of the environment that notes which variables are looked up.

    :ivar names: the variables that were looked up, set or not.
    :ivar texts: the same variables for what does not decide, without notes: the environment of a child, for example.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts: Mapping[str, str] = dict(texts)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self.texts[name]

    def __iter__(self) -> Iterator[str]:
        self.names.update(self.texts)
        self.names.add("")  # which variables there are: that is not noted, so there is no memo
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


class Visible(Mapping[str, str]):
    """The variables of an environment that a plugin sees: a view, so that each look-up is noted.

    :param shown: whether the plugin sees a variable, by its name.
    """

    def __init__(self, environ: Mapping[str, str], shown: Callable[[str], bool]) -> None:
        self._environ = environ
        self._shown = shown

    def __getitem__(self, name: str) -> str:
        if not self._shown(name):
            raise KeyError(name)
        return self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return filter(self._shown, self._environ)

    def __len__(self) -> int:
        return sum(1 for _ in self)
