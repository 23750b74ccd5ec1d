"""One question at a time at one terminal, whichever process asks.

Two questions at once would be answered by chance, and whichever ends first would turn the echo on again under the
other's passphrase. Processes of one controlling terminal share a session, so they take turns by its id.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vault_core.errors import QuestionRefused, SourceUnavailable

_POLL = 0.05


@contextmanager
def turn(folder: Path, deadline: float | None) -> Iterator[None]:
    """Hold this terminal's turn to ask.

    :param folder: for the lock; made when it is first needed. Where it cannot be, everybody asks at once.
    :param deadline: on :func:`time.monotonic`'s clock; None: wait as long as it takes.
    :raises QuestionRefused: Ctrl-C at another process's question is meant for ours too.
    :raises SourceUnavailable: the other question took until the deadline.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"terminal-{os.getsid(0)}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        _wait(descriptor, deadline)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, deadline: float | None) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        except OSError:  # a file system without locks
            return
        else:
            return
        if deadline is not None and time.monotonic() >= deadline:
            raise SourceUnavailable("another question at this terminal was not answered in time")
        try:
            time.sleep(_POLL)
        except KeyboardInterrupt:
            raise QuestionRefused("no answer: interrupted") from None
