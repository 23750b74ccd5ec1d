"""Standard output of the command line: data for programs and people, written by awsv alone.

Before the command line loads the first plugin, :func:`capture` keeps descriptor 1 for awsv's own writer and points the
descriptor at standard error, so no plugin, and no child of one, can put a word into what a program reads from
``exec -j``. The library does none of this: standard output belongs to the host program.
"""

import os
import stat
import sys

from vault_core.errors import OutputError
from vault_core.output import printable_lines

_kept: int | None = None
"""The real standard output, while it is captured."""


def capture() -> None:
    """Keep descriptor 1 for :func:`write` and point it at standard error. A second call does nothing."""
    global _kept
    if _kept is None:
        flush()
        _kept = os.dup(1)  # not inheritable: no child gets it
        os.dup2(2, 1)


def give_back() -> None:
    """Restore descriptor 1, for the program that ``exec`` runs in place of this one."""
    global _kept
    if _kept is not None:
        flush()
        os.dup2(_kept, 1)
        os.close(_kept)
        _kept = None


def write(text: str) -> None:
    """Write to the real standard output, whole and at once. Everything that could drive a terminal is escaped.

    :raises OutputError: the reader closed the pipe, the descriptor is closed, or the disk is full.
    """
    write_raw(printable_lines(text))


def write_raw(text: str) -> None:
    """Write to the real standard output without escaping: data for a program, in a format with its own quoting.

    :raises OutputError: as :func:`write`.
    """
    data = text.encode("utf-8", "surrogateescape")
    descriptor = _descriptor()
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise lost(error) from None


def flush() -> None:
    """Write what Python's own buffer of standard output holds (what a plugin printed, for example).

    :raises OutputError: as :func:`write`.
    """
    if sys.stdout is None:  # closed by the caller
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes again at its end, and would complain
        raise lost(error) from None


def open_to_others(descriptor: int | None = None) -> str | None:
    """Why a file or named pipe is not private, in a few words: its owner or its mode. None where it is private, or
    something else (a terminal, a pipe, a socket).

    An access list shows in the bits of the group, which are its mask.

    :param descriptor: None: the real standard output.
    """
    try:
        status = os.fstat(_descriptor() if descriptor is None else descriptor)
    except OSError:
        return None  # writing to it reports what is wrong
    if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISREG(status.st_mode)):
        return None
    # macOS shows a pipe without a name as open to the group.
    others = 0o007 if stat.S_ISFIFO(status.st_mode) and sys.platform == "darwin" else 0o077
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}"
    return f"its mode is {stat.S_IMODE(status.st_mode):04o}" if status.st_mode & others else None


def is_terminal() -> bool:
    """Whether the real standard output is a terminal."""
    return os.isatty(_descriptor())


def columns() -> int:
    """The width of the real standard output; 0 where it is not a terminal, or does not know."""
    try:
        return os.get_terminal_size(_descriptor()).columns
    except OSError:
        return 0


def _descriptor() -> int:
    return 1 if _kept is None else _kept


def lost(error: OSError) -> OutputError:
    """The error for output that was not written."""
    reason = (error.strerror or type(error).__name__).lower()
    return OutputError(f"cannot write to standard output: {reason}", reader_left=isinstance(error, BrokenPipeError))
