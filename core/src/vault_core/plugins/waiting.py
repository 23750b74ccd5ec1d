"""Waiting for a lock or a blocking call while Ctrl-C and the deadline are heeded.

The one implementation of ``lock`` and ``wait`` of :class:`vault_core.api.Context`: the contexts of the host and of the
contract kit call it.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from vault_core import files
from vault_core.errors import StorageUnavailable

_NAME = r"[a-z0-9][a-z0-9._-]*"
_POLL = 0.05
"""Seconds between two calls of ``check``."""

T = TypeVar("T")


@contextmanager
def lock(folder: Path, name: str, *, timeout: float, check: Callable[[], None]) -> Iterator[None]:
    """See :meth:`vault_core.api.Context.lock`.

    :param folder: the private folder of the lock file; made if necessary.
    """
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"not a name of a lock: {name!r}")
    path = folder / f"plugin-{name}.lock"
    try:
        held = files.held(path, timeout=timeout, check=check)
    except TimeoutError:
        raise StorageUnavailable(
            f"another process has held the lock {path} for more than {timeout:g} s",
            hint="let it finish, or end it; then repeat the command",
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageUnavailable(
            f"cannot lock {path}: {reason}", hint="make room, or check the permissions of the folder"
        ) from None
    with held:
        yield


def wait(function: Callable[[], T], *, timeout: float, check: Callable[[], None]) -> T:
    """See :meth:`vault_core.api.Context.wait`."""
    results: list[T] = []
    errors: list[BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            errors.append(error)
        finally:
            over.set()

    ends = time.monotonic() + timeout
    threading.Thread(target=run, name="awsv-wait", daemon=True).start()
    while not over.wait(_POLL):
        check()
        if time.monotonic() >= ends:
            raise TimeoutError(f"no result within {timeout:g} s")
    if errors:
        raise errors.pop()
    return results[0]
