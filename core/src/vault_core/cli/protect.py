"""Keep others out of this process's memory, and out of the files that it or a plugin makes."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4
"""From <linux/prctl.h>."""

_PRIVATE = 0o077

_core_limit: tuple[int, int] | None = None
_umask: int | None = None


def protect() -> None:
    """No core dumps, and on Linux no ``/proc/PID/mem``, no ``/proc/PID/environ`` and no debugger; private new files.

    ``execve`` makes the next program an ordinary one again; what it inherits :func:`release` gives back.
    """
    global _core_limit, _umask
    _umask = os.umask(_PRIVATE)
    with suppress(OSError, ValueError):
        _core_limit = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, _core_limit[1]))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def release() -> None:
    """Give the limit on core files and the file mode mask back, for the program that ``exec`` becomes."""
    if _umask is not None:
        os.umask(_umask)
    if _core_limit is not None:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, _core_limit)
