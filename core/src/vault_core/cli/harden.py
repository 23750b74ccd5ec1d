"""Harden the command line: its memory, and the files that it or a plugin creates. Not for the library."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from vault_core.errors import UsageError

_PR_SET_DUMPABLE, _PR_SET_NAME = 4, 15
"""From <linux/prctl.h>."""

_PRIVATE = 0o077

_core_limit: tuple[int, int] | None = None
_umask: int | None = None


def harden() -> None:
    """Forbid core dumps, and on Linux ``/proc/PID/mem``, ``/proc/PID/environ`` and debuggers; make new files private.

    ``execve`` lifts the protection of the memory; :func:`unharden` restores what the next program inherits.
    """
    global _core_limit, _umask
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(_PR_SET_NAME, b"awsv", 0, 0, 0)  # else "python": the launcher starts it so
    _umask = os.umask(_PRIVATE)
    import resource

    with suppress(OSError, ValueError):
        _core_limit = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, _core_limit[1]))


def refuse_tracer() -> None:
    """Check for a debugger that was attached before :func:`harden`; one that started this process is permitted.

    :raises UsageError: another program is attached.
    """
    tracer = _tracer()
    if tracer and tracer not in _ancestors():
        name = _read(f"/proc/{tracer}/comm").strip() or "unknown"
        raise UsageError(
            f"process {tracer} ({name}) is attached to awsv and can read what it holds",
            hint=f"end process {tracer}; to debug awsv, have the debugger start it, as strace does",
        )


def _tracer() -> int:
    """The process that is attached to this one; 0 if there is none, or the system does not say."""
    lines = [line for line in _read("/proc/self/status").splitlines() if line.startswith("TracerPid:")]
    return int(lines[0].split()[1]) if lines else 0


def _ancestors() -> Iterator[int]:
    """The ancestors of this process, its parent first."""
    process = os.getppid()
    while process > 0:
        yield process
        # The second field is the program's name, in brackets, and may hold anything.
        fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
        process = int(fields[1]) if len(fields) > 1 else 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - before anything else is imported
            return file.read()
    except OSError:
        return ""


def inherited_umask() -> int:
    """The umask that this process got, for a program that outlives it; -1 where it was not changed."""
    return -1 if _umask is None else _umask


def unharden() -> None:
    """Restore the limit on core files and the umask, for the program that ``exec`` runs in place of this one."""
    if _umask is not None:
        os.umask(_umask)
    if _core_limit is not None:
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, _core_limit)
