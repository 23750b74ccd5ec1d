"""Programs that a plugin runs: without a shell, without a terminal, for a time, and nothing of them is left behind.

The one implementation of :meth:`vault_core.api.Context.run`: the host's contexts and the contract kit's call it.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from vault_core.api import RunResult
from vault_core.errors import SourceUnavailable
from vault_core.plugins.variables import ENVIRONMENT
from vault_core.secret import Secret

MOST_WRITTEN = 16 * 1024 * 1024
"""Bytes that a program may write, to standard output and to standard error each."""

_CHUNK = 65_536
_POLL = 0.05
"""Seconds between two looks at the clock, at the host, and at whether the program has ended."""


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

    :param environ: the variables there are.
    :param names: those of them that the program gets besides :data:`ENVIRONMENT`.
    :param check: called all the time while it runs; what it raises ends the program.
    :raises SourceUnavailable: it cannot be started, takes too long or writes too much.
    """
    told = {name: environ[name] for name in (*ENVIRONMENT, *names) if name in environ}
    ends = time.monotonic() + timeout
    pipe = subprocess.PIPE
    try:
        # In a session of its own there is no /dev/tty: who opens it to ask learns at once that nobody is there.
        child = subprocess.Popen(list(argv), env=told, start_new_session=True, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise SourceUnavailable(f"{program(argv)} cannot be started: {error.strerror}") from None
    with _Talk(child, program(argv), input.reveal() if input else b"") as talk:
        while not talk.over(_POLL):
            check()
            if time.monotonic() >= ends:
                raise SourceUnavailable(f"{program(argv)} did not end within {timeout:g} s")
    stderr = talk.stderr.decode("utf-8", "replace")
    return RunResult(returncode=child.returncode, stdout=Secret(talk.stdout), stderr=stderr)


def program(argv: Sequence[str]) -> str:
    """The word that names the program, for messages: in ``env LC_ALL=C pass show`` it is ``pass``."""
    if PurePath(argv[0]).name == "env":
        return next((word for word in argv[1:] if "=" not in word), argv[0])
    return argv[0]


class _Talk:
    """What is written to a program and read from it; at the end of it nothing of the program's group lives."""

    def __init__(self, child: subprocess.Popen[bytes], name: str, told: bytes) -> None:
        assert child.stdin and child.stdout and child.stderr  # noqa: S101, PT018 - they are pipes
        self.stdout, self.stderr = bytearray(), bytearray()
        self._child = child
        self._name = name
        self._told = memoryview(told)
        self._pipes = selectors.DefaultSelector()
        for file, event, data in (
            (child.stdin, selectors.EVENT_WRITE, None),
            (child.stdout, selectors.EVENT_READ, self.stdout),
            (child.stderr, selectors.EVENT_READ, self.stderr),
        ):
            os.set_blocking(file.fileno(), False)
            self._pipes.register(file, event, data)

    def __enter__(self) -> _Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self._child.wait()
        for key in list(self._pipes.get_map().values()):
            self._close(key.fileobj)
        self._pipes.close()

    def over(self, seconds: float) -> bool:
        """Whether the program has ended and what it wrote is read; waits at most these seconds to find out."""
        ended = _has_ended(self._child)
        if ended:
            self._kill()
        elif not self._pipes.get_map():  # it has closed them, and is about to end or works on
            time.sleep(seconds / 10)
        ready = self._pipes.select(0 if ended else seconds)
        for key, _ in ready:
            if key.data is None:
                self._write(key.fileobj)
            else:
                self._read(key.fileobj, key.data)
        return ended and not ready  # a daemon may hold the pipes for ever: their end is not waited for

    def _kill(self) -> None:
        """The program and what it started, while its id is still its own. What has left its group is not ours."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def _write(self, file: Any) -> None:
        with suppress(BlockingIOError):
            try:
                self._told = self._told[os.write(file.fileno(), self._told) :]
            except BrokenPipeError:  # it reads no more
                self._told = memoryview(b"")
        if not self._told:
            self._close(file)

    def _read(self, file: Any, data: bytearray) -> None:
        part = os.read(file.fileno(), _CHUNK)
        data += part
        if not part:
            self._close(file)
        if len(data) > MOST_WRITTEN:
            raise SourceUnavailable(f"{self._name} wrote more than {MOST_WRITTEN >> 20} MiB")

    def _close(self, file: Any) -> None:
        self._pipes.unregister(file)
        with suppress(OSError):
            file.close()


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether it has; where the system can tell so without giving its id away."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return child.poll() is not None
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
