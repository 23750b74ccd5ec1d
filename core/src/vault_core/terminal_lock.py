"""One question at a time at one terminal, whichever process asks.

Two questions at once would be answered by chance, and whichever ends first would turn the echo on again under the
other's passphrase. Processes of one controlling terminal share a session, so they take turns by its id.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vault_core import files
from vault_core.errors import QuestionRefused, SourceUnavailable

if TYPE_CHECKING:
    from filelock import BaseFileLock


@contextmanager
def turn(folder: Path, deadline: float | None) -> Iterator[None]:
    """Hold this terminal's turn to ask.

    :param folder: for the lock; made when it is first needed. Where it cannot be, everybody asks at once.
    :param deadline: on :func:`time.monotonic`'s clock; None: wait as long as it takes.
    :raises QuestionRefused: Ctrl-C at another process's question is meant for ours too.
    :raises SourceUnavailable: the other question took until the deadline.
    """
    try:
        lock = files.lock(folder / f"terminal-{os.getsid(0)}.lock")
        _wait(lock, deadline)
    except OSError:  # no such folder, or no locks there
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _wait(lock: BaseFileLock, deadline: float | None) -> None:
    try:
        lock.acquire(timeout=-1 if deadline is None else max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        raise SourceUnavailable("another question at this terminal was not answered in time") from None
    except KeyboardInterrupt:
        raise QuestionRefused("no answer: interrupted") from None
