"""Standard output belongs to the core.

Before the first plugin is imported, descriptor 1 is kept for the core's own writer and pointed at standard error, so
no plugin, and no child of one, can put a word into what a program reads from ``exec -j``.
"""

from __future__ import annotations

import os
import sys

_kept: int | None = None


def guard() -> None:
    """Keep descriptor 1 for :func:`write` and point it at standard error. Repeating it does nothing."""
    global _kept
    if _kept is not None:
        return
    sys.stdout.flush()
    try:
        _kept = os.dup(1)  # not inheritable: no child gets it
        os.dup2(2, 1)
    except OSError:  # closed by the caller: there is nothing to keep
        _kept = None


def restore() -> None:
    """Give descriptor 1 back, for the program that ``exec`` becomes."""
    global _kept
    if _kept is None:
        return
    sys.stdout.flush()
    os.dup2(_kept, 1)
    os.close(_kept)
    _kept = None


def write(text: str) -> None:
    """Write to the real standard output, whole and at once.

    :raises OSError: nobody reads it any more, or its disk is full.
    """
    data = text.encode("utf-8", "surrogateescape")
    descriptor = 1 if _kept is None else _kept
    while data:
        data = data[os.write(descriptor, data) :]


def is_terminal() -> bool:
    """Whether the real standard output is a terminal."""
    return os.isatty(1 if _kept is None else _kept)


def printable(text: str) -> str:
    """The text with control characters escaped: a name from a file or a service must not drive the terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in text
    )


def note(message: str) -> None:
    """One line on standard error, control characters escaped."""
    line = f"awsv: {printable(message)}\n"
    try:
        os.write(2, line.encode("utf-8", "backslashreplace"))
    except OSError:  # nobody listens: a notice is no reason to fail
        return
