"""Standard output belongs to the core, and every failure is told here.

Before the first plugin is imported, descriptor 1 is kept for the core's own writer and pointed at standard error, so
no plugin, and no child of one, can put a word into what a program reads from ``exec -j``.
"""

from __future__ import annotations

import os
import sys

from vault_core.errors import OutputError, VaultError

_kept: int | None = None


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
    """Write to the real standard output, whole and at once.

    :raises OutputError: nobody reads it any more, it is closed, or its disk is full.
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
    to_stderr(f"awsv: {printable(message)}\n")


def to_stderr(text: str) -> None:
    """Text on standard error as it is."""
    data = text.encode("utf-8", "backslashreplace")
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
