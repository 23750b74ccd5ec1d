"""Read a passphrase from a file, a named pipe or an open descriptor, with a time limit.

The content of a pipe or descriptor, which can be read only once, is cached while the process runs: one command may open
several stores.
"""

import fcntl
import os
import select
import stat
import threading
import time
from pathlib import Path
from typing import Final

from vault_core.api import Context, PassphraseError, Secret, SourceUnavailable

LIMIT: Final = 1_048_576
"""The maximum length of a passphrase in bytes (docs/file-format.md). One line end may follow it."""
_BEAT: Final = 500
"""Milliseconds between two calls of ``check``."""
_LAST_STANDARD: Final = 2
"""Standard input, output and error: a child of ``exec`` needs them."""

_read_once: dict[tuple[str, str], Secret] = {}
"""By name and value of a variable: the content of the pipe or descriptor that it names."""
_one_reader = threading.Lock()
"""Two threads that read the same pipe would each get a part."""


class Reader:
    """Reads the file or descriptor that a variable names.

    :param name: the name of the variable, for messages.
    :param deadline: a time of :func:`time.monotonic`; None: no limit.
    """

    def __init__(self, context: Context, name: str, deadline: float | None) -> None:
        self._context = context
        self._name = name
        self._deadline = deadline

    def file(self, path: Path) -> bytes:
        """The content of a regular file or a named pipe."""
        with _one_reader:
            cached = _read_once.get((self._name, str(path)))
            return cached.reveal() if cached else self._read_file(path)

    def descriptor(self, text: str) -> bytes:
        """The content of the open descriptor with this number."""
        with _one_reader:
            cached = _read_once.get((self._name, text))
            return cached.reveal() if cached else self._read_descriptor(text)

    def _read_file(self, path: Path) -> bytes:
        try:
            # Opening a pipe must not wait for its writer: _all does that, with a time limit.
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise self._unreadable(str(path), error) from None
        try:
            mode = os.fstat(fd).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                raise PassphraseError(f"{self._name}: {path} is neither a file nor a named pipe")
            self._warn_if_not_private(fd, str(path))
            data = self._all(fd, str(path))
        finally:
            os.close(fd)
        if stat.S_ISFIFO(mode):
            _read_once[self._name, str(path)] = Secret(data)
        return data

    def _read_descriptor(self, text: str) -> bytes:
        if not (text.isascii() and text.isdigit()):
            raise PassphraseError(f"{self._name} is not the number of a descriptor")
        fd = int(text)
        try:
            # Descriptors that Python has opened are not inheritable: the caller of awsv did not pass them.
            is_passed = os.get_inheritable(fd)
        except (OSError, OverflowError):
            is_passed = False
        if not is_passed:
            raise PassphraseError(
                f"{self._name}: descriptor {fd} is not open",
                hint=f"pass it to awsv, as in: awsv ... {fd}< passphrase-file",
            )
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
            raise PassphraseError(f"{self._name}: descriptor {fd} is open for writing only")
        if os.isatty(fd):
            raise PassphraseError(
                f"{self._name}: descriptor {fd} is a terminal, which would show the passphrase",
                hint="use the source 'prompt' instead",
            )
        self._warn_if_not_private(fd, f"the file of descriptor {fd}")
        data = self._all(fd, f"descriptor {fd}")
        _read_once[self._name, text] = Secret(data)
        if fd > _LAST_STANDARD:
            os.close(fd)  # a child of exec could read a file again
        return data

    def _warn_if_not_private(self, fd: int, what: str) -> None:
        """Warn the user if other users can read or change the file of the passphrase.

        The group's bits count even for root's group: they also show the permissions of an access control list.
        """
        status = os.fstat(fd)
        is_file = stat.S_ISREG(status.st_mode)
        if not (is_file or stat.S_ISFIFO(status.st_mode)):
            return
        mode = stat.S_IMODE(status.st_mode)
        if is_file and status.st_uid not in (0, os.geteuid()):  # the process that started awsv created the pipe
            self._context.notify(f"{self._name}: {what} belongs to another user ({status.st_uid})")
        elif mode & 0o077:
            self._context.notify(
                f"{self._name}: {what} is not private: its mode is {mode:04o}; make it private with mode 0600"
            )

    def _all(self, fd: int, what: str) -> bytes:
        data = b""
        try:
            while part := self._part(fd, what):
                data += part
                if len(data) > LIMIT + len(b"\r\n"):
                    raise PassphraseError(f"{self._name}: {what} is longer than a passphrase can be ({LIMIT} bytes)")
        except OSError as error:
            raise self._unreadable(what, error) from None
        return data

    def _part(self, fd: int, what: str) -> bytes:
        """The next bytes; none at the end."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while True:
            self._context.check()
            if self._deadline is not None and time.monotonic() > self._deadline:
                raise SourceUnavailable(f"{self._name}: no data from {what} in time")
            if not poll.poll(_BEAT):
                continue
            try:
                return os.read(fd, 65536)
            except BlockingIOError:  # another process read the data
                continue

    def _unreadable(self, what: str, error: Exception) -> PassphraseError:
        reason = (error.strerror or "unknown error").lower() if isinstance(error, OSError) else "not a path"
        return PassphraseError(f"{self._name}: {what} cannot be read: {reason}")
