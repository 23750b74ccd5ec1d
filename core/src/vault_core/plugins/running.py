"""Run a program for a plugin: without a shell or a terminal, for a limited time, and with its process group killed.

:func:`run` is the one implementation of :meth:`vault_core.api.Context.run`: the contexts of the host and of the
contract kit call it.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any, Self

from vault_core.api import RunResult
from vault_core.errors import SourceUnavailable
from vault_core.plugins.variables import ENVIRONMENT
from vault_core.secret import Secret

MOST_WRITTEN = 16 * 1024 * 1024
"""Maximum size of standard output, and of standard error, in bytes."""

_CHUNK = 65_536
POLL = 0.05
"""Seconds between two checks of the clock, of the host and of the program."""


def run(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    names: Sequence[str],
    input: Secret | None,
    timeout: float,
    check: Callable[[], None],
) -> RunResult:
    """See :meth:`vault_core.api.Context.run`.

    :param environ: the environment of the context.
    :param names: the variables that the program gets besides :data:`ENVIRONMENT`.
    :param check: called repeatedly while the program runs; an exception ends the program.
    :raises SourceUnavailable: the program cannot be started, takes too long or writes too much.
    """
    given = {name: environ[name] for name in (*ENVIRONMENT, *names) if name in environ}
    ends = time.monotonic() + timeout
    try:
        exchange = Exchange(argv, given, input.reveal() if input else b"", keep=MOST_WRITTEN + 1)
    except OSError as error:
        raise SourceUnavailable(f"{program(argv)} cannot be started: {error.strerror}") from None
    with exchange:
        while not exchange.finished(POLL):
            check()
            if time.monotonic() >= ends:
                raise SourceUnavailable(f"{program(argv)} did not end within {timeout:g} s")
            if max(len(exchange.stdout), len(exchange.stderr)) > MOST_WRITTEN:
                raise SourceUnavailable(f"{program(argv)} wrote more than {MOST_WRITTEN >> 20} MiB")
    stderr = exchange.stderr.decode("utf-8", "replace")
    return RunResult(returncode=exchange.returncode, stdout=Secret(exchange.stdout), stderr=stderr)


def program(argv: Sequence[str]) -> str:
    """The name of the program, for messages: that of ``env LC_ALL=C pass show`` is ``pass``."""
    if PurePath(argv[0]).name == "env":
        return next((word for word in argv[1:] if "=" not in word), argv[0])
    return argv[0]


class Exchange:
    """A running program that is written to and read from; at the end of the block its process group is killed.

    :param text: its standard input.
    :param keep: how many bytes of its standard output, and of its standard error, are kept.
    :raises OSError: it cannot be started.
    """

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], text: bytes, *, keep: int) -> None:
        pipe = subprocess.PIPE
        # A session of its own has no /dev/tty: opening it to ask a question fails at once.
        child = subprocess.Popen(list(argv), env=environ, start_new_session=True, stdin=pipe, stdout=pipe, stderr=pipe)
        assert child.stdin and child.stdout and child.stderr  # noqa: S101, PT018 - they are pipes
        self.stdout, self.stderr = bytearray(), bytearray()
        self._child = child
        self._keep = keep
        self._input = memoryview(text)
        self._pipes = selectors.DefaultSelector()
        for file, event, data in (
            (child.stdin, selectors.EVENT_WRITE, None),
            (child.stdout, selectors.EVENT_READ, self.stdout),
            (child.stderr, selectors.EVENT_READ, self.stderr),
        ):
            os.set_blocking(file.fileno(), False)
            self._pipes.register(file, event, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self._child.wait()
        for key in list(self._pipes.get_map().values()):
            self._close(key.fileobj)
        self._pipes.close()

    @property
    def returncode(self) -> int:
        """The exit code of the program, or the negative number of the signal that killed it; after the block."""
        return self._child.wait()

    def finished(self, seconds: float) -> bool:
        """Whether the program has ended and its output is read; waits at most this many seconds."""
        ended = _has_ended(self._child)
        if ended:
            self._kill()
        elif not self._pipes.get_map():  # the program closed them, and ends or continues
            time.sleep(seconds / 10)
        ready = self._pipes.select(0 if ended else seconds)
        for key, _ in ready:
            if key.data is None:
                self._write(key.fileobj)
            else:
                self._read(key.fileobj, key.data)
        return ended and not ready  # not until the end of the pipes: a daemon may keep them open

    def _kill(self) -> None:
        """Kill the process group while its id cannot be reused; processes that left the group are not killed."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def _write(self, file: Any) -> None:
        with suppress(BlockingIOError):
            try:
                self._input = self._input[os.write(file.fileno(), self._input) :]
            except BrokenPipeError:  # the program closed its input
                self._input = memoryview(b"")
        if not self._input:
            self._close(file)

    def _read(self, file: Any, data: bytearray) -> None:
        part = os.read(file.fileno(), _CHUNK)
        data += part[: self._keep - len(data)]
        if not part:
            self._close(file)

    def _close(self, file: Any) -> None:
        self._pipes.unregister(file)
        with suppress(OSError):
            file.close()


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the program has ended; its id stays reserved where the system supports that."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return child.poll() is not None
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
