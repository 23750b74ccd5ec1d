"""Standard output belongs to the core, and every failure is told here.

Before the first plugin is imported, descriptor 1 is kept for the core's own writer and pointed at standard error, so
no plugin, and no child of one, can put a word into what a program reads from ``exec -j``.

What is written is for a person, and drives no terminal: everything but line ends and what can be seen is escaped.
:func:`write_raw` alone writes as it is, what a program reads and quotes by rules of its own.
"""

from __future__ import annotations

import os
import stat
import sys

from vault_core.errors import OutputError, VaultError

_kept: int | None = None

_UNSEEN = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, 0xFFA0))
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""Characters that Python takes for printable and of which nothing is to be seen (Unicode's
Default_Ignorable_Code_Point, and the empty Braille cell): two names that differ in them look alike."""


def guard() -> None:
    """Keep descriptor 1 for :func:`write` and point it at standard error. Repeating it does nothing."""
    global _kept
    if _kept is None:
        flush()
        _kept = os.dup(1)  # not inheritable: no child gets it
        os.dup2(2, 1)


def restore() -> None:
    """Give descriptor 1 back, for the program that ``exec`` becomes."""
    global _kept
    if _kept is not None:
        flush()
        os.dup2(_kept, 1)
        os.close(_kept)
        _kept = None


def write(text: str) -> None:
    """Write to the real standard output, whole and at once; all but line ends is escaped as in :func:`printable`.

    :raises OutputError: nobody reads it any more, it is closed, or its disk is full.
    """
    write_raw(printable_lines(text))


def write_raw(text: str) -> None:
    """Write to the real standard output as it is: what a program reads, and whose own quoting makes it safe to show.

    :raises OutputError: as :func:`write`.
    """
    data = text.encode("utf-8", "surrogateescape")
    descriptor = 1 if _kept is None else _kept
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise _lost(error) from None


def flush() -> None:
    """Write what Python's own buffer of standard output holds (click's help, a plugin's words).

    :raises OutputError: as :func:`write`.
    """
    if sys.stdout is None:  # closed by the caller
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes again at its end, and would complain
        raise _lost(error) from None


def open_to_others(descriptor: int | None = None) -> str | None:
    """Why a file or named pipe is no place for a secret, in a few words: whose it is, or its mode. None where it is
    one, or is something else (a terminal, a pipe, a socket).

    An access list shows in the bits of the group, which are its mask.

    :param descriptor: None: of the real standard output.
    """
    descriptor = descriptor if descriptor is not None else 1 if _kept is None else _kept
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None  # writing to it says what is wrong
    if stat.S_ISFIFO(found.st_mode):
        # macOS shows a pipe without a name as open to the group.
        private = not found.st_mode & (0o007 if sys.platform == "darwin" else 0o077)
    elif stat.S_ISREG(found.st_mode):
        private = not found.st_mode & 0o077
    else:
        return None
    if found.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {found.st_uid}"
    return None if private else f"its mode is {stat.S_IMODE(found.st_mode):04o}"


def is_terminal() -> bool:
    """Whether the real standard output is a terminal."""
    return os.isatty(1 if _kept is None else _kept)


def is_seen() -> bool:
    """Whether what is told on standard error appears at a terminal."""
    return os.isatty(2)


def printable(text: str) -> str:
    """The text in one line, in which every character can be seen: a name from a file or a service must not drive the
    terminal. Control and formatting characters, line ends among them, and bytes that are no UTF-8 are escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_seen(char) else char.encode("unicode_escape").decode() for char in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines, whose line feeds stay."""
    return "\n".join(map(printable, text.split("\n")))


def _is_seen(char: str) -> bool:
    return char.isprintable() and char not in _UNSEEN


def width(text: str) -> int:
    """The columns that :func:`printable` text takes at a terminal."""
    from unicodedata import category, east_asian_width  # of no use to most commands

    return sum(
        0 if category(char) in ("Mn", "Me") else 2 if east_asian_width(char) in ("W", "F") else 1 for char in text
    )


def cut(text: str, columns: int) -> str:
    """:func:`printable` text, cut where it would take more columns; it ends with ``…`` then."""
    text = printable(text)
    kept = text[: 2 * columns]  # marks without end on one character would hide what stands above
    if kept == text and width(text) <= columns:
        return text
    while kept and width(kept) > columns - 1:
        kept = kept[:-1]
    return f"{kept}…"


def note(message: str) -> None:
    """One line on standard error, escaped as in :func:`printable`."""
    to_stderr(f"awsv: {printable(message)}\n")


def to_stderr(text: str) -> None:
    """Text on standard error, all but line ends escaped as in :func:`printable`."""
    data = printable_lines(text).encode("utf-8")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:  # nobody listens: that is no reason to fail, or to fail otherwise
        return


def tell(error: VaultError, *, trace: BaseException | None = None) -> None:
    """A failure for a person: what happened, then the next action.

    :param trace: show where this exception came from: frames and types, as a vendor's message may hold a secret.
    """
    if trace is not None:
        _tell_frames(trace)
    if isinstance(error, OutputError) and error.reader_left:
        return  # ``awsv list | head -1`` is no failure that anybody wants to read about
    note(error.message)
    if error.hint:
        to_stderr(f"hint: {printable(error.hint)}\n")


def _tell_frames(error: BaseException) -> None:
    import traceback

    at: BaseException | None = error
    while at is not None:
        to_stderr("".join(traceback.format_tb(at.__traceback__)))
        to_stderr(f"{type(at).__qualname__}\n")
        at = at.__cause__ or at.__context__


def _lost(error: OSError) -> OutputError:
    reason = (error.strerror or type(error).__name__).lower()
    return OutputError(f"cannot write to standard output: {reason}", reader_left=isinstance(error, BrokenPipeError))
