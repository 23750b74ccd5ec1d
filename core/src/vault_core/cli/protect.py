"""Keep other processes of the same user out of this one's memory while it holds secrets."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4
"""From <linux/prctl.h>."""

_core_limit: tuple[int, int] | None = None


def protect() -> None:
    """No core dumps, and on Linux no ``/proc/PID/mem``, no ``/proc/PID/environ`` and no debugger.

    ``execve`` makes the next program an ordinary one again; the limit on core files it inherits, see :func:`release`.
    """
    global _core_limit
    with suppress(OSError, ValueError):
        _core_limit = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, _core_limit[1]))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def release() -> None:
    """Give the limit on core files back, for the program that ``exec`` becomes."""
    if _core_limit is not None:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, _core_limit)
