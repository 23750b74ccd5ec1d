"""A passphrase out of a file, a named pipe or an open descriptor, without waiting for ever.

What can be read only once is remembered for as long as the process runs, as one command may open several stores.
"""

from __future__ import annotations

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
"""Bytes: the longest passphrase (docs/file-format.md). One line end may follow it."""
_BEAT: Final = 500
"""Milliseconds between two looks at whether the host still wants the answer."""
_LAST_STANDARD: Final = 2
"""Standard input, output and error: a child of ``exec`` needs them."""

_read_once: dict[tuple[str, str], Secret] = {}
"""What came out of the pipe or descriptor that this variable with this text names."""
_one_reader = threading.Lock()
"""Two threads at one pipe would each get a part."""


class Reader:
    """Reads what one variable names.

    :param name: of the variable, for messages.
    :param deadline: on :func:`time.monotonic`'s clock; None: no limit.
    """

    def __init__(self, context: Context, name: str, deadline: float | None) -> None:
        self._context = context
        self._name = name
        self._deadline = deadline

    def file(self, path: Path) -> bytes:
        """The content of a regular file, or what comes out of a named pipe."""
        with _one_reader:
            seen = _read_once.get((self._name, str(path)))
            return seen.reveal() if seen else self._open(path)

    def descriptor(self, text: str) -> bytes:
        """What comes out of the open descriptor of this number, until its end."""
        with _one_reader:
            seen = _read_once.get((self._name, text))
            return seen.reveal() if seen else self._given(text)

    def _open(self, path: Path) -> bytes:
        try:
            # Opening a pipe must not wait for its writer here: _all does, with a limit.
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise self._unreadable(str(path), error) from None
        try:
            mode = os.fstat(fd).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                raise PassphraseError(f"{self._name}: {path} is neither a file nor a named pipe")
            self._tell_if_open(fd, str(path))
            data = self._all(fd, str(path))
        finally:
            os.close(fd)
        if stat.S_ISFIFO(mode):
            _read_once[self._name, str(path)] = Secret(data)
        return data

    def _given(self, text: str) -> bytes:
        if not (text.isascii() and text.isdigit()):
            raise PassphraseError(f"{self._name} is not the number of a descriptor")
        fd = int(text)
        try:
            # Python's own descriptors are not inheritable: such a number is not one that somebody gave to us.
            given = os.get_inheritable(fd)
        except (OSError, OverflowError):
            given = False
        if not given:
            raise PassphraseError(
                f"{self._name}: descriptor {fd} is not open",
                hint=f"pass it on to awsv, as in: awsv ... {fd}< passphrase-file",
            )
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
            raise PassphraseError(f"{self._name}: descriptor {fd} is open for writing only")
        if os.isatty(fd):
            raise PassphraseError(
                f"{self._name}: descriptor {fd} is a terminal, which would show the passphrase",
                hint="let the source 'prompt' ask for it",
            )
        self._tell_if_open(fd, f"the file of descriptor {fd}")
        data = self._all(fd, f"descriptor {fd}")
        _read_once[self._name, text] = Secret(data)
        if fd > _LAST_STANDARD:
            os.close(fd)  # a child of exec could rewind a file
        return data

    def _tell_if_open(self, fd: int, what: str) -> None:
        """Tell whoever keeps a passphrase in a file of which others know it, or can change it.

        Not even root's group is left out: an access list shows in the group's bits, whichever group it is.
        """
        found = os.fstat(fd)
        is_file = stat.S_ISREG(found.st_mode)
        if not (is_file or stat.S_ISFIFO(found.st_mode)):
            return
        mode = stat.S_IMODE(found.st_mode)
        if is_file and found.st_uid not in (0, os.geteuid()):  # a pipe has no name: whoever started awsv made it
            self._context.notify(f"{self._name}: {what} belongs to another user ({found.st_uid})")
        elif mode & 0o077:
            self._context.notify(
                f"{self._name}: {what} is not yours alone: its mode is {mode:04o}, and 0600 is private"
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
                raise SourceUnavailable(f"{self._name}: {what} gave nothing in time")
            if not poll.poll(_BEAT):
                continue
            try:
                return os.read(fd, 65536)
            except BlockingIOError:  # another reader was faster
                continue

    def _unreadable(self, what: str, error: Exception) -> PassphraseError:
        reason = (error.strerror or "unknown error").lower() if isinstance(error, OSError) else "not a path"
        return PassphraseError(f"{self._name}: {what} cannot be read: {reason}")
