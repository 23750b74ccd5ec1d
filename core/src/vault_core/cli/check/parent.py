"""Examine plugins, each in a child process: what one prints, breaks or hangs stays there.

The child gets this process's import path, what of the environment is no secret, and ten seconds. It is killed with
whatever it started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import IO, Any

from vault_core import output
from vault_core.plugins.discovery import AvailablePlugin
from vault_core.plugins.variables import for_examination

LIMIT = 10.0
"""Seconds that a plugin has."""
PARALLEL = 4
MOST_SAID = 65_536
"""Bytes of a plugin's output that are kept."""

PROGRAM = (
    "import json, sys; job = json.load(sys.stdin); sys.path[:] = job['path']; "
    "from vault_core.cli.check.child import main; main(job)"
)
"""Run with ``-I``: nothing is imported from elsewhere before the path is ours."""


def check(
    offers: Sequence[AvailablePlugin],
    *,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    installed: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """What became of each plugin, in their order: ``state``, ``reason``, ``hint``, ``said`` and what it offers.

    :param flags: of this run, as of :class:`~vault_core.settings.Settings`.
    :param environ: the environment, of which the children get what cannot be a secret of somebody else's.
    :param installed: the names of all plugins.
    """
    children = [_Child(offer, flags, environ, installed) for offer in offers]
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            return list(pool.map(_Child.result, children))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in children:
                child.kill()
            raise


class _Child:
    """One plugin's process."""

    def __init__(
        self, offer: AvailablePlugin, flags: Mapping[str, str], environ: Mapping[str, str], installed: Iterable[str]
    ) -> None:
        self._job = {"path": sys.path, "kind": offer.kind, "name": offer.name, "flags": dict(flags)}
        self._environ = for_examination(environ, offer.name, installed)
        self._process: subprocess.Popen[bytes] | None = None

    def result(self) -> dict[str, Any]:
        pipe = subprocess.PIPE
        argv = [sys.executable, "-I", "-c", PROGRAM]
        self._process = subprocess.Popen(
            argv, env=self._environ, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr  # noqa: S101, PT018 - they are pipes
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(self._job).encode())
            self._process.stdin.close()
        told, said = _Reader(self._process.stdout), _Reader(self._process.stderr)
        told.join(LIMIT)
        late = told.is_alive()
        self.kill()  # before it is waited for, while its id is still its own
        code = self._process.wait()
        said.join(1)
        return {**_outcome(bytes(told.data), code, late=late), "said": _first_line(said.data)}

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


class _Reader(Thread):
    """Reads a pipe to its end, so that nobody waits for room in it, and keeps the beginning."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._file = file
        self.data = bytearray()
        self.start()

    def run(self) -> None:
        with self._file:
            while part := os.read(self._file.fileno(), MOST_SAID):
                self.data += part[: MOST_SAID - len(self.data)]


def _outcome(told: bytes, code: int, *, late: bool) -> dict[str, Any]:
    """The child's own words, or what its silence means."""
    try:
        found = json.loads(told)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    if late:
        reason = f"it did not load and answer within {LIMIT:g} seconds"
    elif code < 0:
        reason = f"it ended its process by signal {-code}"
    else:
        reason = f"it ended its process with exit code {code}"
    return {"state": "broken", "reason": reason, "hint": None}


def _first_line(said: bytearray) -> str | None:
    lines = said.decode("utf-8", "replace").splitlines()
    return output.printable(next((line for line in lines if line.strip()), "")) or None
