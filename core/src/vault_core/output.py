"""Notices and errors for the user, on standard error, and text that is safe to show at a terminal.

No text of others (profile names, folders, answers of a service) can drive the terminal: everything but line ends and
visible characters is escaped.
"""

import os

from vault_core import consulted
from vault_core.errors import OutputError, VaultError

_INVISIBLE = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, 0xFFA0))
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""Characters that Python calls printable and that are invisible (Unicode's Default_Ignorable_Code_Point, and the empty
Braille cell): two names that differ only in them look alike."""


def is_seen() -> bool:
    """Whether standard error is a terminal, so that the user sees a notice."""
    return os.isatty(2)


def printable(text: str) -> str:
    """Return the text as one line of visible characters: a name from a file or a service must not drive the terminal.
    Control and formatting characters, line ends among them, and bytes that are not UTF-8 are escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() and char not in _INVISIBLE else char.encode("unicode_escape").decode()
        for char in text
    )


def printable_lines(text: str) -> str:
    """Return several lines of visible characters: :func:`printable`, but line feeds stay."""
    return "\n".join(map(printable, text.split("\n")))


def width(text: str) -> int:
    """The number of columns that :func:`printable` text takes at a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width  # most commands do not need it

    return sum(
        0 if category(char) in ("Mn", "Me") else 2 if east_asian_width(char) in ("W", "F") else 1 for char in text
    )


def cut(text: str, columns: int) -> str:
    """:func:`printable` text, cut where it would take more columns; it ends with ``…`` then."""
    text = printable(text)
    kept = text[: 2 * columns]  # endless combining marks on one character would cover the lines above
    if kept == text and width(text) <= columns:
        return text
    while kept and width(kept) > columns - 1:
        kept = kept[:-1]
    return f"{kept}…"


def notice(message: str) -> None:
    """Write one line to standard error, escaped as in :func:`printable`."""
    to_stderr(f"awsv: {printable(message)}\n")


def to_stderr(text: str) -> None:
    """Write lines to standard error, escaped as in :func:`printable_lines`."""
    consulted.prevent()
    data = printable_lines(text).encode("utf-8")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:  # standard error is closed or full: not a reason to fail, or to fail with another error
        return


def report_error(error: VaultError, *, trace: BaseException | None = None) -> None:
    """Write an error to standard error: its message, then its hint.

    :param trace: also write where this exception came from: frames and types only, as a vendor's message may hold a
        secret.
    """
    if trace is not None:
        _write_frames(trace)
    if isinstance(error, OutputError) and error.reader_left:
        return  # ``awsv list | head -1`` is not an error to report
    notice(error.message)
    if error.hint:
        to_stderr(f"hint: {printable(error.hint)}\n")


def _write_frames(error: BaseException) -> None:
    import traceback

    at: BaseException | None = error
    while at is not None:
        to_stderr("".join(traceback.format_tb(at.__traceback__)))
        to_stderr(f"{type(at).__qualname__}\n")
        at = at.__cause__ or at.__context__
