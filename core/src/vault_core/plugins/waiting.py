"""Running a program, and waiting for a lock or a blocking call, while Ctrl-C and the deadline are heeded."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from vault_core import files
from vault_core.errors import StorageUnavailable

if TYPE_CHECKING:
    from vault_core.api import Context, RunResult, Secret

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_POLL = 0.05
"""Seconds between two calls of ``check``."""

T = TypeVar("T")


class Waits:
    """The methods of :class:`vault_core.api.Context` that wait, for the host and for the contract kit."""

    def run(
        self: Context,
        argv: Sequence[str],
        *,
        input: Secret | None = None,
        timeout: float = 30.0,
        env: Sequence[str] = (),
    ) -> RunResult:
        from vault_core.plugins.running import run

        return run(argv, environ=self.environ, names=env, input=input, timeout=timeout, check=self.check)

    @contextmanager
    def lock(self: Context, name: str, *, timeout: float) -> Iterator[None]:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name of a lock: {name!r}")
        path = self.state_dir / f"plugin-{name}.lock"
        try:
            held = files.held(path, timeout=timeout, check=self.check)
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

    def wait(self: Context, function: Callable[[], T], *, timeout: float) -> T:
        from concurrent.futures import Future, wait

        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
                future.set_exception(error)

        ends = time.monotonic() + timeout
        threading.Thread(target=run, name="awsv-wait", daemon=True).start()
        while not wait([future], _POLL).done:
            self.check()
            if time.monotonic() >= ends:
                raise TimeoutError(f"no result within {timeout:g} s")
        return future.result()
