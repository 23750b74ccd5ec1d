"""One question at the controlling terminal.

What this module promises:

- The question goes to ``/dev/tty``, so standard input and output may be pipes.
- No question is asked, and no process is stopped, if no user can answer: without a controlling terminal, or in the
  background of one, a question fails at once.
- While a secret is typed nothing is echoed, and the terminal is restored however the question ends: an answer, an
  exception, Ctrl-C, a deadline, SIGTERM, SIGHUP, SIGQUIT, and Ctrl-Z, after which the question is shown again.
- Text of others (profile names, folders) cannot move the cursor or hide itself: what is not printable is escaped. Nor
  can it fill a row and control the next one: the name of the program that asks is cut to one row, and each further row
  of a question begins with ``…``.

SIGKILL and SIGSTOP cannot be caught. In a thread other than the main one Python delivers no signals, so there
only answers, exceptions and deadlines restore the terminal.
"""

import base64
import errno
import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, Self

from vault_core.errors import Cancelled, QuestionRefused, SourceUnavailable
from vault_core.output import cut, printable, printable_lines, width
from vault_core.secret import Secret

_PATH: Final = "/dev/tty"
_BEAT: Final = 0.5
"""Seconds between two checks that this process is still in the foreground: no signal reports that."""
_CONFIRM_TRIES: Final = 3
_COLUMNS: Final = 80
"""Of a terminal that does not know how wide it is."""

_LINE_LIMIT: Final = 4094 if sys.platform == "linux" else 1022
"""The most bytes of a line that is surely whole. Linux's N_TTY drops what exceeds 4095 bytes and macOS's what exceeds
MAX_CANON (1024) with the newline, both without telling, so a line that reaches the limit may have lost its end."""

_HANDLED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCONT)
_SHOW_AGAIN: Final = (signal.SIGTSTP, signal.SIGCONT)

_Handler = Callable[[int, FrameType | None], Any] | int


class Terminal:
    """The controlling terminal of this process."""

    def why_not(self) -> str | None:
        """None if a person can be asked here, else the reason, in lower case."""
        try:
            with _terminal() as fd:
                _require_foreground(fd)
        except SourceUnavailable as error:
            return error.message
        return None

    def ask(self, question: str, *, secret: bool, asker: str = "", deadline: float | None = None) -> Secret:
        """Ask for one line and wait for it.

        :param question: the text before the cursor, with the space at its end.
        :param secret: do not show what is typed, and drop what was typed before the question.
        :param asker: who asks, shown on a line of its own before the question.
        :param deadline: on :func:`time.monotonic`'s clock; None: no limit.
        :returns: the line's bytes without the newline, never empty.
        :raises QuestionRefused: Ctrl-C, Ctrl-D or an empty line.
        :raises SourceUnavailable: the user cannot be asked here, or did not answer before the deadline.
        """
        answer = _ask(_composed(question, asker), secret=secret, deadline=deadline)
        if not answer:
            raise QuestionRefused("no answer: empty line")
        return Secret(answer)

    def confirm(self, question: str, *, asker: str = "", default: bool = False) -> bool:
        """Ask yes or no; an empty line is the default.

        :raises QuestionRefused: Ctrl-C, Ctrl-D, or three answers that are neither.
        :raises SourceUnavailable: the user cannot be asked here.
        """
        text = _composed(f"{question} [{'Y/n' if default else 'y/N'}] ", asker)
        for _ in range(_CONFIRM_TRIES):
            match _ask(text, secret=False, deadline=None).strip().lower():
                case b"y" | b"yes":
                    return True
                case b"n" | b"no":
                    return False
                case b"":
                    return default
            text = "please answer y or n: "
        raise QuestionRefused("no answer: neither y nor n")

    def copy(self, secret: Secret) -> bool:
        """Have the terminal put a secret into its clipboard (xterm's OSC 52); whether that was sent. Many terminals
        ignore it, or have a setting for it.
        """
        rest = b"\x1b]52;c;" + base64.b64encode(secret.reveal()) + b"\x07"
        with suppress(SourceUnavailable, OSError), _never_stopped(), _terminal() as fd:
            _require_foreground(fd)
            while rest and select.select([], [fd], [], _BEAT)[1]:
                rest = rest[os.write(fd, rest) :]
        return not rest

    def write(self, text: str) -> None:
        """Show lines at the terminal; nothing happens where there is none, or where it takes no output."""
        with suppress(SourceUnavailable, OSError), _never_stopped(), _terminal() as fd:
            rest = printable_lines(text).encode()
            while rest and select.select([], [fd], [], _BEAT)[1]:
                rest = rest[os.write(fd, rest) :]


def _composed(question: str, asker: str) -> str:
    return (printable(asker) + "\n" if asker else "") + printable(question)


def _fitting(text: str, columns: int) -> str:
    """What :func:`_composed` made, for a terminal so wide: nothing is left to wrap to the terminal."""
    *asker, question = text.split("\n")
    rows = [""]
    for char in question:
        if width(rows[-1] + char) >= columns:  # the last column stays free: some wrap when it is taken
            rows.append("… ")
        rows[-1] += char
    return "\n".join([*(cut(line, columns - 1) for line in asker), *rows])


def _columns(fd: int) -> int:
    try:
        return max(os.get_terminal_size(fd).columns or _COLUMNS, len("… xx") + 1)
    except OSError:
        return _COLUMNS


def _ask(text: str, *, secret: bool, deadline: float | None) -> bytes:
    """The line's bytes, perhaps none. A signal that ends the question is delivered again once all is restored."""
    try:
        with _never_stopped(), _terminal() as fd, _Signals() as signals:
            return _Question(fd, text, secret, deadline, signals).answer()
    except _Caught as caught:
        signal.raise_signal(caught.signum)
        # Only a handler that the host had installed before the question leads here.
        raise Cancelled(f"stopped by {signal.Signals(caught.signum).name}") from None
    except (OSError, termios.error) as error:
        raise SourceUnavailable(f"the terminal failed: {os.strerror(error.args[0]).lower()}") from None


@contextmanager
def _terminal() -> Iterator[int]:
    """An own descriptor of the controlling terminal.

    It does not block: of two processes that wait for one line only one gets it, and the other must not hang in read.
    """
    try:
        fd = os.open(_PATH, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT, errno.ENODEV):
            raise SourceUnavailable("there is no terminal") from None
        raise SourceUnavailable(f"the terminal cannot be opened: {os.strerror(error.args[0]).lower()}") from None
    try:
        yield fd
    finally:
        os.close(fd)


def _is_foreground(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # the terminal hung up
        return False


def _require_foreground(fd: int) -> None:
    if not _is_foreground(fd):
        raise SourceUnavailable("this process is in the background of its terminal")


@contextmanager
def _never_stopped() -> Iterator[None]:
    """Have reading and writing fail, not stop us, when we are in the background. Holds for this thread only."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN, signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Caught(Exception):
    """A signal arrived; raised where the question waits, never in the middle of anything."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class _Signals:
    """While entered, signals wait in a list and wake ``select``, instead of ending the process or raising."""

    def __init__(self) -> None:
        self._arrived: list[int] = []
        self._before: dict[int, _Handler] = {}
        self._pipe: tuple[int, int] | None = None
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            try:
                self._install()
            except BaseException:
                self._uninstall()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._uninstall()
        for signum in self._arrived:  # too late for the question, but not for the process
            if signum != signal.SIGCONT and not (signum == signal.SIGINT and kind):
                signal.raise_signal(signum)

    @property
    def wakeup(self) -> list[int]:
        """What to give to ``select`` besides the terminal."""
        return [self._pipe[0]] if self._pipe else []

    def check(self) -> None:
        """:raises _Caught: a signal arrived."""
        if self._pipe:
            with suppress(BlockingIOError):
                os.read(self._pipe[0], 4096)
        if self._arrived:
            raise _Caught(self._arrived.pop(0))

    def stop(self) -> None:
        """Stop this process as Ctrl-Z would have; returns when it is continued."""
        ours = signal.signal(signal.SIGTSTP, self._before[signal.SIGTSTP])
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, ours)
        self._arrived = [signum for signum in self._arrived if signum not in _SHOW_AGAIN]

    def _install(self) -> None:
        self._pipe = os.pipe()
        for fd in self._pipe:
            os.set_blocking(fd, False)
        # The byte is written by the handler in C, so a signal just before select wakes it nevertheless.
        self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        for signum in _HANDLED:
            before = signal.getsignal(signum)
            # What is ignored (nohup) stays so, but Ctrl-C always ends a question. None: not Python's to restore.
            if before is None or (before is signal.SIG_IGN and signum != signal.SIGINT):
                continue
            self._before[signum] = before
            signal.signal(signum, lambda number, _frame: self._arrived.append(number))

    def _uninstall(self) -> None:
        for signum, before in self._before.items():
            signal.signal(signum, before)
        if self._pipe:
            signal.set_wakeup_fd(self._wakeup_before)
            for fd in self._pipe:
                os.close(fd)
            self._pipe = None


class _Question:
    """One question, shown again after each stop, until it is answered or given up."""

    def __init__(self, fd: int, text: str, secret: bool, deadline: float | None, signals: _Signals) -> None:
        self._fd = fd
        self._text = text
        self._secret = secret
        self._deadline = deadline
        self._signals = signals

    def answer(self) -> bytes:
        while True:
            try:
                with self._modes():
                    self._show()
                    return self._line()
            except _Caught as caught:
                if caught.signum == signal.SIGINT:
                    raise QuestionRefused("no answer: interrupted") from None
                if caught.signum not in _SHOW_AGAIN:
                    raise
                stopped_by_key = caught.signum == signal.SIGTSTP
            if stopped_by_key:
                self._signals.stop()

    @contextmanager
    def _modes(self) -> Iterator[None]:
        """The terminal reads lines with the usual editing, echoed unless they are secret; then as before.

        A full-screen program may have left it in raw mode. TCSAFLUSH drops what was typed ahead and, after the
        answer, the rest of a paste of several lines, which would otherwise reach the shell and its history.
        """
        _require_foreground(self._fd)
        before = termios.tcgetattr(self._fd)
        ours = termios.tcgetattr(self._fd)
        ours[0] = (ours[0] | termios.ICRNL) & ~(termios.INLCR | termios.IGNCR | termios.ISTRIP)
        ours[1] |= termios.OPOST | termios.ONLCR
        ours[3] = (ours[3] | termios.ICANON | termios.ISIG | termios.ECHO) & ~termios.ECHONL
        if self._secret:
            ours[3] &= ~termios.ECHO
        answered = False
        try:
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, ours)
            ours = termios.tcgetattr(self._fd)  # as the driver understood it
            yield
            answered = True
        finally:
            foreground = _is_foreground(self._fd)
            if foreground and (self._secret or not answered):  # nobody else has ended the line
                with suppress(OSError):
                    os.write(self._fd, b"\n")
            # Who is in the foreground now may have set its own modes, and then they are not ours to change.
            with suppress(termios.error):  # the terminal is gone, and its modes with it
                if foreground or termios.tcgetattr(self._fd) == ours:
                    termios.tcsetattr(self._fd, termios.TCSAFLUSH, before)

    def _show(self) -> None:
        rest = _fitting(self._text, _columns(self._fd)).encode()
        while rest:
            if self._wait(writing=True):
                with suppress(BlockingIOError):
                    rest = rest[os.write(self._fd, rest) :]

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            if not self._wait(writing=False):
                continue
            with suppress(BlockingIOError):
                part = os.read(self._fd, 65536)
                if not part:
                    raise QuestionRefused("no answer: end of input")
                line += part
        line = line[:-1]
        if len(line) > _LINE_LIMIT:
            raise SourceUnavailable(
                f"the answer may be cut off: a line at this terminal holds at most {_LINE_LIMIT} bytes",
                hint="keep so long a secret in a file that only you can read",
            )
        return line

    def _wait(self, *, writing: bool) -> bool:
        """Wait a moment; True if the terminal is ready for the next byte."""
        self._signals.check()
        left = _BEAT if self._deadline is None else min(_BEAT, self._deadline - time.monotonic())
        if left <= 0:
            raise SourceUnavailable("nobody answered at the terminal in time")
        terminal = [self._fd]
        reading = self._signals.wakeup + ([] if writing else terminal)
        readable, writable, _ = select.select(reading, terminal if writing else [], [], left)
        self._signals.check()
        _require_foreground(self._fd)
        return self._fd in (writable if writing else readable)
